"""A host of the LAN that asks for addresses every few milliseconds and remembers who answers.

It asks with frames of its own, in its own name, so that no kernel's cache is between it and those that answer, and
what it learns changes nobody's cache.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Self

from benchmarks.speaker.poller import INTERVAL, Poller

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.speaker.frames import Asker

_ALL_PROTOCOLS: Final = 3
_OCTETS: Final = 2048


class Watcher(Poller):
    """Of an answer, `mac` is the hardware address that it names."""

    def __init__(self, via: socket.socket, asker: Asker, interval: float = INTERVAL) -> None:
        """`via`: an AF_PACKET socket of that host, not yet bound; it is closed at the end."""
        super().__init__([via], interval)
        self._socket = via
        self._asker = asker
        self._questions: dict[str, bytes] = {}

    def __enter__(self) -> Self:
        self._socket.bind(("eth0", _ALL_PROTOCOLS))
        return super().__enter__()

    def ask(self, addresses: Sequence[str]) -> None:
        # Added before they are asked: the thread may be asking the former ones still.
        self._questions |= {address: self._asker.question(address) for address in addresses}
        super().ask(addresses)

    def _send(self, address: str) -> None:
        self._socket.send(self._questions[address])

    def _receive(self, via: socket.socket) -> tuple[str, str] | None:
        frame, about = via.recvfrom(_OCTETS)
        answered = None if about[2] == socket.PACKET_OUTGOING else self._asker.answered(frame)
        if answered is None:
            return None
        address, mac = answered
        return str(ip_address(address)), mac.hex(":")
