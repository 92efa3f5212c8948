"""Conntrack entries of connections to frontends as netlink messages (linux/netfilter/nfnetlink_conntrack.h). Pure.

A table has tens of thousands of entries, of which few are asked for. The kernel is told the family, the protocol,
the port and, for half-open connections, the status (from Linux 5.8 and 6.1 on; older ones send more). Of what it
sends, only entries to frontends that are wanted are decoded whole.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from socket import AF_INET, AF_INET6
from typing import Final

from heraldlb.api.ranges import Family
from heraldlb.api.services import Protocol
from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding.model import Backend, Frontend

_GET, _DELETE = 0x101, 0x102
"""NFNL_SUBSYS_CTNETLINK in the high byte."""

_ORIGINAL, _REPLY, _STATUS, _PROTOINFO, _ID, _ZONE, _FILTER, _STATUS_MASK = 1, 2, 3, 4, 12, 18, 25, 26
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_SOURCES, _DESTINATIONS = (1, 3), (2, 4)
_PROTO_NUMBER, _SOURCE_PORT, _DESTINATION_PORT = 1, 2, 3
_PROTOINFO_TCP, _TCP_STATE = 1, 1

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
    compared, ends = _COMPARE_PROTOCOL, nl.attribute(_PROTO_NUMBER, bytes((_PROTOCOLS[protocol],)))
    if port is not None:
        compared |= _COMPARE_DESTINATION_PORT
        ends += nl.attribute(_DESTINATION_PORT, port.to_bytes(2, "big"))
    body = nl.attribute(_ORIGINAL | nl.NESTED, nl.attribute(_TUPLE_PROTO | nl.NESTED, ends))
    flags = ((_ORIGINAL_FLAGS, compared), (_REPLY_FLAGS, 0))
    body += nl.attribute(
        _FILTER | nl.NESTED, b"".join(nl.attribute(which, struct.pack("=I", each)) for which, each in flags)
    )
    if protocol != "UDP":
        body += nl.attribute(_STATUS, struct.pack("!I", 0)) + nl.attribute(
            _STATUS_MASK, struct.pack("!I", _SEEN_REPLY)
        )
    return nl.message(_GET, nl.DUMP, _FAMILIES[family], sequence, body)


def delete_request(flow: Flow, sequence: int) -> bytes:
    """The request to delete the entry of this flow."""
    family: Family = "IPv4" if flow.frontend.address.version == 4 else "IPv6"
    if not flow.handle:
        # Without a handle the kernel would delete every entry there is.
        raise ValueError("a flow without a handle cannot be deleted")
    return nl.message(_DELETE, nl.ACKNOWLEDGE, _FAMILIES[family], sequence, flow.handle)


def flows(entries: Iterable[nl.Message], wanted: Collection[bytes]) -> Iterator[Flow]:
    """Those entries of a dump whose frontend has its `key` among `wanted`.

    Entries of other conntrack zones are left out: they belong to whoever made the zone.
    """
    for entry in entries:
        found = entry.attributes()
        original = _tuple(found[_ORIGINAL])
        looked_up = original.destination + bytes((original.protocol,)) + original.destination_port
        if looked_up in wanted and _ZONE not in found:
            yield _flow(found, original)


@dataclass(slots=True)
class _Tuple:
    source: bytes
    destination: bytes
    protocol: int
    source_port: bytes
    destination_port: bytes


def _flow(found: dict[int, memoryview], original: _Tuple) -> Flow:
    reply = _tuple(found[_REPLY])
    protocol = _PROTOCOL_NAMES[original.protocol]
    status = nl.integer(found[_STATUS])
    return Flow(
        Frontend(ip_address(original.destination), protocol, _port(original.destination_port)),
        Backend(ip_address(reply.source), _port(reply.source_port)),
        half_open=not status & _SEEN_REPLY and (protocol == "SCTP" or _tcp_state(found) == _SYN_SENT),
        handle=nl.attribute(_ORIGINAL | nl.NESTED, bytes(found[_ORIGINAL])) + nl.attribute(_ID, bytes(found[_ID])),
    )


def _tcp_state(found: dict[int, memoryview]) -> int:
    for number in (_PROTOINFO, _PROTOINFO_TCP):
        found = nl.attributes(found[number]) if number in found else {}
    return found[_TCP_STATE][0] if _TCP_STATE in found else 0


def _tuple(content: memoryview) -> _Tuple:
    parts = nl.attributes(content)
    addresses, protocol = nl.attributes(parts[_TUPLE_IP]), nl.attributes(parts[_TUPLE_PROTO])

    def either(numbers: tuple[int, int]) -> bytes:
        return bytes(next(addresses[number] for number in numbers if number in addresses))

    return _Tuple(
        either(_SOURCES),
        either(_DESTINATIONS),
        protocol[_PROTO_NUMBER][0],
        bytes(protocol.get(_SOURCE_PORT, b"")),
        bytes(protocol.get(_DESTINATION_PORT, b"")),
    )


def _port(field: bytes) -> int:
    return int.from_bytes(field, "big")
