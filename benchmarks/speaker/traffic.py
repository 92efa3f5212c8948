"""A client that sends a datagram to each address every few milliseconds, and notes which node answers.

Its kernel sends them to where its own neighbour cache says.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from benchmarks.speaker.poller import INTERVAL, Poller

if TYPE_CHECKING:
    from collections.abc import Sequence

ECHO_PORT: Final = 7007
_OCTETS: Final = 64


class Traffic(Poller):
    """Of an answer, `mac` is what the node that answers says of itself."""

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        """`sockets`: UDP sockets of the client, one of each family; they are closed at the end."""
        super().__init__(sockets, INTERVAL)
        self._by_family = {each.family: each for each in sockets}

    def _send(self, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._by_family[family].sendto(b"?", (address, ECHO_PORT))

    def _receive(self, via: socket.socket) -> tuple[str, str]:
        answer, sender = via.recvfrom(_OCTETS)
        return sender[0], answer.decode()
