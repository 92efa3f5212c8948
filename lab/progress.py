"""Telling people what a slow step is doing."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress = Callable[[str], None]
    """Takes one line, without its end."""

_PATIENCE = 2.0
_INTERVAL = 5.0


def to_stderr(line: str) -> None:
    """The progress report of the command line."""
    print(line, file=sys.stderr, flush=True)


def silent(line: str) -> None:
    """No progress report."""
    del line


@contextmanager
def step(what: str, progress: Progress) -> Iterator[None]:
    """Say what is being done if it takes more than two seconds, and again every five, with the time so far."""
    done = threading.Event()
    begun = time.monotonic()

    def remind() -> None:
        pause = _PATIENCE
        while not done.wait(pause):
            progress(f"{what} ... {time.monotonic() - begun:.0f} s")
            pause = _INTERVAL

    thread = threading.Thread(target=remind, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
