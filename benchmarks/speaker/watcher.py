"""A host of the LAN that asks for addresses every few milliseconds and remembers who answers.

It asks with frames of its own, in its own name, so that no kernel's cache is between it and those that answer, and
what it learns changes nobody's cache.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections import defaultdict
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Self

from lab.owners import Answer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from benchmarks.speaker.frames import Asker

INTERVAL: Final = 0.005
"""Seconds between two questions for an address: the resolution of what is measured."""
_ALL_PROTOCOLS: Final = 3
_OCTETS: Final = 2048


class Watcher:
    """Asks, in a thread, for what `ask` said last."""

    def __init__(self, via: socket.socket, asker: Asker, interval: float = INTERVAL) -> None:
        """`via`: an AF_PACKET socket of that host, not yet bound; it is closed at the end."""
        self._asker = asker
        self._interval = interval
        self._socket = via
        self._questions: tuple[bytes, ...] = ()
        self._answers: dict[bytes, list[Answer]] = defaultdict(list)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watcher")

    def __enter__(self) -> Self:
        self._socket.bind(("eth0", _ALL_PROTOCOLS))
        self._socket.setblocking(False)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def ask(self, addresses: Sequence[str]) -> None:
        """From now on for these and no others."""
        self._questions = tuple(map(self._asker.question, addresses))

    def answers(self, address: str, since: float = 0.0) -> list[Answer]:
        """In the order they came; `since` in seconds of time.monotonic()."""
        known = self._answers[ip_address(address).packed]
        return [each for each in list(known) if each.time >= since]

    def forget(self) -> None:
        """All that was answered so far."""
        self._answers = defaultdict(list)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._closing.is_set():
            now = time.monotonic()
            if now >= due:
                for question in self._questions:
                    self._send(question)
                due = max(due + self._interval, now)
            if select.select([self._socket], [], [], max(due - time.monotonic(), 0.0))[0]:
                self._receive()

    def _send(self, question: bytes) -> None:
        try:
            self._socket.send(question)
        except OSError:
            # The LAN is as it is: a question that was not sent is one that was not answered.
            return

    def _receive(self) -> None:
        frame, about = self._socket.recvfrom(_OCTETS)
        if about[2] == socket.PACKET_OUTGOING:
            return
        answered = self._asker.answered(frame)
        if answered is not None:
            address, mac = answered
            self._answers[address].append(Answer(time.monotonic(), mac.hex(":")))
