"""Watches over a lab's owner, and takes the lab down when the owner is gone, however it went.

The owner holds the write end of a pipe that is this process's standard input. End of file without a word means that
the owner has died: by a failed test, by Ctrl-C, by SIGKILL. `keep` means that the lab is to outlive its owner.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from lab.teardown import teardown

_KEEP = b"keep"


class Supervision:
    """The owner's end."""

    def __init__(self, folder: Path) -> None:
        """Start to supervise. Whatever happens to the calling process, the lab in `folder` will be taken down."""
        root = Path(__file__).parent.parent
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lab.supervisor", str(folder)],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _finish(self, word: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(word)
            self._process.stdin.close()
        except BrokenPipeError:
            pass
        self._process.wait()

    def keep(self) -> None:
        """Stop supervising; the lab stays."""
        self._finish(_KEEP)

    def end(self) -> None:
        """Have the lab taken down; returns when it is."""
        self._finish(b"")


def main(folder: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # A long-lived pipe, read to its end: a partial word is an owner that died while writing it.
    word = b""
    while chunk := os.read(0, 16):
        word += chunk
    if word != _KEEP:
        teardown(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
