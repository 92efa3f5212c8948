"""Asks a link for DHCP servers (RFC 2131), as a new host would that then takes none of their offers.

One DHCPDISCOVER, from no address and with the broadcast flag, by packet socket: the UDP port may be a DHCP client's
of the node. No state is kept, here or, but for a moment's reservation, at the servers.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import struct
from contextlib import suppress
from ipaddress import IPv4Address
from typing import Final

from pyroute2.dhcp.dhcp4msg import dhcp4msg
from pyroute2.dhcp.enums.bootp import Flag
from pyroute2.dhcp.enums.bootp import MessageType as Operation
from pyroute2.dhcp.enums.dhcp import MessageType, Option

from heraldlb.examination.facts import LinkFacts
from heraldlb.examination.survey import DhcpOffer
from heraldlb.speaker.bpf import LOAD_BYTE, LOAD_HALF, OURS, Field, Pattern
from heraldlb.speaker.ethernet import BROADCAST, HEADER_SIZE, EthernetHeader, format_mac, parse_mac
from heraldlb.speaker.sockets import attach_filter, open_packet_socket

log = logging.getLogger(__name__)

LISTEN: Final = 4.0
"""Seconds for which offers are listened for. dnsmasq, which many home routers run, pings an address for three
before it offers it to a host that it does not know."""

MAX_REPLIES: Final = 64
"""Read on one link. Bounds what a host gone mad can cost."""

_ETHERTYPE_IPV4: Final = 0x0800
_SERVER_PORT, _CLIENT_PORT = 67, 68
_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_UDP: Final = struct.Struct("!HHHH")
_PAYLOAD: Final = HEADER_SIZE + _IPV4.size + _UDP.size
_VERSION_AND_LENGTH: Final = 0x45
_NO_FRAGMENTS: Final = 0x4000
_TIME_TO_LIVE: Final = 64
_PROTOCOL_UDP: Final = 17
_SHORTEST: Final = 300
"""Octets of a message, below which relays may drop it (RFC 1542 section 2.1)."""
_LARGEST: Final = 2_048

REPLIES: Final = Pattern(
    (
        OURS,
        Field(LOAD_HALF, 12, (_ETHERTYPE_IPV4,)),
        Field(LOAD_BYTE, HEADER_SIZE, (_VERSION_AND_LENGTH,)),
        Field(LOAD_BYTE, 23, (_PROTOCOL_UDP,)),
        Field(LOAD_HALF, 36, (_CLIENT_PORT,)),
        Field(LOAD_BYTE, _PAYLOAD, (Operation.BOOTREPLY,)),
    ),
    (_PAYLOAD + 4,),
)
"""Replies whose transaction number is one of those asked for."""


async def ask_servers(link: LinkFacts) -> tuple[DhcpOffer, ...]:
    """The offers that come to a link within LISTEN seconds. Raises OSError."""
    number = secrets.randbits(32)
    found: dict[DhcpOffer, None] = {}
    loop = asyncio.get_running_loop()
    with open_packet_socket(link.name, _ETHERTYPE_IPV4) as opened:
        attach_filter(opened, REPLIES, ((number, number),))
        opened.send(discovery(parse_mac(link.mac), number))
        with suppress(TimeoutError):
            async with asyncio.timeout(LISTEN):
                for _ in range(MAX_REPLIES):
                    offer = read_offer(await loop.sock_recv(opened, _LARGEST), link.name)
                    if offer is not None:
                        found[offer] = None
    return tuple(found)


def discovery(mac: bytes, number: int) -> bytes:
    """The frame of a DHCPDISCOVER with this transaction number."""
    message = dhcp4msg(
        {
            "op": Operation.BOOTREQUEST,
            "flags": Flag.BROADCAST,
            "xid": number,
            "chaddr": format_mac(mac),
            "options": {
                "message_type": MessageType.DISCOVER,
                "parameter_list": [Option.SUBNET_MASK, Option.ROUTER],
            },
        }
    )
    payload: bytes = message.encode().buf.ljust(_SHORTEST, b"\0")
    # Its checksum may be left out (RFC 768).
    datagram = _UDP.pack(_CLIENT_PORT, _SERVER_PORT, _UDP.size + len(payload), 0) + payload
    header = [
        _VERSION_AND_LENGTH,
        0,
        _IPV4.size + len(datagram),
        0,
        _NO_FRAGMENTS,
        _TIME_TO_LIVE,
        _PROTOCOL_UDP,
        0,
        bytes(4),
        BROADCAST[:4],
    ]
    # One's-complement addition of 16-bit words is addition modulo 0xFFFF (RFC 1071).
    header[7] = -int.from_bytes(_IPV4.pack(*header)) % 0xFFFF
    return EthernetHeader(BROADCAST, mac, _ETHERTYPE_IPV4).encode() + _IPV4.pack(*header) + datagram


def read_offer(frame: bytes, link: str) -> DhcpOffer | None:
    """The offer in a frame of REPLIES; None where it is something else, or cannot be read."""
    try:
        message = dhcp4msg(buf=frame[_PAYLOAD:]).decode()
        options = message["options"]
        if options.get("message_type") is not MessageType.OFFER:
            return None
        routers = options.get("router") or [None]
        return DhcpOffer(
            server=IPv4Address(options.get("server_id") or frame[26:30]),
            mac=format_mac(frame[6:12]),
            offered=IPv4Address(message["yiaddr"]),
            mask=options.get("subnet_mask") or "",
            router=IPv4Address(routers[0]) if routers[0] is not None else None,
            link=link,
        )
    except Exception as error:  # noqa: BLE001 - what a stranger sent can break the decoder in many ways
        log.debug("a DHCP reply that cannot be read: %s", error)
        return None
