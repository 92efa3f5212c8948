"""Neighbour solicitations and advertisements (RFC 4861 sections 4.3, 4.4, 7) in Ethernet frames (RFC 2464)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address
from typing import Final

from heraldlb.speaker.ethernet import (
    ALL_NODES_MAC,
    ETHERTYPE_IPV6,
    HEADER_SIZE,
    EthernetHeader,
    FrameError,
    decode_header,
    is_unicast,
)

SOLICITATION: Final = 135
ADVERTISEMENT: Final = 136

ALL_NODES: Final = IPv6Address("ff02::1")
UNSPECIFIED: Final = IPv6Address("::")

FRAME_SIZE: Final = 78
SOURCE: Final = slice(22, 38)
"""Where a frame holds the sender's protocol address."""
TARGET: Final = slice(62, 78)
"""Octets of the shortest message: Ethernet, IPv6 and 24 octets of ICMPv6."""

_IPV6: Final = struct.Struct("!IHBB16s16s")
_ICMPV6: Final = struct.Struct("!BBHI16s")
_VERSION_6: Final = 6 << 28
_ICMPV6_START: Final = HEADER_SIZE + _IPV6.size
_NEXT_HEADER_ICMPV6: Final = 58
# A router would have decremented it: 255 proves that the sender is on the link (RFC 4861 section 7.1.1).
_HOP_LIMIT: Final = 255

_SOURCE_LINK_LAYER: Final = 1
_TARGET_LINK_LAYER: Final = 2

_ROUTER: Final = 1 << 31
_SOLICITED: Final = 1 << 30
_OVERRIDE: Final = 1 << 29

_SOLICITED_NODE: Final = int(IPv6Address("ff02::1:ff00:0"))


@dataclass(frozen=True, slots=True)
class NeighborSolicitation:
    """Who has `target`? From `::` it is a duplicate-address probe (RFC 4862 section 5.4)."""

    ethernet: EthernetHeader
    source: IPv6Address
    destination: IPv6Address
    target: IPv6Address
    link_layer: bytes | None = None
    """The source link-layer address option; unicast solicitations may come without (RFC 4861 section 4.3)."""

    def encode(self) -> bytes:
        """The frame."""
        options = _option(_SOURCE_LINK_LAYER, self.link_layer)
        return _encode(self.ethernet, self.source, self.destination, SOLICITATION, 0, self.target, options)


@dataclass(frozen=True, slots=True)
class NeighborAdvertisement:
    """`target` is at `link_layer`, or, without that option, at the sender's address as known."""

    ethernet: EthernetHeader
    source: IPv6Address
    destination: IPv6Address
    target: IPv6Address
    router: bool = False
    solicited: bool = False
    override: bool = False
    link_layer: bytes | None = None

    def encode(self) -> bytes:
        """The frame."""
        flags = _ROUTER * self.router | _SOLICITED * self.solicited | _OVERRIDE * self.override
        options = _option(_TARGET_LINK_LAYER, self.link_layer)
        return _encode(self.ethernet, self.source, self.destination, ADVERTISEMENT, flags, self.target, options)


def decode(frame: bytes) -> NeighborSolicitation | NeighborAdvertisement:
    """Checked as RFC 4861 sections 7.1.1 and 7.1.2 demand. Raises FrameError and nothing else.

    Octets after the IPv6 payload are padding; extension headers are not followed: nodes put none before these
    messages, and RFC 6980 forbids the fragment header. Unknown options are skipped.
    """
    header = decode_header(frame)
    if header.ethertype != ETHERTYPE_IPV6 or len(frame) < FRAME_SIZE:
        raise FrameError("no IPv6 frame long enough for neighbour discovery")
    first, length, next_header, hop_limit, source_octets, destination_octets = _IPV6.unpack_from(frame, HEADER_SIZE)
    payload = frame[_ICMPV6_START : _ICMPV6_START + length]
    if first >> 28 != 6 or next_header != _NEXT_HEADER_ICMPV6:
        raise FrameError("not an ICMPv6 message right after an IPv6 header")
    if hop_limit != _HOP_LIMIT:
        raise FrameError(f"hop limit {hop_limit}: the message may come from another link")
    if not _ICMPV6.size <= len(payload) == length:
        raise FrameError(f"IPv6 payload length {length} does not fit the frame or the message")
    if _checksum(source_octets, destination_octets, payload):
        raise FrameError("wrong ICMPv6 checksum")
    kind, code, _, flags, target_octets = _ICMPV6.unpack_from(payload)
    if kind not in (SOLICITATION, ADVERTISEMENT) or code != 0:
        raise FrameError(f"ICMPv6 type {kind} code {code} is not neighbour discovery")
    source, destination, target = map(IPv6Address, (source_octets, destination_octets, target_octets))
    if target.is_multicast or source.is_multicast:
        raise FrameError("a multicast address as target or source")
    if kind == ADVERTISEMENT:
        return _advertisement(header, source, destination, target, flags, payload)
    return _solicitation(header, source, destination, target, payload)


def answer(solicitation: NeighborSolicitation, mac: bytes) -> bytes:
    """The advertisement that says the target is at `mac` (RFC 4861 section 7.2.4).

    A probe from `::` cannot be answered to its sender, so the answer goes to all nodes, unsolicited. A
    solicitation without a link-layer option is answered to the station that sent the frame: it came over this
    link (hop limit 255).
    """
    probe = solicitation.source == UNSPECIFIED
    station = ALL_NODES_MAC if probe else solicitation.link_layer or solicitation.ethernet.source
    return NeighborAdvertisement(
        EthernetHeader(station, mac, ETHERTYPE_IPV6),
        source=solicitation.target,
        destination=ALL_NODES if probe else solicitation.source,
        target=solicitation.target,
        solicited=not probe,
        override=True,
        link_layer=mac,
    ).encode()


def probe(address: IPv6Address, mac: bytes) -> bytes:
    """The question whether anybody has `address`, from `::` and so without a link-layer option (RFC 4862 section
    5.4.2)."""
    group = solicited_node(address)
    header = EthernetHeader(multicast_mac(group), mac, ETHERTYPE_IPV6)
    return NeighborSolicitation(header, UNSPECIFIED, group, address).encode()


def poll(address: IPv6Address, station: bytes, own: IPv6Address, mac: bytes) -> bytes:
    """The question for `address` to the one station that had it last, from a node that has `own`.

    Addressed to the group, though the frame goes to one station (RFC 6085): what is addressed to a node itself may
    be answered without a link-layer address (RFC 4861 section 4.4), which is no answer to who knows none.
    """
    header = EthernetHeader(station, mac, ETHERTYPE_IPV6)
    return NeighborSolicitation(header, own, solicited_node(address), address, link_layer=mac).encode()


def announcement(address: IPv6Address, mac: bytes) -> bytes:
    """The unsolicited advertisement to all nodes that moves `address` to `mac` (RFC 4861 section 7.2.6)."""
    header = EthernetHeader(ALL_NODES_MAC, mac, ETHERTYPE_IPV6)
    return NeighborAdvertisement(header, address, ALL_NODES, address, override=True, link_layer=mac).encode()


def update(address: IPv6Address, mac: bytes, *, sender: bytes, to: bytes, host: IPv6Address) -> bytes:
    """The same to one neighbour alone: `host`, at `to`. `sender` is the station that sends it."""
    header = EthernetHeader(to, sender, ETHERTYPE_IPV6)
    return NeighborAdvertisement(header, address, host, address, override=True, link_layer=mac).encode()


def solicited_node(address: IPv6Address) -> IPv6Address:
    """The multicast group that solicitations for `address` are sent to (RFC 4291 section 2.7.1)."""
    return IPv6Address(_SOLICITED_NODE | int(address) & 0xFF_FFFF)


def multicast_mac(group: IPv6Address) -> bytes:
    """The Ethernet address that a multicast group maps to (RFC 2464 section 7)."""
    return b"\x33\x33" + group.packed[12:]


def _solicitation(
    header: EthernetHeader, source: IPv6Address, destination: IPv6Address, target: IPv6Address, payload: bytes
) -> NeighborSolicitation:
    link_layer = _link_layer(payload, _SOURCE_LINK_LAYER)
    if destination not in (target, solicited_node(target)):
        raise FrameError("a solicitation to neither its target nor the target's solicited-node group")
    if source == UNSPECIFIED and (link_layer is not None or destination == target):
        raise FrameError("a probe from :: must go to the solicited-node group and carry no link-layer address")
    return NeighborSolicitation(header, source, destination, target, link_layer)


def _advertisement(
    header: EthernetHeader,
    source: IPv6Address,
    destination: IPv6Address,
    target: IPv6Address,
    flags: int,
    payload: bytes,
) -> NeighborAdvertisement:
    link_layer = _link_layer(payload, _TARGET_LINK_LAYER)
    if destination.is_multicast and flags & _SOLICITED:
        raise FrameError("an advertisement to a multicast group must not be marked solicited")
    router, solicited, override = bool(flags & _ROUTER), bool(flags & _SOLICITED), bool(flags & _OVERRIDE)
    return NeighborAdvertisement(header, source, destination, target, router, solicited, override, link_layer)


def _link_layer(payload: bytes, wanted: int) -> bytes | None:
    found = None
    position = _ICMPV6.size
    while position < len(payload):
        size = payload[position + 1] * 8 if position + 1 < len(payload) else 0
        if size == 0 or position + size > len(payload):
            raise FrameError("an option of length zero or longer than the message")
        if payload[position] == wanted and found is None:
            found = payload[position + 2 : position + 8]
            if size != 8 or not is_unicast(found):
                raise FrameError("a link-layer option that holds no station's Ethernet address")
        position += size
    return found


def _option(kind: int, mac: bytes | None) -> bytes:
    return b"" if mac is None else bytes((kind, 1)) + mac


def _encode(
    header: EthernetHeader,
    source: IPv6Address,
    destination: IPv6Address,
    kind: int,
    flags: int,
    target: IPv6Address,
    options: bytes,
) -> bytes:
    unsummed = _ICMPV6.pack(kind, 0, 0, flags, target.packed) + options
    checksum = _checksum(source.packed, destination.packed, unsummed)
    message = unsummed[:2] + checksum.to_bytes(2) + unsummed[4:]
    first = _IPV6.pack(_VERSION_6, len(message), _NEXT_HEADER_ICMPV6, _HOP_LIMIT, source.packed, destination.packed)
    return header.encode() + first + message


def _checksum(source: bytes, destination: bytes, message: bytes) -> int:
    """The Internet checksum with IPv6's pseudo-header (RFC 8200 section 8.1); 0 over a message that carries its
    own.

    One's-complement addition of 16-bit words is addition modulo 0xFFFF, which Python does on the whole number
    at once.
    """
    if len(message) % 2:
        message += b"\x00"
    total = int.from_bytes(source + destination + message) + len(message) + _NEXT_HEADER_ICMPV6
    return -total % 0xFFFF
