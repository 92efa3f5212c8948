"""What a process has used of the machine, by proc(5): processor time and the most memory it ever held."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.processes import descendants

if TYPE_CHECKING:
    from lab.processes import Process

_TICK = os.sysconf("SC_CLK_TCK")
_USER_TICKS, _SYSTEM_TICKS = 11, 12
"""Fields 14 and 15 of /proc/PID/stat, counted from after the command's closing parenthesis."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Of one process, or of several together."""

    cpu_s: float = 0.0
    """User and system time."""
    peak_rss: int = 0
    """Bytes. Of several processes the sum of their peaks, whether or not at the same time."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.cpu_s + other.cpu_s, self.peak_rss + other.peak_rss)


def parse(stat: str, status: str) -> Usage:
    """From the contents of /proc/PID/stat and /proc/PID/status. Pure."""
    fields = stat.rpartition(")")[2].split()
    ticks = int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS])
    # A process that has ended and is not yet reaped has no memory left to tell of.
    peak = next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")), 0)
    return Usage(ticks / _TICK, peak * 1024)


def of_tree(process: Process) -> Usage:
    """Of the process and all that it has started and that still run."""
    return sum((_of(each.pid) for each in [process, *descendants(process)]), Usage())


def resident(process: Process) -> int:
    """Bytes of memory that it holds now, without what it has started; 0 if it has ended."""
    try:
        status = (Path("/proc") / str(process.pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:")), 0)


def _of(pid: int) -> Usage:
    folder = Path("/proc") / str(pid)
    try:
        return parse((folder / "stat").read_text(), (folder / "status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return Usage()
