"""What the demo prints: headings, commands with their output, remarks; and something that moves while one waits."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from lab import progress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

_FRAMES: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_FRAME_SECONDS: Final = 0.1
_CLEAR: Final = "\r\033[K"
_BOLD, _DIM, _RED, _PLAIN = "1", "2", "31", "0"


class Terminal:
    """Writes to a person's terminal with a spinner and some bold, to anything else in plain lines."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._moves = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._colours = self._moves and "NO_COLOR" not in os.environ
        self._waiting_for: str | None = None
        self._lock = threading.Lock()

    def heading(self, text: str) -> None:
        self._print(f"\n{self._in(_BOLD, f'== {text}')}\n")

    def command(self, prompt: str, command: str) -> None:
        """A command as it would be typed, after the prompt of the machine it runs on."""
        self._print(f"{self._in(_DIM, prompt)} {self._in(_BOLD, command)}")

    def output(self, text: str) -> None:
        """What a command printed, as it is."""
        if text.strip():
            self._print(text.rstrip("\n"))

    def gap(self) -> None:
        self._print("")

    def remark(self, text: str) -> None:
        """A sentence of the demo's own."""
        self._print(f"{self._in(_DIM, '#')} {text}")

    def failure(self, text: str) -> None:
        self._print(self._in(_RED, text))

    def progress(self, line: str) -> None:
        """What a slow step is doing now; takes the place of what it did before where the terminal allows it."""
        with self._lock:
            if self._moves and self._waiting_for is not None:
                self._waiting_for = line.partition(" ... ")[0]
                return
        self._print(f"  {line}")

    @contextmanager
    def waiting(self, what: str, *, reports: bool = False) -> Iterator[None]:
        """Show that something goes on, and for how long it has. `reports`: it tells `progress` so itself."""
        if self._moves:
            with self._spinner(what):
                yield
        elif reports:
            yield
        else:
            with progress.step(what, self.progress):
                yield

    @contextmanager
    def _spinner(self, what: str) -> Iterator[None]:
        done = threading.Event()
        begun = time.monotonic()
        self._waiting_for = what

        def turn() -> None:
            for frame in itertools.cycle(_FRAMES):
                with self._lock:
                    seconds = time.monotonic() - begun
                    self._out.write(f"{_CLEAR}{frame} {self._waiting_for} ... {seconds:.0f} s")
                    self._out.flush()
                if done.wait(_FRAME_SECONDS):
                    return

        thread = threading.Thread(target=turn, name="spinner", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self._waiting_for = None
            self._out.write(_CLEAR)
            self._out.flush()

    def _in(self, style: str, text: str) -> str:
        return f"\033[{style}m{text}\033[{_PLAIN}m" if self._colours else text

    def _print(self, text: str) -> None:
        with self._lock:
            print(text, file=self._out, flush=True)
