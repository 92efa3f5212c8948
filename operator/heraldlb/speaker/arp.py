"""ARP for IPv4 over Ethernet (RFC 826), with the terms of RFC 5227 (probe, announcement)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from heraldlb.speaker.ethernet import (
    BROADCAST,
    ETHERTYPE_ARP,
    HEADER_SIZE,
    EthernetHeader,
    FrameError,
    decode_header,
    is_unicast,
)

REQUEST: Final = 1
REPLY: Final = 2

FRAME_SIZE: Final = 42
SENDER: Final = slice(28, 32)
"""Where a frame holds the sender's protocol address."""
TARGET: Final = slice(38, 42)

UNSPECIFIED: Final = IPv4Address("0.0.0.0")

# Hardware type Ethernet, protocol type IPv4, address lengths 6 and 4.
_ETHERNET_IPV4: Final = b"\x00\x01\x08\x00\x06\x04"
_BODY: Final = struct.Struct("!6sH6s4s6s4s")
_NO_MAC: Final = b"\x00" * 6


@dataclass(frozen=True, slots=True)
class Arp:
    """An ARP packet and the Ethernet header it came in. Hardware addresses are six octets."""

    ethernet: EthernetHeader
    operation: int
    sender_mac: bytes
    sender_ip: IPv4Address
    target_mac: bytes
    target_ip: IPv4Address

    def encode(self) -> bytes:
        """The frame, without padding to the Ethernet minimum: that is the driver's."""
        return self.ethernet.encode() + _BODY.pack(
            _ETHERNET_IPV4,
            self.operation,
            self.sender_mac,
            self.sender_ip.packed,
            self.target_mac,
            self.target_ip.packed,
        )


def decode(frame: bytes) -> Arp:
    """A request or reply; octets after the 42nd are padding. Raises FrameError and nothing else.

    Refused beyond what RFC 826 refuses: a group or null hardware address as sender, which no station has and
    which would turn an answer into a broadcast.
    """
    header = decode_header(frame)
    if header.ethertype != ETHERTYPE_ARP:
        raise FrameError(f"EtherType {header.ethertype:#06x} is not ARP")
    if len(frame) < FRAME_SIZE:
        raise FrameError(f"an ARP frame is {FRAME_SIZE} octets, this has {len(frame)}")
    kind, operation, sender_mac, sender_ip, target_mac, target_ip = _BODY.unpack_from(frame, HEADER_SIZE)
    if kind != _ETHERNET_IPV4:
        raise FrameError("not ARP for IPv4 over Ethernet")
    if operation not in (REQUEST, REPLY):
        raise FrameError(f"operation {operation} is neither request nor reply")
    if not is_unicast(sender_mac):
        raise FrameError("a group or null address as sender hardware address")
    return Arp(header, operation, sender_mac, IPv4Address(sender_ip), target_mac, IPv4Address(target_ip))


def answer(request: Arp, mac: bytes) -> bytes:
    """The reply that says the request's target is at `mac`, sent to whoever asked (RFC 826 "Packet Reception").

    A probe (sender 0.0.0.0, RFC 5227 section 2.1.1) is answered alike: that is how its sender learns of the
    conflict.
    """
    header = EthernetHeader(request.sender_mac, mac, ETHERTYPE_ARP)
    return Arp(header, REPLY, mac, request.target_ip, request.sender_mac, request.sender_ip).encode()


def probe(address: IPv4Address, mac: bytes) -> bytes:
    """The question whether anybody has `address`, which tells nobody that the asker may have it soon: its sender
    address is 0.0.0.0 (RFC 5227 section 2.1.1)."""
    header = EthernetHeader(BROADCAST, mac, ETHERTYPE_ARP)
    return Arp(header, REQUEST, mac, UNSPECIFIED, _NO_MAC, address).encode()


def poll(address: IPv4Address, station: bytes, own: IPv4Address, mac: bytes) -> bytes:
    """The question for `address` to the one station that had it last, from a node that has `own` (the unicast poll
    of RFC 1122 section 2.3.2.1)."""
    header = EthernetHeader(station, mac, ETHERTYPE_ARP)
    return Arp(header, REQUEST, mac, own, _NO_MAC, address).encode()


def announcements(
    address: IPv4Address, mac: bytes, *, sender: bytes | None = None, to: bytes = BROADCAST
) -> tuple[bytes, bytes]:
    """The two frames that move `address` to `mac` in every neighbour's cache, or in that of the station `to` alone.

    Both forms, since hosts differ in which they heed: the request is RFC 5227's announcement (section 3 says
    why it is to be preferred), the reply is what older hosts and some firewalls wait for. A station other than
    that at `mac` may send them: `sender`.
    """
    header = EthernetHeader(to, sender or mac, ETHERTYPE_ARP)
    return (
        Arp(header, REQUEST, mac, address, _NO_MAC, address).encode(),
        Arp(header, REPLY, mac, address, to, address).encode(),
    )
