"""The edge to netfilter's netlink: a socket, and what the kernel answers through it. Needs CAP_NET_ADMIN.

Everything but `received` blocks, for `PATIENCE` at most without a word from the kernel: not for an event loop.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from heraldlb.forwarding import nfnetlink as nl

DATAGRAM: Final = 1 << 18
"""Bytes offered to the kernel for each datagram; it fills what the memory of one message allows."""

NOTIFICATION: Final = 1 << 16
"""Bytes offered for each datagram that comes unasked."""

_AT_ONCE: Final = 256
"""Notifications read in one turn of an event loop."""

PATIENCE: Final = 10.0
"""Seconds for one answer of the kernel."""

OpenSocket = Callable[[], socket.socket]


def open_socket() -> socket.socket:
    """A netlink socket for netfilter, in the network namespace of the calling thread. Raises OSError."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, nl.PROTOCOL)


@contextmanager
def conversation(opener: OpenSocket = open_socket) -> Iterator[socket.socket]:
    """A socket to ask by, closed at the end. Raises OSError."""
    with opener() as sock:
        sock.settimeout(PATIENCE)
        yield sock


def answers(sock: socket.socket) -> Iterator[nl.Message]:
    """What the kernel says, message by message, for ever. Raises OSError."""
    while True:
        yield from nl.messages(sock.recv(DATAGRAM))


def dump(sock: socket.socket, request: bytes) -> Iterator[nl.Message]:
    """What is sent for a request with `nfnetlink.DUMP`. Raises OSError; FileNotFoundError where what is asked about
    does not exist, and at the end InterruptedError where others changed it meanwhile (NLM_F_DUMP_INTR)."""
    sock.send(request)
    interrupted = False
    for message in answers(sock):
        interrupted |= bool(message.flags & nl.DUMP_INTERRUPTED)
        if message.type in (nl.ERROR, nl.DONE):
            if number := nl.error_number(message):
                raise OSError(number, os.strerror(number))
            break
        yield message
    if interrupted:
        raise InterruptedError(errno.EINTR, "others changed what was being read")


def received(sock: socket.socket) -> Iterator[bytes | None]:
    """Notifications that there are to read, of any netlink protocol; None where something was lost. Raises OSError.

    `sock` does not block.
    """
    for _ in range(_AT_ONCE):
        try:
            yield sock.recv(NOTIFICATION)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            yield None
