"""Heartbeats as datagrams: where each peer is reached, and what arrives."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Final

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import MAX_MESSAGE_SIZE, MESSAGES_PER_TURN
from heraldlb.speaker.desired import Peer
from heraldlb.speaker.messages import Message, MessageError, SignatureError, decode, encode
from heraldlb.speaker.settings import SpeakerSettings
from heraldlb.speaker.sockets import open_membership_sockets
from heraldlb.speaker.stats import Counters

MALFORMED: Final = "Malformed"
BAD_SIGNATURE: Final = "BadSignature"


class Courier:
    """The membership sockets. Raises OSError if the port is taken."""

    def __init__(self, settings: SpeakerSettings, counters: Counters) -> None:
        self._settings = settings
        self._counters = counters
        self._by_version = open_membership_sockets(settings.membership_port)
        self._routes: dict[str, tuple[socket.socket, tuple[str, int]]] = {}
        self.addresses: dict[str, IPAddress] = {}
        """Where each peer is reached."""

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """For a selector: readable when heartbeats wait."""
        return tuple(self._by_version.values())

    def reach(self, peers: Mapping[str, Peer]) -> None:
        """Send to these peers, each at its first address of a family that this node speaks."""
        self._routes = {}
        self.addresses = {}
        for peer in peers.values():
            for address in peer.addresses:
                via = self._by_version.get(address.version)
                if via is not None:
                    self._routes[peer.name] = (via, (str(address), self._settings.membership_port))
                    self.addresses[peer.name] = address
                    break

    def send(self, peer: str, message: Message) -> None:
        """Sign and send, or count that it could not be sent."""
        route = self._routes.get(peer)
        if route is None:
            return
        via, where = route
        try:
            via.sendto(encode(message, self._settings.keys()[0]), where)
        except OSError:
            self._counters.send_errors += 1
        else:
            self._counters.sent += 1

    def receive(self, source: socket.socket, now: float) -> Iterator[Message]:
        """Authentic messages that wait in one socket, a bounded number of them; others are counted and dropped."""
        keys = self._settings.keys()
        for _ in range(MESSAGES_PER_TURN):
            try:
                datagram = source.recv(MAX_MESSAGE_SIZE + 1)
            except BlockingIOError:
                return
            except OSError:
                # An ICMP error about an earlier heartbeat. The peer's silence says as much.
                continue
            try:
                yield decode(datagram, keys)
            except SignatureError:
                self._counters.refuse(BAD_SIGNATURE, now)
            except MessageError:
                self._counters.refuse(MALFORMED, now)

    def close(self) -> None:
        """Neither send nor receive any more."""
        for each in self._by_version.values():
            each.close()
