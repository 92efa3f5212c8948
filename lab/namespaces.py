"""Linux namespaces from Python: entering a network namespace, and making mount and PID namespaces.

A namespace belongs to a thread, and a child process inherits those of the thread that starts it. So everything here
runs a function in a thread of its own that has entered what it needs and then ends; the caller's namespaces never
change. Needs root. See namespaces(7), setns(2), unshare(2), mount(2).
"""

from __future__ import annotations

import ctypes
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

CLONE_NEWNS = 0x0002_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000
MS_SLAVE = 0x8_0000

NAMED = Path("/run/netns")
"""Where iproute2 keeps named network namespaces (ip-netns(8))."""

T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the calling thread's namespaces of these kinds for new ones. Raises OSError."""
    _checked(_libc.unshare(flags), "unshare")


def setns(path: str | Path, kind: int) -> None:
    """Move the calling thread into the namespace behind `path`. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_libc.setns(descriptor, kind), f"setns {path}")
    finally:
        os.close(descriptor)


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """mount(2). Raises OSError that names the target."""
    arguments = (
        source.encode(),
        target.encode(),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    _checked(_libc.mount(*arguments), f"mount {target}")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a function or a process is to be run in."""

    network: Path | None = None
    """A network namespace's file; None: the caller's."""
    own_system_view: bool = False
    """Show that network namespace's interfaces under /sys, as `ip netns exec` does."""
    new_pids: bool = False
    """The first process started becomes PID 1 of a new PID namespace: when it dies, all in it die with it."""


def run_in(surroundings: Surroundings, function: Callable[[], T]) -> T:
    """Call `function` in a thread with these surroundings; return its result or raise what it raises."""
    result: list[T] = []
    failure: list[BaseException] = []

    def enter_and_call() -> None:
        try:
            if surroundings.own_system_view:
                unshare(CLONE_NEWNS)
                mount("", "/", flags=MS_SLAVE | MS_REC)
            if surroundings.network is not None:
                setns(surroundings.network, CLONE_NEWNET)
            if surroundings.own_system_view:
                mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
            if surroundings.new_pids:
                unshare(CLONE_NEWPID)
            result.append(function())
        except BaseException as error:  # noqa: BLE001 - handed to the caller's thread
            failure.append(error)

    thread = threading.Thread(target=enter_and_call, name="namespaces")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return result[0]


def named(name: str) -> Path:
    """The file of the network namespace of this name."""
    return NAMED / name
