"""An interface on which this node owns addresses: its packet sockets, its responder, its multicast groups."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.bpf import ARP_FIELDS, NDP_FIELDS
from heraldlb.speaker.clients import Clients, Update
from heraldlb.speaker.constants import FRAMES_PER_TURN
from heraldlb.speaker.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV6
from heraldlb.speaker.ownership import Placement, Share
from heraldlb.speaker.responder import Claim, Responder
from heraldlb.speaker.sockets import MulticastGroups, open_packet_socket
from heraldlb.speaker.stats import Counters

_LARGEST = 2_048

React = Callable[[bytes, float], bytes | Claim | None]


@dataclass(frozen=True, slots=True)
class Source:
    """One packet socket of a port and what its frames mean."""

    socket: socket.socket
    react: React


class Port:
    """Open while at least one address is owned on the interface. Closing it discards frames that nobody has
    read yet, which is how a node that was away avoids answering questions it no longer has a say in."""

    def __init__(self, placement: Placement, counters: Counters, clients: Clients) -> None:
        """Raises OSError: the interface is gone, or the process lacks CAP_NET_RAW."""
        self.placement = placement
        self._counters = counters
        self._responder = Responder(placement.mac, counters, clients)
        self._arp = open_packet_socket(placement.interface, ETHERTYPE_ARP, ARP_FIELDS)
        try:
            self._ndp = open_packet_socket(placement.interface, ETHERTYPE_IPV6, NDP_FIELDS)
        except OSError:
            self._arp.close()
            raise
        self._groups = MulticastGroups(placement.index, self._ndp)
        self.sources = (
            Source(self._arp, self._responder.react_to_arp),
            Source(self._ndp, self._responder.react_to_ndp),
        )

    def own(
        self, addresses: Iterable[IPAddress], probed: Collection[IPAddress], shares: Mapping[IPAddress, Share]
    ) -> None:
        """Answer for these and no others, of those among `shares` this node's clients only; report claims to them
        and to those `probed`. Raises OSError if the interface is gone."""
        self._responder.own(addresses, probed, shares)
        self._groups.set(self._responder.groups())

    def announce(self, address: IPAddress) -> None:
        """Tell the LAN that the address is here."""
        for frame in self._responder.announcement(address):
            self._send(self._socket_for(address), frame)

    def update(self, update: Update, mac: bytes) -> None:
        """Tell one client that the address is at `mac`."""
        for frame in self._responder.update(update, mac):
            self._send(self._socket_for(update.address), frame)

    def probe(self, address: IPAddress) -> None:
        """Ask the LAN whether a host has the address."""
        self._send(self._socket_for(address), self._responder.probe(address))

    def serve(self, source: Source, clock: Callable[[], float], until: float) -> list[Claim]:
        """Answer what waits in one socket, and return the claims among it.

        Looks at the clock before each answer and answers nothing after `until`: the process may be stopped and
        continued between any two instructions.
        """
        claims: list[Claim] = []
        for _ in range(FRAMES_PER_TURN):
            try:
                frame = source.socket.recv(_LARGEST)
            except OSError:
                # Nothing left, or the interface went down: netlink tells.
                break
            now = clock()
            if now >= until:
                break
            reaction = source.react(frame, now)
            if isinstance(reaction, bytes):
                self._send(source.socket, reaction)
            elif reaction is not None:
                claims.append(reaction)
        return claims

    def close(self) -> None:
        """Answer no more."""
        self._responder.own(())
        self._groups.close()
        self._arp.close()
        self._ndp.close()

    def _socket_for(self, address: IPAddress) -> socket.socket:
        return self._arp if isinstance(address, IPv4Address) else self._ndp

    def _send(self, via: socket.socket, frame: bytes) -> None:
        try:
            via.send(frame)
        except OSError:
            self._counters.send_errors += 1
