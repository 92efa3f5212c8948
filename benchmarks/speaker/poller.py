"""Asks for addresses every few milliseconds, in a thread, and remembers which node answered when."""

from __future__ import annotations

import select
import threading
import time
from abc import ABC, abstractmethod
from collections import defaultdict
from typing import TYPE_CHECKING, Final, Self

from lab.owners import Answer

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from types import TracebackType

INTERVAL: Final = 0.005
"""Seconds between two questions for an address: the resolution of what is measured."""


class Poller(ABC):
    """What is asked, and how, is its children's. A context manager, to be entered once."""

    def __init__(self, sockets: Sequence[socket.socket], interval: float) -> None:
        """`sockets`: those that answers come by; they are closed at the end."""
        self._sockets = tuple(sockets)
        self._interval = interval
        self._addresses: tuple[str, ...] = ()
        self._answers: dict[str, list[Answer]] = defaultdict(list)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=type(self).__name__)

    def __enter__(self) -> Self:
        for each in self._sockets:
            each.setblocking(False)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        for each in self._sockets:
            each.close()

    def ask(self, addresses: Sequence[str]) -> None:
        """From now on for these and no others, each in the form that `ipaddress` prints."""
        self._addresses = tuple(addresses)

    def answers(self, address: str, since: float = 0.0) -> list[Answer]:
        """In the order they came; `since` in seconds of time.monotonic()."""
        return [each for each in list(self._answers[address]) if each.time >= since]

    def forget(self) -> None:
        """All that was answered so far."""
        self._answers = defaultdict(list)

    @abstractmethod
    def _send(self, address: str) -> None:
        """Ask for it once. May raise OSError: a question that was not sent is one that was not answered."""

    @abstractmethod
    def _receive(self, via: socket.socket) -> tuple[str, str] | None:
        """The address that is answered for, and what identifies the node; None: no answer. May raise OSError."""

    def _run(self) -> None:
        due = time.monotonic()
        while not self._closing.is_set():
            now = time.monotonic()
            if now >= due:
                for address in self._addresses:
                    self._try_to_send(address)
                due = max(due + self._interval, now)
            for each in select.select(self._sockets, [], [], max(due - time.monotonic(), 0.0))[0]:
                self._take(each)

    def _try_to_send(self, address: str) -> None:
        try:
            self._send(address)
        except OSError:
            return

    def _take(self, via: socket.socket) -> None:
        try:
            answer = self._receive(via)
        except OSError:
            return
        if answer is not None:
            address, node = answer
            self._answers[address].append(Answer(time.monotonic(), node))
