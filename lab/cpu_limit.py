"""How much of a processor some processes may use, as a container's `limits.cpu`: cgroups(7) of either version."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lab.processes import Process

_ROOT: Final = Path("/sys/fs/cgroup")
_PERIOD_US: Final = 100_000
"""As the kubelet has it."""


def _is_unified() -> bool:
    return (_ROOT / "cgroup.controllers").exists()


def _controller() -> Path:
    """Where cgroups that limit processor time are made."""
    return _ROOT if _is_unified() else _ROOT / "cpu"


def _prefix(lab: str) -> str:
    return f"hl-{lab}."


@contextmanager
def limited(lab: str, name: str, processes: Iterable[Process], millicores: int) -> Iterator[None]:
    """While it lasts, these together, and what they start, get no more than so many thousandths of a core.

    Raises OSError where this machine's cgroups cannot be used. What is left goes when the lab is taken down.
    """
    group = _controller() / f"{_prefix(lab)}{name}"
    if _is_unified():
        with suppress(OSError):  # switched on already, by whoever owns the tree
            (_ROOT / "cgroup.subtree_control").write_text("+cpu")
    group.mkdir()
    try:
        quota = millicores * _PERIOD_US // 1000
        if _is_unified():
            (group / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        for process in processes:
            (group / "cgroup.procs").write_text(str(process.pid))
        yield
    finally:
        _remove(group)


def throttled(lab: str, name: str) -> int:
    """How often they had to wait because they had used up what they may, so far."""
    stat = (_controller() / f"{_prefix(lab)}{name}" / "cpu.stat").read_text()
    return next(int(line.split()[1]) for line in stat.splitlines() if line.startswith("nr_throttled "))


def remove_all(lab: str) -> None:
    """Every limit of a lab."""
    for group in _controller().glob(f"{_prefix(lab)}*"):
        _remove(group)


def _remove(group: Path) -> None:
    with suppress(OSError):  # removed by another at the same time
        for pid in (group / "cgroup.procs").read_text().split():
            with suppress(OSError):  # ended meanwhile
                (_controller() / "cgroup.procs").write_text(pid)
        group.rmdir()
