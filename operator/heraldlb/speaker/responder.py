"""From a received frame to the answer, or to the claim somebody makes: one responder for each interface. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker import arp, ndp
from heraldlb.speaker.clients import Clients, Update
from heraldlb.speaker.constants import MULTICAST_ANSWERS_PER_SECOND, REMEMBERED_FRAMES
from heraldlb.speaker.ethernet import BROADCAST, FrameError
from heraldlb.speaker.ownership import Share
from heraldlb.speaker.pacing import TokenBucket
from heraldlb.speaker.stats import AddressCounters, Counters


class Outcome(StrEnum):
    """What became of a frame that names an owned address; a metric label. Other frames are counted as
    `Unrelated`."""

    ANSWERED = "Answered"
    CLAIM = "Claim"
    MALFORMED = "Malformed"
    UNRELATED = "Unrelated"
    """For another address or another host, or an answer that asks nothing."""
    OTHERS_CLIENT = "OthersClient"
    """Asks for an address whose clients several nodes share, and belongs to another of them."""
    LIMITED = "Limited"
    """Answers to all nodes are limited; the sender will ask again."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody at `mac` says that an owned address is theirs, or probes for one that is being probed here."""

    address: IPAddress
    mac: bytes


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a frame means while the owned addresses stay the same."""

    outcome: Outcome
    counters: AddressCounters | None = None
    """Those of the address that is answered for, and not only probed."""
    reply: bytes | None = None
    claim: Claim | None = None
    to_all: bool = False
    client: tuple[IPAddress, bytes, IPAddress] | None = None
    """A shared address, and who asks for it: its hardware and its protocol address."""


_UNRELATED: Final = _Reading(Outcome.UNRELATED)
_MALFORMED: Final = _Reading(Outcome.MALFORMED)


class Responder:
    """Answers for the addresses owned on one interface, whose hardware address is `mac`.

    A neighbour that asks again sends the same octets, so the reply to a frame is made once and remembered.
    """

    def __init__(self, mac: bytes, counters: Counters, clients: Clients | None = None) -> None:
        self._mac = mac
        self._counters = counters
        self._clients = clients if clients is not None else Clients()
        self._shares: Mapping[IPAddress, Share] = {}
        self._addresses: dict[bytes, IPAddress] = {}
        self._silent: frozenset[IPAddress] = frozenset()
        self._multicast = TokenBucket(MULTICAST_ANSWERS_PER_SECOND)
        self.own(())

    def own(
        self,
        addresses: Iterable[IPAddress],
        probed: Collection[IPAddress] = (),
        shares: Mapping[IPAddress, Share] | None = None,
    ) -> None:
        """Answer for these and no others, of those among `shares` this node's clients only; look out for claims to
        them and to those `probed`."""
        self._shares = shares or {}
        self._silent = frozenset(probed)
        self._addresses = {address.packed: address for address in (*addresses, *probed)}
        self._read_arp = lru_cache(REMEMBERED_FRAMES)(self._arp)
        self._read_ndp = lru_cache(REMEMBERED_FRAMES)(self._ndp)

    def react_to_arp(self, frame: bytes, now: float) -> bytes | Claim | None:
        """The reply to send, the claim to look into, or None. Never raises for what a frame holds."""
        return self._react(self._read_arp(frame), now)

    def react_to_ndp(self, frame: bytes, now: float) -> bytes | Claim | None:
        """As `react_to_arp`, for neighbour solicitations and advertisements."""
        return self._react(self._read_ndp(frame), now)

    def announcement(self, address: IPAddress) -> tuple[bytes, ...]:
        """The frames that tell the LAN where the address is now."""
        self._of(address).announcements += 1
        if isinstance(address, IPv4Address):
            return arp.announcements(address, self._mac)
        return (ndp.announcement(address, self._mac),)

    def probe(self, address: IPAddress) -> bytes:
        """The frame that asks the LAN whether a host has the address."""
        self._counters.probes += 1
        if isinstance(address, IPv4Address):
            return arp.probe(address, self._mac)
        return ndp.probe(address, self._mac)

    def update(self, update: Update, mac: bytes) -> tuple[bytes, ...]:
        """The frames that tell one client that the address is at `mac`, be that here or elsewhere."""
        if isinstance(update.address, IPv4Address):
            return arp.announcements(update.address, mac, sender=self._mac, to=update.station)
        if isinstance(update.host, IPv4Address):
            return ()
        return (ndp.update(update.address, mac, sender=self._mac, to=update.station, host=update.host),)

    def groups(self) -> frozenset[IPv6Address]:
        """The multicast groups in which solicitations for the owned addresses, and claims to them, arrive."""
        owned = [address for address in self._addresses.values() if isinstance(address, IPv6Address)]
        return frozenset(map(ndp.solicited_node, owned)) | (frozenset({ndp.ALL_NODES}) if owned else frozenset())

    def _react(self, reading: _Reading, now: float) -> bytes | Claim | None:
        if reading.to_all and not self._multicast.take(now):
            self._counters.frames[Outcome.LIMITED] += 1
            return None
        self._counters.frames[reading.outcome] += 1
        if reading.client is not None:
            self._clients.seen(*reading.client)
        if (counters := reading.counters) is not None:
            if reading.claim is not None:
                counters.claims += 1
            else:
                counters.requests += 1
                counters.answers += reading.reply is not None
        return reading.reply or reading.claim

    def _arp(self, frame: bytes) -> _Reading:
        try:
            packet = arp.decode(frame)
        except FrameError:
            return _MALFORMED
        if packet.sender_mac == self._mac or packet.ethernet.destination not in (BROADCAST, self._mac):
            return _UNRELATED
        claimed = self._addresses.get(packet.sender_ip.packed)
        wanted = self._addresses.get(packet.target_ip.packed)
        if claimed is not None:
            return self._claim(claimed, packet.sender_mac)
        if wanted is None or packet.operation != arp.REQUEST:
            return _UNRELATED
        if wanted in self._silent:
            return self._claim(wanted, packet.sender_mac) if packet.sender_ip == arp.UNSPECIFIED else _UNRELATED
        reply = arp.answer(packet, self._mac)
        if (share := self._shares.get(wanted)) is not None:
            return self._shared(share, reply, packet.sender_mac, packet.sender_ip)
        return _Reading(Outcome.ANSWERED, self._of(wanted), reply)

    def _ndp(self, frame: bytes) -> _Reading:
        try:
            message = ndp.decode(frame)
        except FrameError:
            return _MALFORMED
        station = message.link_layer or message.ethernet.source
        if self._mac in (station, message.ethernet.source):
            return _UNRELATED
        claimed = self._addresses.get(message.source.packed)
        wanted = self._addresses.get(message.target.packed)
        if isinstance(message, ndp.NeighborAdvertisement):
            return _UNRELATED if wanted is None else self._claim(wanted, station)
        if claimed is not None:
            return self._claim(claimed, station)
        if wanted is None:
            return _UNRELATED
        probing = message.source == ndp.UNSPECIFIED
        if wanted in self._silent:
            return self._claim(wanted, station) if probing else _UNRELATED
        reply = ndp.answer(message, self._mac)
        if (share := self._shares.get(wanted)) is not None:
            return self._shared(share, reply, station, message.source)
        return _Reading(Outcome.ANSWERED, self._of(wanted), reply, to_all=probing)

    def _shared(self, share: Share, reply: bytes, station: bytes, host: IPAddress) -> _Reading:
        """What a question for a shared address means. One that asks whether the address is free is no client."""
        counters, client = self._of(share.address), (share.address, station, host)
        if host in (arp.UNSPECIFIED, ndp.UNSPECIFIED):
            if not share.lead:
                return _Reading(Outcome.OTHERS_CLIENT, counters)
            return _Reading(Outcome.ANSWERED, counters, reply, to_all=host == ndp.UNSPECIFIED)
        if not share.answers(station):
            return _Reading(Outcome.OTHERS_CLIENT, counters, client=client)
        return _Reading(Outcome.ANSWERED, counters, reply, client=client)

    def _claim(self, address: IPAddress, mac: bytes) -> _Reading:
        counters = self._of(address) if address not in self._silent else None
        return _Reading(Outcome.CLAIM, counters, claim=Claim(address, mac))

    def _of(self, address: IPAddress) -> AddressCounters:
        return self._counters.addresses.setdefault(address, AddressCounters())
