"""The filter as the kernel runs it: attached to a pair of local sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest

from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding import nftmessages as nf
from heraldlb.forwarding import watch


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        watch.attach(receiver)
        receiver.setblocking(False)
        yield sender, receiver


def message(kind: int, table: str, size: int = 0) -> bytes:
    """One notification, whose first attribute is the table's name, with `size` octets more."""
    name = table.encode() + b"\0"
    body = struct.pack("=BBHHH", 2, 0, 0, 4 + len(name), nf.TABLE_NAME) + name + b"\0" * (-len(name) % 4 + size)
    return nl.HEADER.pack(nl.HEADER.size + len(body), kind, 0, 1, 4711) + body + b"\0" * (-len(body) % 4)


OURS = message(nf.DELETE_TABLE, "heraldlb")
FOREIGN = message(nf.DELETE_TABLE, "kube-proxy", 13)
ADDED = message(nf.NEW_ELEMENT, "heraldlb", 300)


@pytest.mark.parametrize(
    ("datagram", "passes"),
    [
        pytest.param(OURS, True, id="our table deleted"),
        pytest.param(message(nf.DELETE_RULE, "heraldlb-ping"), True, id="a rule of another table of ours"),
        pytest.param(message(nf.DELETE_ELEMENT, "heraldlb", 200), True, id="our element deleted"),
        pytest.param(ADDED, False, id="our element added"),
        pytest.param(FOREIGN, False, id="a foreign table"),
        pytest.param(message(nf.NEW_RULE, "heraldic-things"), False, id="a name that begins like ours"),
        pytest.param(OURS[:22], False, id="cut off"),
        pytest.param(FOREIGN * 40 + OURS, True, id="behind others'"),
        pytest.param(ADDED * 12 + OURS, True, id="behind added elements"),
        pytest.param(FOREIGN * 40, False, id="many of others"),
    ],
)
def test_only_datagrams_that_tell_of_changes_to_our_tables_pass(
    pair: tuple[socket.socket, socket.socket], datagram: bytes, passes: bool
) -> None:
    sender, receiver = pair
    sender.send(datagram)
    try:
        passed = receiver.recv(65_536) == datagram
    except BlockingIOError:
        passed = False
    assert passed is passes
