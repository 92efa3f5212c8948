"""The questions a host of the LAN asks, and what it reads in the answers. Pure.

Written for speed, and apart from Herald's own codecs, which they judge.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

_BROADCAST: Final = b"\xff" * 6
_ARP: Final = b"\x08\x06"
_IPV6: Final = b"\x86\xdd"
_ETHERNET_IPV4: Final = b"\x00\x01\x08\x00\x06\x04"
_REQUEST, _REPLY = b"\x00\x01", b"\x00\x02"
_SOLICITED_NODE: Final = IPv6Address("ff02::1:ff00:0").packed[:13]
_ICMPV6: Final = 58
_SOLICITATION, _ADVERTISEMENT = 135, 136
_SOLICITED: Final = 0x40
_SOURCE_LINK_LAYER: Final = b"\x01\x01"


@dataclass(frozen=True, slots=True)
class Asker:
    """A host that asks."""

    mac: bytes
    ipv4: IPv4Address
    ipv6: IPv6Address

    def question(self, address: str) -> bytes:
        """An ARP request (RFC 826) or a neighbour solicitation (RFC 4861 section 4.3), to all it may concern."""
        target = ip_address(address)
        if isinstance(target, IPv4Address):
            sender = self.mac + self.ipv4.packed
            return _BROADCAST + self.mac + _ARP + _ETHERNET_IPV4 + _REQUEST + sender + bytes(6) + target.packed
        group = _SOLICITED_NODE + target.packed[13:]
        body = target.packed + _SOURCE_LINK_LAYER + self.mac
        length = 8 + len(body)
        pseudo_header = self.ipv6.packed + group + struct.pack("!II", length, _ICMPV6)
        message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + body
        message = message[:2] + struct.pack("!H", _checksum(pseudo_header + message)) + message[4:]
        header = struct.pack("!IHBB", 6 << 28, length, _ICMPV6, 255) + self.ipv6.packed + group
        return b"\x33\x33" + group[12:] + self.mac + _IPV6 + header + message

    def answered(self, frame: bytes) -> tuple[bytes, bytes] | None:
        """The packed address that a frame answers for, to this host, and who does; None for any other frame."""
        if frame[:6] != self.mac:
            return None
        if frame[12:14] == _ARP and frame[20:22] == _REPLY:
            return frame[28:32], frame[22:28]
        if frame[12:14] == _IPV6 and len(frame) >= 78 and frame[20] == _ICMPV6 and frame[54] == _ADVERTISEMENT:
            return (frame[62:78], frame[6:12]) if frame[58] & _SOLICITED else None
        return None


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of octets."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
