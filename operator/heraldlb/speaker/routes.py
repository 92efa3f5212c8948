"""Routes that say which hosts are on the link itself (rtnetlink(7)). No I/O.

An address need not come with the prefix of its network: DHCPv6 gives a node /128 addresses, while router
advertisements say which prefixes are on-link (RFC 5942), and some set a route to the network by hand. Only such
routes matter here, and all others are told apart by a glance at their header: a routing daemon may change thousands
a second.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

from heraldlb.speaker.interfaces import Prefix

NEW_ROUTE: Final = 24
DELETE_ROUTE: Final = 25
GET_ROUTE: Final = 26
DONE: Final = 3
ERROR: Final = 2

_HEADER: Final = struct.Struct("=IHHII")
_ROUTE: Final = struct.Struct("=8BI")
_REQUEST_DUMP: Final = 0x301
_MAIN: Final = 254
_UNICAST: Final = 1
_SCOPE_LINK: Final = 253

_ELSEWHERE: Final = ("RTA_GATEWAY", "RTA_VIA", "RTA_MULTIPATH", "RTA_NH_ID")


@dataclass(frozen=True, slots=True)
class OnLinkRoute:
    """Hosts of `prefix` are neighbours on the interface `index`."""

    index: int
    prefix: Prefix
    metric: int = 0
    source: str = field(default="", compare=False)
    """The address of this node that it depends on, if it says so; routes that differ in it replace each other."""


def dump_request() -> bytes:
    """The request for all routes of both families."""
    body = _ROUTE.pack(socket.AF_UNSPEC, 0, 0, 0, 0, 0, 0, 0, 0)
    return _HEADER.pack(_HEADER.size + len(body), GET_ROUTE, _REQUEST_DUMP, 1, 0) + body


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The messages in what the kernel sent at once, each with its type."""
    position = 0
    while position + _HEADER.size <= len(data):
        size, kind, *_ = _HEADER.unpack_from(data, position)
        if size < _HEADER.size:
            return
        yield kind, data[position : position + size]
        position += (size + 3) & ~3


def concerns(kind: int, message: bytes) -> bool:
    """False for a route that cannot be on-link, or is not in the main table; True for all else."""
    if kind not in (NEW_ROUTE, DELETE_ROUTE):
        return True
    family, length, _, _, table, _, scope, type_, _ = _ROUTE.unpack_from(message, _HEADER.size)
    on_link = scope == _SCOPE_LINK if family == socket.AF_INET else family == socket.AF_INET6
    return bool(on_link and length and table == _MAIN and type_ == _UNICAST)


def on_link_route(message: Any) -> OnLinkRoute | None:
    """The route, of a parsed message that `concerns` let through; None where it leads by way of a router."""
    index, destination = message.get_attr("RTA_OIF"), message.get_attr("RTA_DST")
    if index is None or destination is None or any(message.get_attr(name) is not None for name in _ELSEWHERE):
        return None
    network = IPv4Network if message["family"] == socket.AF_INET else IPv6Network
    prefix: Prefix = network((destination, message["dst_len"]))
    return OnLinkRoute(index, prefix, message.get_attr("RTA_PRIORITY") or 0, message.get_attr("RTA_PREFSRC") or "")
