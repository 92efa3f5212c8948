"""Takes a lab away in whatever state it is, by its files and what the kernel holds under its name. Idempotent."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from lab import cpu_limit
from lab.network import NetworkError, ip
from lab.processes import Register, in_namespace, network_namespaces, pid_namespace

if TYPE_CHECKING:
    from pathlib import Path

    from lab.processes import Process

_ROUNDS = 20
_PATIENCE = 5.0


def kill_all(find: list[Process]) -> None:
    """SIGKILL all at one stroke, then wait for each to be gone."""
    for process in find:
        process.send(signal.SIGKILL)
    for process in find:
        process.wait(_PATIENCE)


def _namespaces_prefix(name: str) -> str:
    return f"hl-{name}-"


def _kill_registered(register: Register) -> None:
    processes = list(register.all().values())
    # The first process of a PID namespace takes all others in it along, pods in namespaces of their own included.
    own = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116
    inner = {identity for process in processes if (identity := pid_namespace(process)) not in (None, own)}
    kill_all(
        [
            *processes,
            *register.marked(),
            *in_namespace("pid", {identity for identity in inner if identity is not None}),
        ]
    )


def _names_of_others(name: str, folder: Path) -> list[str]:
    """Labs whose names begin with ours and a dash: their namespaces are not ours."""
    if not folder.parent.is_dir():
        return []
    return [path.name for path in folder.parent.iterdir() if path.name.startswith(f"{name}-")]


def teardown(folder: Path) -> None:
    """End every process of the lab, delete its namespaces (links go with them) and its folder."""
    name = folder.name
    _kill_registered(Register(folder))
    others = tuple(_namespaces_prefix(other) for other in _names_of_others(name, folder))
    found = network_namespaces(_namespaces_prefix(name))
    mine = {namespace: identity for namespace, identity in found.items() if not namespace.startswith(others)}
    for _ in range(_ROUNDS if mine else 0):
        left = [process for process in in_namespace("net", mine.values()) if process.pid != os.getpid()]
        if not left:
            break
        kill_all(left)
    for namespace in mine:
        with suppress(NetworkError):  # taken down by another at the same time
            ip([f"netns delete {namespace}"])
    cpu_limit.remove_all(name)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # other labs are there
        folder.parent.rmdir()
