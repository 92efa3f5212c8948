"""A client that sends a datagram to each address every few milliseconds, and notes which node answers.

Its kernel sends them to where its own neighbour cache says.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Final, Self

from lab.owners import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

ECHO_PORT: Final = 7007
INTERVAL: Final = 0.005
"""Seconds between two questions to an address."""


class Traffic:
    """Asks, in a thread, what `ask` said last. Of an answer, `mac` is what the node that answers says of itself."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        """`sockets`: UDP sockets of the client, one of each family; they are closed at the end."""
        self._sockets = {each.family: each for each in sockets}
        self._addresses: tuple[str, ...] = ()
        self._answers: dict[str, list[Answer]] = defaultdict(list)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traffic")

    def __enter__(self) -> Self:
        for each in self._sockets.values():
            each.setblocking(False)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        for each in self._sockets.values():
            each.close()

    def ask(self, addresses: Sequence[str]) -> None:
        """From now on these and no others."""
        self._addresses = tuple(addresses)

    def answers(self, address: str, since: float = 0.0) -> list[Answer]:
        """In the order they came; `since` in seconds of time.monotonic()."""
        return [each for each in list(self._answers[address]) if each.time >= since]

    def forget(self) -> None:
        """All that was answered so far."""
        self._answers = defaultdict(list)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._closing.is_set():
            now = time.monotonic()
            if now >= due:
                for address in self._addresses:
                    self._send(address)
                due = max(due + INTERVAL, now)
            ready = select.select(self._sockets.values(), [], [], max(due - time.monotonic(), 0.0))[0]
            for each in ready:
                self._receive(each)

    def _send(self, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            self._sockets[family].sendto(b"?", (address, ECHO_PORT))
        except OSError:
            # No route, or the queue behind an unknown neighbour is full: not answered, then.
            return

    def _receive(self, via: socket.socket) -> None:
        try:
            answer, sender = via.recvfrom(64)
        except OSError:
            return
        self._answers[sender[0]].append(Answer(time.monotonic(), answer.decode()))
