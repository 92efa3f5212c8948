"""From a received frame to the answer, or to the claim somebody makes: one responder for each interface. No I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker import arp, ndp
from heraldlb.speaker.constants import MULTICAST_ANSWERS_PER_SECOND
from heraldlb.speaker.ethernet import BROADCAST, FrameError
from heraldlb.speaker.pacing import TokenBucket
from heraldlb.speaker.stats import AddressCounters, Counters

# Where the addresses stand in a frame, so that what concerns nobody here is passed over without decoding it.
_ARP_SENDER: Final = slice(28, 32)
_ARP_TARGET: Final = slice(38, 42)
_NDP_SOURCE: Final = slice(22, 38)
_NDP_TARGET: Final = slice(62, 78)


class Outcome(StrEnum):
    """What became of a frame that names an owned address; a metric label. Other frames are counted as
    `Unrelated`."""

    ANSWERED = "Answered"
    CLAIM = "Claim"
    MALFORMED = "Malformed"
    UNRELATED = "Unrelated"
    """For another address or another host, or an answer that asks nothing."""
    LIMITED = "Limited"
    """Answers to all nodes are limited; the sender will ask again."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody at `mac` says that an owned address is theirs."""

    address: IPAddress
    mac: bytes


class Responder:
    """Answers for the addresses owned on one interface, whose hardware address is `mac`."""

    def __init__(self, mac: bytes, counters: Counters) -> None:
        self._mac = mac
        self._counters = counters
        self._addresses: dict[bytes, IPAddress] = {}
        self._multicast = TokenBucket(MULTICAST_ANSWERS_PER_SECOND)

    def own(self, addresses: Iterable[IPAddress]) -> None:
        """Answer for these and no others."""
        self._addresses = {address.packed: address for address in addresses}

    def react_to_arp(self, frame: bytes, now: float) -> bytes | Claim | None:
        """The reply to send, the claim to look into, or None. Never raises for what a frame holds."""
        claimed, wanted = self._addresses.get(frame[_ARP_SENDER]), self._addresses.get(frame[_ARP_TARGET])
        if claimed is None and wanted is None:
            return self._nothing(Outcome.UNRELATED)
        try:
            packet = arp.decode(frame)
        except FrameError:
            return self._nothing(Outcome.MALFORMED)
        if packet.sender_mac == self._mac or packet.ethernet.destination not in (BROADCAST, self._mac):
            return self._nothing(Outcome.UNRELATED)
        if claimed is not None:
            return self._claim(claimed, packet.sender_mac)
        if packet.operation != arp.REQUEST or wanted is None:
            return self._nothing(Outcome.UNRELATED)
        return self._answer(wanted, arp.answer(packet, self._mac))

    def react_to_ndp(self, frame: bytes, now: float) -> bytes | Claim | None:
        """As `react_to_arp`, for neighbour solicitations and advertisements."""
        claimed, wanted = self._addresses.get(frame[_NDP_SOURCE]), self._addresses.get(frame[_NDP_TARGET])
        if claimed is None and wanted is None:
            return self._nothing(Outcome.UNRELATED)
        try:
            message = ndp.decode(frame)
        except FrameError:
            return self._nothing(Outcome.MALFORMED)
        station = message.link_layer or message.ethernet.source
        if station == self._mac or message.ethernet.source == self._mac:
            return self._nothing(Outcome.UNRELATED)
        if isinstance(message, ndp.NeighborAdvertisement):
            claimed = wanted
        if claimed is not None:
            return self._claim(claimed, station)
        if wanted is None:
            return self._nothing(Outcome.UNRELATED)
        if isinstance(message, ndp.NeighborSolicitation):
            if message.source == ndp.UNSPECIFIED and not self._multicast.take(now):
                return self._nothing(Outcome.LIMITED)
            return self._answer(wanted, ndp.answer(message, self._mac))
        return self._nothing(Outcome.UNRELATED)

    def announcement(self, address: IPAddress) -> tuple[bytes, ...]:
        """The frames that tell the LAN where the address is now."""
        self._of(address).announcements += 1
        if isinstance(address, IPv4Address):
            return arp.announcements(address, self._mac)
        return (ndp.announcement(address, self._mac),)

    def groups(self) -> frozenset[IPv6Address]:
        """The multicast groups in which solicitations for the owned addresses arrive."""
        return frozenset(ndp.solicited_node(a) for a in self._addresses.values() if isinstance(a, IPv6Address))

    def _answer(self, address: IPAddress, reply: bytes) -> bytes:
        counters = self._of(address)
        counters.requests += 1
        counters.answers += 1
        self._counters.frames[Outcome.ANSWERED] += 1
        return reply

    def _claim(self, address: IPAddress, mac: bytes) -> Claim:
        self._of(address).claims += 1
        self._counters.frames[Outcome.CLAIM] += 1
        return Claim(address, mac)

    def _nothing(self, outcome: Outcome) -> bytes | Claim | None:
        self._counters.frames[outcome] += 1
        return None

    def _of(self, address: IPAddress) -> AddressCounters:
        return self._counters.addresses.setdefault(address, AddressCounters())
