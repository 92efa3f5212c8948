"""A stub resolver that asks one server from a host of the lab, by the transport it is told (RFC 1035, RFC 7766)."""

from __future__ import annotations

import secrets
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal

from scapy.layers.dns import DNS, DNSQR

if TYPE_CHECKING:
    from lab.host import Host

_PORT = 53
_PATIENCE = 2.0

Transport = Literal["UDP", "TCP"]


def resolve(host: Host, server: str, name: str, kind: str, transport: Transport) -> frozenset[str]:
    """The data of the answer's records of this type; empty if there is no such name. Raises OSError."""
    identity = secrets.randbits(16)
    query = bytes(DNS(id=identity, rd=1, qd=DNSQR(qname=name, qtype=kind)))
    reply = DNS(_over_udp(host, server, query) if transport == "UDP" else _over_tcp(host, server, query))
    if reply.id != identity:
        raise OSError(f"{server} answered another query")
    records = (record for record in reply.an or () if record.sprintf("%type%") == kind)
    return frozenset(_text(record.rdata) for record in records)


def _text(data: str | bytes) -> str:
    return data.decode() if isinstance(data, bytes) else data


def _over_udp(host: Host, server: str, query: bytes) -> bytes:
    family = socket.AF_INET if ip_address(server).version == 4 else socket.AF_INET6
    with host.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_PATIENCE)
        asking.connect((server, _PORT))
        asking.send(query)
        return asking.recv(4096)


def _over_tcp(host: Host, server: str, query: bytes) -> bytes:
    with host.connect(server, _PORT, _PATIENCE) as asking, asking.makefile("rb") as stream:
        asking.sendall(len(query).to_bytes(2) + query)
        return stream.read(int.from_bytes(stream.read(2)))
