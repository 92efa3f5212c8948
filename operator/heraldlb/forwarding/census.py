"""How many connections are open to each endpoint, counted in the kernel's conntrack table (ctnetlink).

Needs CAP_NET_ADMIN. The kernel walks its whole table for it and sends what was translated, some 200 bytes for each
connection; 10,000 of them are counted in 30 ms of one core.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Final

from heraldlb.api.services import Protocol
from heraldlb.forwarding.leastconn import Loads
from heraldlb.forwarding.model import Backend

NETLINK_NETFILTER: Final = 12

_HEADER: Final = struct.Struct("=IHHII")
_DATAGRAM: Final = 1 << 17
_PATIENCE: Final = 10.0
"""Seconds for one answer of the kernel."""

_GET: Final = 0x101
_DUMP: Final = 0x301
_ERROR, _DONE = 2, 3
_REPLY, _STATUS, _PROTOINFO, _STATUS_MASK = 2, 3, 4, 26
_TRANSLATED: Final = 1 << 5
"""IPS_DST_NAT."""

# As ctnetlink_dump_tuples() has always written a tuple: its source, destination, protocol number and source port.
_TUPLES: Final[dict[int, struct.Struct]] = {
    socket.AF_INET: struct.Struct("!8x4s8x8xc3x4x2s"),
    socket.AF_INET6: struct.Struct("!8x16s20x8xc3x4x2s"),
}
_TCP: Final = b"\x06"
_NUMBERS: Final[dict[Protocol, bytes]] = {"TCP": _TCP, "UDP": b"\x11", "SCTP": b"\x84"}
_OPEN_TCP_STATES: Final = frozenset({1, 2, 3})
"""SYN_SENT, SYN_RECV and ESTABLISHED: what comes later is over for the endpoint, and stays for minutes."""

_Key = tuple[bytes, bytes, bytes]


def open_socket() -> socket.socket:
    """A netlink socket for netfilter, in the network namespace of the calling thread. Raises OSError."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)


def count_connections(
    endpoints: Collection[tuple[Protocol, Backend]], opener: Callable[[], socket.socket] = open_socket
) -> Loads:
    """Open connections to each of these that this node has translated, through whatever Service.

    Blocks: not for an event loop. Raises OSError.
    """
    counted: Counter[_Key] = Counter()
    versions = {backend.address.version for _, backend in endpoints}
    with opener() as sock:
        sock.settimeout(_PATIENCE)
        for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
            if version in versions:
                sock.send(_request(family, version))
                counted.update(_answers(sock, family))
    return {endpoint: counted[_key(*endpoint)] for endpoint in endpoints}


def _key(protocol: Protocol, backend: Backend) -> _Key:
    return backend.address.packed, _NUMBERS[protocol], backend.port.to_bytes(2)


def _request(family: int, sequence: int) -> bytes:
    """For translated connections only; kernels before 5.14 send all."""
    bits = struct.pack("=HH", 8, _STATUS) + struct.pack("!I", _TRANSLATED)
    mask = struct.pack("=HH", 8, _STATUS_MASK) + struct.pack("!I", _TRANSLATED)
    body = struct.pack("!BBH", family, 0, 0) + bits + mask
    return _HEADER.pack(_HEADER.size + len(body), _GET, _DUMP, sequence, 0) + body


def _answers(sock: socket.socket, family: int) -> Iterator[_Key]:
    while True:
        data = sock.recv(_DATAGRAM)
        start = 0
        while start < len(data):
            length, kind, *_ = _HEADER.unpack_from(data, start)
            if kind == _DONE:
                return
            if kind == _ERROR:
                [number] = struct.unpack_from("=i", data, start + _HEADER.size)
                raise OSError(-number, os.strerror(-number))
            if (found := _open(data, start + _HEADER.size + 4, start + length, family)) is not None:
                yield found
            start += length + 3 & ~3


def _open(data: bytes, start: int, end: int, family: int) -> _Key | None:
    """The endpoint of an entry, unless it is over or was not translated."""
    status, state = 0, 0
    found: _Key | None = None
    while start < end:
        length, kind = struct.unpack_from("=HH", data, start)
        kind &= 0x3FFF
        if kind == _REPLY:
            found = _TUPLES[family].unpack_from(data, start + 4)
        elif kind == _STATUS:
            [status] = struct.unpack_from("!I", data, start + 4)
        elif kind == _PROTOINFO:
            state = data[start + 12]
        start += length + 3 & ~3
    if found is None or not status & _TRANSLATED or (found[1] == _TCP and state not in _OPEN_TCP_STATES):
        return None
    return found
