"""A place for network namespaces and processes that are gone afterwards, however this process ends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

from lab import store
from lab.namespaces import Surroundings, run_in
from lab.network import Network
from lab.processes import Process, Register
from lab.supervisor import Supervision

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

T = TypeVar("T")

_REPOSITORY: Final = Path(__file__).parents[2]


class Site:
    """A lab without a cluster: its folder, its wires and its processes. Entering it raises LabError."""

    def __init__(self) -> None:
        self.folder = store.base_folder() / store.new_name()
        self.network = Network(self.folder.name)
        self._register = Register(self.folder)
        self._supervision: Supervision | None = None

    def __enter__(self) -> Self:
        store.create(self.folder.name)
        self._supervision = Supervision(self.folder)
        try:
            self.build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def build(self) -> None:
        """Make what the site consists of. Raises LabError."""

    def close(self) -> None:
        """End every process, and take the namespaces away."""
        processes = self._register.all().values()
        if self._supervision is not None:
            self._supervision.end()
            self._supervision = None
        for process in processes:
            process.reap()

    def start(self, name: str, host: str, module: str, *arguments: str) -> Process:
        """Run a module on a host, as a process of this name; its output is added to that of its predecessors."""
        self._register.remove(name)
        argv = [sys.executable, "-m", module, *arguments]
        return self._register.start(name, argv, Surroundings(self.network.path(host)), _REPOSITORY)

    def process(self, name: str) -> Process:
        """The last that was started under this name. Raises KeyError."""
        process = self._register.get(name)
        if process is None:
            raise KeyError(name)
        return process

    def log(self, name: str) -> Path:
        """What it, and its predecessors of the same name, have said."""
        return self._register.log(name)

    def call(self, host: str, function: Callable[[], T]) -> T:
        """Call a function of this process with a host's network; sockets it makes stay there for good."""
        return run_in(Surroundings(self.network.path(host)), function)
