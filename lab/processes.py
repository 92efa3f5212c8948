"""Processes the lab starts, remembered by PID and start time, so that only they are ever signalled."""

from __future__ import annotations

import json
import os
import select
import signal
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.namespaces import NAMED, Surroundings, run_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_PROC = Path("/proc")
_MARK = "HERALD_LAB"
_START_TIME_FIELD = 19
"""Field 22 of proc_pid_stat(5), counted from after the command's closing parenthesis."""


def _start_time(pid: int) -> int | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[_START_TIME_FIELD])


@dataclass(frozen=True, slots=True)
class Process:
    """One process, told apart from a later one with the same PID by its start time (clock ticks since boot)."""

    pid: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this PID now, if any."""
        start_time = _start_time(pid)
        return None if start_time is None else cls(pid, start_time)

    def _descriptor(self) -> int | None:
        """A handle that stays with this very process, or None if it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return None
        if _start_time(self.pid) == self.start_time:
            return descriptor
        os.close(descriptor)
        return None

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; False if the process has ended."""
        descriptor = self._descriptor()
        if descriptor is None:
            return False
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(descriptor)
        return True

    def wait(self, timeout: float) -> bool:
        """Wait until it has ended, at most `timeout` seconds; True if it has."""
        descriptor = self._descriptor()
        if descriptor is None:
            return True
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(timeout * 1000))
        finally:
            os.close(descriptor)

    def is_alive(self) -> bool:
        return not self.wait(0)

    def stop(self, patience: float) -> None:
        """SIGTERM, and SIGKILL after `patience` seconds; returns when it has ended."""
        if self.send(signal.SIGTERM) and not self.wait(patience):
            self.kill()

    def kill(self) -> None:
        """SIGKILL; returns when it has ended."""
        if self.send(signal.SIGKILL):
            self.wait(10)

    def reap(self) -> None:
        """Let the kernel forget it, if it is a child of this process that has ended; not for subprocess.Popen's."""
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)

    def children(self) -> list[Process]:
        return [process for pid in all_pids() if _parent(pid) == self.pid and (process := Process.of(pid))]


def _parent(pid: int) -> int | None:
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(stat.rpartition(")")[2].split()[1])


def spawn(
    argv: Sequence[str],
    *,
    log: Path,
    surroundings: Surroundings | None = None,
    environment: Mapping[str, str] | None = None,
) -> Process:
    """Start a process in a session of its own, its output appended to `log`. Raises OSError if it cannot start."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]

    def start() -> int:
        return os.posix_spawnp(
            argv[0],
            list(argv),
            dict(os.environ if environment is None else environment),
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGINT],
        )

    pid = run_in(surroundings or Surroundings(), start)
    start_time = _start_time(pid)
    if start_time is None:
        raise ChildProcessError(f"{argv[0]} ended at once; its output is in {log}")
    return Process(pid, start_time)


def all_pids() -> list[int]:
    return [int(entry) for entry in os.listdir(_PROC) if entry.isdigit()]  # noqa: PTH208 - hot


def namespace_id(path: str | Path) -> int | None:
    """The identity of the namespace behind a file, None if there is none."""
    try:
        return Path(path).stat().st_ino
    except OSError:
        return None


def in_namespace(kind: str, identities: Iterable[int]) -> list[Process]:
    """Every process in one of these namespaces. `kind` as below /proc/PID/ns: net, pid."""
    wanted = frozenset(identities)
    found = (pid for pid in all_pids() if namespace_id(_PROC / str(pid) / "ns" / kind) in wanted)
    return [process for pid in found if (process := Process.of(pid)) is not None]


def pid_namespace(process: Process) -> int | None:
    """The identity of a process's PID namespace, None if it has ended."""
    return namespace_id(_PROC / str(process.pid) / "ns" / "pid")


def network_namespaces(prefix: str) -> dict[str, int]:
    """The named network namespaces whose name starts so, with their identities."""
    if not NAMED.is_dir():
        return {}
    pairs = ((path.name, namespace_id(path)) for path in NAMED.iterdir() if path.name.startswith(prefix))
    return {name: identity for name, identity in pairs if identity is not None}


def descendants(process: Process) -> list[Process]:
    """All processes it has started, and those these have."""
    children: dict[int, list[int]] = {}
    for pid in all_pids():
        if (parent := _parent(pid)) is not None:
            children.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = list(children.get(process.pid, ()))
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, ())
    return [known for pid in found if (known := Process.of(pid)) is not None]


def environment_of(process: Process) -> dict[str, str]:
    """The environment it was started with; empty if it has ended."""
    try:
        data = (_PROC / str(process.pid) / "environ").read_bytes()
    except OSError:
        return {}
    entries = (entry.partition(b"=") for entry in data.split(b"\0") if entry)
    return {key.decode(errors="replace"): value.decode(errors="replace") for key, _, value in entries}


@dataclass(frozen=True, slots=True)
class Register:
    """The processes of one lab on disk, one file each, so that another process can find and end them.

    What it starts carries the lab's folder in its environment, and so is found also if the starter died before
    writing it down.
    """

    lab: Path
    """The lab's folder."""

    @property
    def folder(self) -> Path:
        return self.lab / "run"

    def log(self, name: str) -> Path:
        return self.lab / "logs" / f"{name}.log"

    def start(self, name: str, argv: Sequence[str], surroundings: Surroundings, directory: Path) -> Process:
        """Start a process of the lab, in a working directory. Raises OSError."""
        self.log(name).parent.mkdir(exist_ok=True)
        environment = os.environ | {_MARK: str(self.lab)}
        # env(1) replaces itself by the program, so this is the program's PID.
        argv = ["env", f"--chdir={directory}", *argv]
        process = spawn(argv, log=self.log(name), surroundings=surroundings, environment=environment)
        self.add(name, process)
        return process

    def marked(self) -> list[Process]:
        """Every process of this lab that still has the environment it was started with."""
        found = (process for pid in all_pids() if (process := Process.of(pid)))
        return [process for process in found if environment_of(process).get(_MARK) == str(self.lab)]

    def add(self, name: str, process: Process) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(json.dumps(asdict(process)))

    def get(self, name: str) -> Process | None:
        """The process registered under this name, also if it has ended since."""
        try:
            return Process(**json.loads((self.folder / name).read_text()))
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Forget a process that has ended."""
        if process := self.get(name):
            process.reap()
            (self.folder / name).unlink(missing_ok=True)

    def all(self) -> dict[str, Process]:
        if not self.folder.is_dir():
            return {}
        entries = ((path.name, self.get(path.name)) for path in sorted(self.folder.iterdir()))
        return {name: process for name, process in entries if process is not None}
