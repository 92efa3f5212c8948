"""Questions whether a host has an address, which change nobody's cache, and what answers them. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker import arp, ndp
from heraldlb.speaker.ethernet import ETHERTYPE_ARP, FrameError, decode_header


def question(address: IPAddress, mac: bytes) -> bytes:
    """An ARP probe (RFC 5227 section 2.1.1) or a neighbour solicitation for duplicate address detection (RFC 4862
    section 5.4.2), from the station at `mac`. Neither names an address of its sender."""
    return arp.probe(address, mac) if isinstance(address, IPv4Address) else ndp.probe(address, mac)


def claim(frame: bytes) -> tuple[IPAddress, bytes] | None:
    """An address that the sender of an ARP or neighbour discovery frame says is its own, and the hardware address
    that it gives for it."""
    try:
        if decode_header(frame).ethertype == ETHERTYPE_ARP:
            packet = arp.decode(frame)
            return (packet.sender_ip, packet.sender_mac) if packet.sender_ip != arp.UNSPECIFIED else None
        message = ndp.decode(frame)
    except FrameError:
        return None
    address = message.target if isinstance(message, ndp.NeighborAdvertisement) else message.source
    return (address, message.link_layer or message.ethernet.source) if address != ndp.UNSPECIFIED else None
