"""Dumps of netfilter's netlink, from one end of a socket pair to the other."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding.netlink import conversation, dump

ENTRY = nl.message(0x100, 0, 2, 7, nl.attribute(3, b"\0\0\0\1"))
DONE = bytes.fromhex("140000000300020007000000f608000000000000")
TORN = bytes.fromhex("140000000300120007000000f608000000000000")
NOT_PERMITTED = bytes.fromhex("24000000020000000700000000000000ffffffff140000000201050007000000f6080000")
NO_SUCH_TABLE = bytes.fromhex("24000000020000000700000000000000feffffff140000000201050007000000f6080000")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with kernels, conversation(lambda: ours) as sock:
        yield sock, kernels


def test_a_dump_ends_with_its_last_message(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, kernels = ends
    for datagram in (ENTRY + ENTRY, ENTRY, DONE):
        kernels.send(datagram)
    assert [message.type for message in dump(ours, b"request")] == [0x100] * 3
    assert kernels.recv(100) == b"request"


def test_a_dump_that_others_changed_meanwhile_is_read_to_its_end_and_void(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, kernels = ends
    for datagram in (ENTRY, TORN, ENTRY, DONE):
        kernels.send(datagram)
    found = dump(ours, b"request")
    next(found)
    with pytest.raises(InterruptedError, match="others changed"):
        next(found)
    assert len(list(dump(ours, b"the next one"))) == 1


@pytest.mark.parametrize(
    ("answer", "error"), [(NOT_PERMITTED, PermissionError), (NO_SUCH_TABLE, FileNotFoundError)]
)
def test_a_refusal_is_the_error_that_it_says(
    ends: tuple[socket.socket, socket.socket], answer: bytes, error: type[OSError]
) -> None:
    ours, kernels = ends
    kernels.send(answer)
    with pytest.raises(error):
        next(dump(ours, b"request"))
