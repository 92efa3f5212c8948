"""Conntrack entries of connections to frontends as netlink messages (linux/netfilter/nfnetlink_conntrack.h). Pure.

A table has tens of thousands of entries, of which few are asked for. The kernel is told the family, the protocol,
the port and, for half-open connections, the status (from Linux 5.8 and 6.1 on; older ones send more). Of what it
sends, only entries to frontends that are wanted are decoded whole.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from socket import AF_INET, AF_INET6
from typing import Final

from heraldlb.api.ranges import Family
from heraldlb.api.services import Protocol
from heraldlb.forwarding.model import Backend, Frontend

_MESSAGE: Final = struct.Struct("=IHHII")
"""struct nlmsghdr: length, type, flags, sequence number, port."""
_GENERIC: Final = struct.Struct("!BBH")
"""struct nfgenmsg: family, version, resource."""
_ATTRIBUTE: Final = struct.Struct("=HH")

_ERROR, _DONE = 2, 3
_NEW, _GET, _DELETE = 0x100, 0x101, 0x102
"""NFNL_SUBSYS_CTNETLINK in the high byte."""
_REQUEST, _ACKNOWLEDGE, _DUMP = 0x1, 0x4, 0x300

_ORIGINAL, _REPLY, _STATUS, _PROTOINFO, _ID, _ZONE, _FILTER, _STATUS_MASK = 1, 2, 3, 4, 12, 18, 25, 26
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_SOURCES, _DESTINATIONS = (1, 3), (2, 4)
_PROTO_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_PROTOINFO_TCP, _TCP_STATE = 1, 1
_NESTED, _TYPE_MASK = 0x8000, 0x3FFF

_ORIGINAL_FLAGS, _REPLY_FLAGS = 1, 2
_COMPARE_PROTOCOL, _COMPARE_DESTINATION_PORT = 1 << 3, 1 << 5
"""In CTA_FILTER, what of a tuple has to be equal. The kernel's header for user space does not name these."""
_SEEN_REPLY: Final = 1 << 1
_SYN_SENT: Final = 1

_FAMILIES: Final[dict[Family, int]] = {"IPv4": AF_INET, "IPv6": AF_INET6}
_PROTOCOLS: Final[dict[Protocol, int]] = {"TCP": 6, "UDP": 17, "SCTP": 132}
_PROTOCOL_NAMES: Final = {number: name for name, number in _PROTOCOLS.items()}


@dataclass(frozen=True, slots=True)
class Flow:
    """One entry: who was dialled, and who answers or should."""

    frontend: Frontend
    """The original destination."""
    backend: Backend
    """The source of replies: the frontend itself where the entry translates nothing."""
    half_open: bool = False
    """Opened, and not answered: a TCP connection in SYN_SENT, or an SCTP association without a reply."""
    handle: bytes = b""
    """Names the entry to the kernel: this very one, not a later one between the same ends."""


def key(frontend: Frontend) -> bytes:
    """What `flows` looks entries up by."""
    return frontend.address.packed + bytes((_PROTOCOLS[frontend.protocol], *frontend.port.to_bytes(2, "big")))


def dump_request(family: Family, protocol: Protocol, sequence: int, port: int | None = None) -> bytes:
    """The request for the entries of a protocol, or only of those to one port: all of UDP, of others those that
    have seen no reply.

    Not by address: Linux compares those of IPv6 the wrong way round.
    """
    compared, ends = _COMPARE_PROTOCOL, _attribute(_PROTO_NUMBER, bytes((_PROTOCOLS[protocol],)))
    if port is not None:
        compared |= _COMPARE_DESTINATION_PORT
        ends += _attribute(_DESTINATION_PORT, port.to_bytes(2, "big"))
    body = _attribute(_ORIGINAL | _NESTED, _attribute(_TUPLE_PROTO | _NESTED, ends))
    flags = ((_ORIGINAL_FLAGS, compared), (_REPLY_FLAGS, 0))
    body += _attribute(
        _FILTER | _NESTED, b"".join(_attribute(which, struct.pack("=I", each)) for which, each in flags)
    )
    if protocol != "UDP":
        body += _attribute(_STATUS, struct.pack("!I", 0)) + _attribute(_STATUS_MASK, struct.pack("!I", _SEEN_REPLY))
    return _message(_GET, _REQUEST | _DUMP, sequence, _FAMILIES[family], body)


def delete_request(flow: Flow, sequence: int) -> bytes:
    """The request to delete the entry of this flow."""
    family: Family = "IPv4" if flow.frontend.address.version == 4 else "IPv6"
    if not flow.handle:
        # Without a handle the kernel would delete every entry there is.
        raise ValueError("a flow without a handle cannot be deleted")
    return _message(_DELETE, _REQUEST | _ACKNOWLEDGE, sequence, _FAMILIES[family], flow.handle)


def flows(datagram: bytes, wanted: Collection[bytes]) -> Iterator[Flow]:
    """The entries in a datagram of a dump whose frontend has its `key` among `wanted`.

    Entries of other conntrack zones are left out: they belong to whoever made the zone.
    """
    for kind, start, end in _messages(datagram):
        if kind == _NEW:
            found = _attributes(datagram, start + _GENERIC.size, end)
            original = _tuple(datagram, found[_ORIGINAL])
            looked_up = original.destination + bytes((original.protocol,)) + original.destination_port
            if looked_up in wanted and _ZONE not in found:
                yield _flow(datagram, found, original)


def answers(datagram: bytes) -> Iterator[tuple[int, int]]:
    """The ends of requests in a datagram: sequence number, and errno or 0."""
    for kind, start, _ in _messages(datagram):
        if kind in (_ERROR, _DONE):
            [sequence] = struct.unpack_from("=I", datagram, start - 8)
            [number] = struct.unpack_from("=i", datagram, start)
            yield sequence, -number


@dataclass(slots=True)
class _Tuple:
    source: bytes
    destination: bytes
    protocol: int
    source_port: bytes
    destination_port: bytes


def _flow(data: bytes, found: dict[int, tuple[int, int]], original: _Tuple) -> Flow:
    reply = _tuple(data, found[_REPLY])
    protocol = _PROTOCOL_NAMES[original.protocol]
    [status] = struct.unpack_from("!I", data, found[_STATUS][0])
    handle = b"".join(
        _attribute(number | nested, data[slice(*found[number])])
        for number, nested in ((_ORIGINAL, _NESTED), (_ID, 0))
    )
    return Flow(
        Frontend(ip_address(original.destination), protocol, _port(original.destination_port)),
        Backend(ip_address(reply.source), _port(reply.source_port)),
        half_open=not status & _SEEN_REPLY and (protocol == "SCTP" or _tcp_state(data, found) == _SYN_SENT),
        handle=handle,
    )


def _tcp_state(data: bytes, found: dict[int, tuple[int, int]]) -> int:
    where = found.get(_PROTOINFO)
    for number in (_PROTOINFO_TCP, _TCP_STATE):
        where = _attributes(data, *where).get(number) if where is not None else None
    return data[where[0]] if where is not None else 0


def _tuple(data: bytes, where: tuple[int, int]) -> _Tuple:
    parts = _attributes(data, *where)
    addresses, protocol = _attributes(data, *parts[_TUPLE_IP]), _attributes(data, *parts[_TUPLE_PROTO])

    def either(numbers: tuple[int, int]) -> bytes:
        return data[slice(*next(addresses[number] for number in numbers if number in addresses))]

    return _Tuple(
        either(_SOURCES),
        either(_DESTINATIONS),
        data[protocol[_PROTO_NUMBER][0]],
        data[slice(*protocol.get(_SOURCE_PORT, (0, 0)))],
        data[slice(*protocol.get(_DESTINATION_PORT, (0, 0)))],
    )


def _port(field: bytes) -> int:
    return int.from_bytes(field, "big")


def _messages(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Type of each message, and where its content is."""
    start = 0
    while start + _MESSAGE.size <= len(data):
        length, kind, *_ = _MESSAGE.unpack_from(data, start)
        if length < _MESSAGE.size:
            return
        yield kind, start + _MESSAGE.size, start + length
        start += length + 3 & ~3


def _attributes(data: bytes, start: int, end: int) -> dict[int, tuple[int, int]]:
    """Where the content of each attribute is."""
    found = {}
    while start + _ATTRIBUTE.size <= end:
        length, number = _ATTRIBUTE.unpack_from(data, start)
        if length < _ATTRIBUTE.size:
            break
        found[number & _TYPE_MASK] = (start + _ATTRIBUTE.size, start + length)
        start += length + 3 & ~3
    return found


def _attribute(number: int, content: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(content)
    return _ATTRIBUTE.pack(length, number) + content + b"\0" * (-length % 4)


def _message(kind: int, flags: int, sequence: int, family: int, body: bytes) -> bytes:
    length = _MESSAGE.size + _GENERIC.size + len(body)
    return _MESSAGE.pack(length, kind, flags, sequence, 0) + _GENERIC.pack(family, 0, 0) + body
