"""The edge to the kernel's conntrack table: netlink, in the calling thread. Needs CAP_NET_ADMIN."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Iterator, Sequence
from errno import ENOENT
from itertools import count
from typing import Final

from heraldlb.api.ranges import FAMILIES, family_of
from heraldlb.api.services import Protocol
from heraldlb.forwarding import conntrack
from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding.conntrack import Flow
from heraldlb.forwarding.model import Frontend, Plan
from heraldlb.forwarding.netlink import OpenSocket, answers, conversation, dump, open_socket
from heraldlb.forwarding.staleness import is_stale

PROTOCOLS: Final[tuple[Protocol, ...]] = ("UDP", "TCP", "SCTP")

BATCH: Final = 100
"""Entries deleted with one datagram. Each is acknowledged, and the acknowledgements have to fit the buffer."""

FEW: Final = 8
"""Ports up to which the kernel looks through its table for each of them: 10 ms for 50,000 entries. To take all
entries of a protocol over from it is far more, but does not grow with the ports."""


def forget_stale_flows(plan: Plan, frontends: Collection[Frontend], opener: OpenSocket = open_socket) -> int:
    """Delete the entries of flows to these frontends that are stale under `plan`. Returns how many.

    Blocks while the table is read, of 50,000 entries for 10 ms a port or half a second. Raises OSError.
    """
    with conversation(opener) as sock:
        sequences = count(1)
        stale = [flow for flow in read_flows(sock, frontends, sequences) if is_stale(flow, plan)]
        return _delete(sock, stale, sequences)


def read_flows(sock: socket.socket, frontends: Collection[Frontend], sequences: Iterator[int]) -> Iterator[Flow]:
    """The flows to these frontends: all of UDP, of others those without a reply. Raises OSError."""
    for family in FAMILIES:
        for protocol in PROTOCOLS:
            wanted = [each for each in frontends if (family_of(each.address), each.protocol) == (family, protocol)]
            keys, ports = frozenset(map(conntrack.key, wanted)), {each.port for each in wanted}
            for port in ports if len(ports) <= FEW else {None}:
                request = conntrack.dump_request(family, protocol, next(sequences), port)
                yield from conntrack.flows(dump(sock, request), keys)


def _delete(sock: socket.socket, flows: Sequence[Flow], sequences: Iterator[int]) -> int:
    deleted = 0
    for start in range(0, len(flows), BATCH):
        requests = {next(sequences): flow for flow in flows[start : start + BATCH]}
        sock.send(b"".join(conntrack.delete_request(flow, sequence) for sequence, flow in requests.items()))
        for answer in answers(sock):
            error = nl.error_number(answer)
            # Some end by themselves meanwhile.
            if error not in (0, ENOENT):
                raise OSError(error, f"conntrack entries cannot be deleted: {os.strerror(error)}")
            deleted += not error
            requests.pop(answer.sequence, None)
            if not requests:
                break
    return deleted
