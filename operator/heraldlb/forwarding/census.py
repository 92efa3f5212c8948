"""How many connections are open to each endpoint, counted in the kernel's conntrack table (ctnetlink).

Needs CAP_NET_ADMIN. The kernel walks its whole table for it and sends what was translated, some 200 bytes for each
connection; 10,000 of them are counted in 60 ms of one core.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Collection
from socket import AF_INET, AF_INET6
from typing import Final

from heraldlb.api.services import Protocol
from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding.leastconn import Loads
from heraldlb.forwarding.model import Backend
from heraldlb.forwarding.netlink import OpenSocket, conversation, dump, open_socket

_GET: Final = 0x101
_REPLY, _STATUS, _PROTOINFO, _STATUS_MASK = 2, 3, 4, 26
_TRANSLATED: Final = 1 << 5
"""IPS_DST_NAT."""

# As ctnetlink_dump_tuples() has always written a tuple: its source, destination, protocol number and source port.
_TUPLES: Final[dict[int, struct.Struct]] = {
    AF_INET: struct.Struct("!8x4s8x8xc3x4x2s"),
    AF_INET6: struct.Struct("!8x16s20x8xc3x4x2s"),
}
_TCP: Final = b"\x06"
_NUMBERS: Final[dict[Protocol, bytes]] = {"TCP": _TCP, "UDP": b"\x11", "SCTP": b"\x84"}
_TCP_STATE: Final = 8
"""Where it is in CTA_PROTOINFO: first in the only attribute."""
_OPEN_TCP_STATES: Final = frozenset({1, 2, 3})
"""SYN_SENT, SYN_RECV and ESTABLISHED: what comes later is over for the endpoint, and stays for minutes."""

_Key = tuple[bytes, bytes, bytes]
"""Address, protocol number and port of an endpoint."""


def count_connections(endpoints: Collection[tuple[Protocol, Backend]], opener: OpenSocket = open_socket) -> Loads:
    """Open connections to each of these that this node has translated, through whatever Service.

    Blocks: not for an event loop. Raises OSError.
    """
    counted: Counter[_Key] = Counter()
    versions = {backend.address.version for _, backend in endpoints}
    with conversation(opener) as sock:
        for version, family in ((4, AF_INET), (6, AF_INET6)):
            if version in versions:
                found = (_open_to(entry.attributes(), _TUPLES[family]) for entry in dump(sock, _request(family)))
                counted.update(key for key in found if key is not None)
    return {endpoint: counted[_key(*endpoint)] for endpoint in endpoints}


def _key(protocol: Protocol, backend: Backend) -> _Key:
    return backend.address.packed, _NUMBERS[protocol], backend.port.to_bytes(2)


def _request(family: int) -> bytes:
    """For translated connections only; kernels before 5.14 send all."""
    bits = _TRANSLATED.to_bytes(4)
    content = nl.attribute(_STATUS, bits) + nl.attribute(_STATUS_MASK, bits)
    return nl.message(_GET, nl.DUMP, family, 0, content)


def _open_to(entry: dict[int, memoryview], layout: struct.Struct) -> _Key | None:
    """The endpoint, unless the connection is over, was not translated, or is of a protocol without ports."""
    if not nl.integer(entry[_STATUS]) & _TRANSLATED or len(entry[_REPLY]) < layout.size:
        return None
    address, protocol, port = layout.unpack_from(entry[_REPLY])
    if protocol == _TCP and entry[_PROTOINFO][_TCP_STATE] not in _OPEN_TCP_STATES:
        return None
    return address, protocol, port
