"""An interface on which this node owns addresses: its packet sockets, its responder, its multicast groups."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from ipaddress import IPv4Address

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.bpf import ARP_PATTERN, NDP_PATTERN, Pattern, Range, cover
from heraldlb.speaker.clients import Clients, Update
from heraldlb.speaker.constants import FILTER_RANGES, FRAMES_PER_TURN
from heraldlb.speaker.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV6
from heraldlb.speaker.ownership import Placement, Share
from heraldlb.speaker.responder import Claim, Responder
from heraldlb.speaker.sockets import MulticastGroups, attach_filter, open_packet_socket
from heraldlb.speaker.stats import Counters

_LARGEST = 2_048

React = Callable[[bytes, float], bytes | Claim | None]


class Lane:
    """One packet socket of a port: questions of one family come in, answers go out.

    Whoever asks waits while this runs, mostly for memory that is not at hand: what it needs, it holds itself.
    """

    __slots__ = ("_counters", "_let_in", "_pattern", "_react", "_recv", "_send", "_socket", "version")

    def __init__(
        self, opened: socket.socket, pattern: Pattern, version: int, react: React, counters: Counters
    ) -> None:
        """`version`: of the IP addresses that its frames are about."""
        self.version = version
        self._socket = opened
        self._recv, self._send = opened.recv, opened.send
        self._pattern = pattern
        self._react = react
        self._counters = counters
        self._let_in: tuple[Range, ...] = ()

    def fileno(self) -> int:
        """For polling."""
        return self._socket.fileno()

    def let_in(self, addresses: Iterable[IPAddress]) -> None:
        """Receive what is about one of these. Raises OSError."""
        words = (int(each) & 0xFFFF_FFFF for each in addresses if each.version == self.version)
        if (ranges := cover(words, FILTER_RANGES)) != self._let_in:
            attach_filter(self._socket, self._pattern, ranges)
            self._let_in = ranges

    def serve(self, clock: Callable[[], float], until: float) -> Sequence[Claim]:
        """Answer what waits, and return the claims among it.

        Looks at the clock before each answer and answers nothing after `until`: the process may be stopped and
        continued between any two instructions.
        """
        claims: tuple[Claim, ...] = ()
        for _ in range(FRAMES_PER_TURN):
            try:
                frame = self._recv(_LARGEST)
            except OSError:
                # Nothing left, or the interface went down: netlink tells.
                break
            now = clock()
            if now >= until:
                break
            reaction = self._react(frame, now)
            if isinstance(reaction, bytes):
                self.send(reaction)
            elif reaction is not None:
                claims = (*claims, reaction)
        return claims

    def send(self, frame: bytes) -> None:
        """Send, or count that it could not be sent."""
        try:
            self._send(frame)
        except OSError:
            self._counters.send_errors += 1

    def close(self) -> None:
        """Closes the socket."""
        self._socket.close()


class Port:
    """Open while at least one address is owned on the interface. Closing it discards frames that nobody has
    read yet, which is how a node that was away avoids answering questions it no longer has a say in."""

    def __init__(self, placement: Placement, counters: Counters, clients: Clients) -> None:
        """Raises OSError: the interface is gone, or the process lacks CAP_NET_RAW."""
        self.placement = placement
        self._responder = Responder(placement.mac, counters, clients)
        arp_socket = open_packet_socket(placement.interface, ETHERTYPE_ARP)
        try:
            ndp_socket = open_packet_socket(placement.interface, ETHERTYPE_IPV6)
        except OSError:
            arp_socket.close()
            raise
        self._groups = MulticastGroups(placement.index, ndp_socket)
        self._arp = Lane(arp_socket, ARP_PATTERN, 4, self._responder.react_to_arp, counters)
        self._ndp = Lane(ndp_socket, NDP_PATTERN, 6, self._responder.react_to_ndp, counters)
        self.lanes = (self._arp, self._ndp)

    def own(
        self, addresses: Iterable[IPAddress], probed: Collection[IPAddress], shares: Mapping[IPAddress, Share]
    ) -> None:
        """Answer for these and no others, of those among `shares` this node's clients only; report claims to them
        and to those `probed`. Raises OSError if the interface is gone."""
        answered = tuple(addresses)
        self._responder.own(answered, probed, shares)
        self._groups.set(self._responder.groups())
        for lane in self.lanes:
            lane.let_in((*answered, *probed))

    def announce(self, address: IPAddress) -> None:
        """Tell the LAN that the address is here."""
        for frame in self._responder.announcement(address):
            self._lane_of(address).send(frame)

    def update(self, update: Update, mac: bytes) -> None:
        """Tell one client that the address is at `mac`."""
        for frame in self._responder.update(update, mac):
            self._lane_of(update.address).send(frame)

    def probe(self, address: IPAddress) -> None:
        """Ask the LAN whether a host has the address."""
        self._lane_of(address).send(self._responder.probe(address))

    def close(self) -> None:
        """Answer no more."""
        self._responder.own(())
        self._groups.close()
        for lane in self.lanes:
            lane.close()

    def _lane_of(self, address: IPAddress) -> Lane:
        return self._arp if isinstance(address, IPv4Address) else self._ndp
