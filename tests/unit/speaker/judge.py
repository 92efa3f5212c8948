"""What an ARP or neighbour discovery frame asks, worked out octet by octet from the RFCs and not with our parsers:
a second opinion for the fuzzer."""

from __future__ import annotations

from collections.abc import Iterator

_BROADCAST = b"\xff" * 6
_UNSPECIFIED = bytes(16)


def arp_answer(frame: bytes, ours: bytes, owned: bytes) -> bytes | None:
    """The reply that a frame deserves of the host at `ours` that has the IPv4 address `owned` (RFC 826)."""
    sender_mac, sender, target = frame[22:28], frame[28:32], frame[38:42]
    asks = (
        len(frame) >= 42
        and frame[0:6] in (_BROADCAST, ours)
        and frame[12:22] == bytes.fromhex("08060001080006040001")
        and target == owned
        and sender != owned
        and sender_mac != ours
        and _is_station(sender_mac)
        and _is_station(frame[6:12])
    )
    if not asks:
        return None
    return sender_mac + ours + bytes.fromhex("08060001080006040002") + ours + owned + sender_mac + sender


def ndp_answer(frame: bytes, ours: bytes, owned: bytes) -> bytes | None:
    """As `arp_answer`, for the IPv6 address `owned` (RFC 4861 sections 7.1.1, 7.2.4, RFC 4862 section 5.4)."""
    length = int.from_bytes(frame[18:20])
    message = frame[54 : 54 + length]
    source, destination = frame[22:38], frame[38:54]
    asks = (
        len(frame) >= 78
        and frame[12:14] == b"\x86\xdd"
        and frame[14] >> 4 == 6
        and frame[20:22] == b"\x3a\xff"
        and len(message) == length >= 24
        and _sum(source + destination + length.to_bytes(4) + b"\x00\x00\x00\x3a" + message) == 0xFFFF
        and message[0:2] == b"\x87\x00"
        and message[8:24] == owned
        and source != owned
        and source[0] != 0xFF
        and _is_station(frame[6:12])
        and frame[6:12] != ours
    )
    options = list(_options(message)) if asks else [None]
    if None in options:
        return None
    given = [option for option in options if option is not None and option[0] == 1]
    group = bytes.fromhex("ff02000000000000000000 01ff") + owned[13:]
    station = given[0][2:8] if given else frame[6:12]
    if given and (len(given[0]) != 8 or not _is_station(station)):
        return None
    if station == ours or destination not in (group, owned):
        return None
    if source == _UNSPECIFIED:
        if given or destination != group:
            return None
        return _advertisement(
            b"\x33\x33\x00\x00\x00\x01", ours, owned, bytes.fromhex("ff02" + "00" * 13 + "01"), 0x20
        )
    return _advertisement(station, ours, owned, source, 0x60)


def with_checksum(frame: bytearray) -> None:
    """Make the length and the ICMPv6 checksum of a frame right, where it is long enough to have them."""
    if len(frame) < 78:
        return
    length = len(frame) - 54
    frame[18:20] = length.to_bytes(2)
    frame[56:58] = b"\x00\x00"
    pseudo = frame[22:54] + length.to_bytes(4) + b"\x00\x00\x00\x3a"
    frame[56:58] = (0xFFFF - _sum(bytes(pseudo + frame[54:]))).to_bytes(2)


def _advertisement(station: bytes, ours: bytes, owned: bytes, to: bytes, flags: int) -> bytes:
    header = station + ours + b"\x86\xdd\x60\x00\x00\x00\x00\x20\x3a\xff" + owned + to
    frame = bytearray(header + b"\x88\x00\x00\x00" + bytes((flags, 0, 0, 0)) + owned + b"\x02\x01" + ours)
    with_checksum(frame)
    return bytes(frame)


def _options(message: bytes) -> Iterator[bytes | None]:
    """The options of a message; None for one that cannot be."""
    rest = message[24:]
    while rest:
        size = rest[1] * 8 if len(rest) > 1 else 0
        if not 0 < size <= len(rest):
            yield None
            return
        yield rest[:size]
        rest = rest[size:]


def _is_station(mac: bytes) -> bool:
    return len(mac) == 6 and mac != bytes(6) and mac[0] % 2 == 0


def _sum(octets: bytes) -> int:
    """The one's-complement sum of 16-bit words (RFC 1071)."""
    octets += b"\x00" * (len(octets) % 2)
    total = sum(octets[::2]) * 256 + sum(octets[1::2])
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total
