"""A contestant's process, with all that it starts."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.namespaces import Surroundings
from lab.processes import Process, Register

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_STOP_PATIENCE = 15.0
"""Seconds from SIGTERM to SIGKILL: to end in order, and give back a Lease."""
_LOG_LINES = 15


@dataclass(frozen=True, slots=True)
class Running:
    """One start of a contestant."""

    process: Process
    begun: float
    """Seconds of time.monotonic()."""
    log: Path

    def said(self) -> str:
        """The end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:])


@contextmanager
def running(lab: Path, argv: Sequence[str]) -> Iterator[Running]:
    """Start it in a process group of its own, and end that at the end. Raises OSError.

    `lab`: the API server's folder. Should this process die before, then the contestant ends with the API server.
    """
    register = Register(lab)
    begun = time.monotonic()
    process = register.start("contestant", argv, Surroundings(), Path.cwd())
    try:
        yield Running(process, begun, register.log("contestant"))
    finally:
        # Its leader stays the group's, also when it has ended, until it is reaped below.
        _signal_group(process, signal.SIGTERM)
        process.wait(_STOP_PATIENCE)
        _signal_group(process, signal.SIGKILL)
        process.wait(_STOP_PATIENCE)
        register.remove("contestant")


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
