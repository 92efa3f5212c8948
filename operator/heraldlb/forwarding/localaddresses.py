"""The node's own addresses as the kernel has them, and as they come and go (rtnetlink(7)). Reads, never writes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Final

from pyroute2 import IPRoute

from heraldlb.api.ranges import IPAddress
from heraldlb.forwarding.rtnetlink import address_in, notifications

_ADDRESSES_CHANGED: Final = 0x10 | 0x100
"""RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR."""

_SETTLE: Final = 0.1
"""Seconds for which changes are gathered: an interface has several addresses."""


def read() -> frozenset[IPAddress]:
    """Every address of every interface. Blocks: not for an event loop. Raises OSError."""
    with IPRoute() as netlink:
        return frozenset(map(address_in, netlink.get_addr()))


def subscribe() -> socket.socket:
    """A socket on which the kernel tells of changes, in the network namespace of the calling thread."""
    return notifications(_ADDRESSES_CHANGED)


class LocalAddresses:
    """Follows the addresses of the node."""

    def __init__(
        self,
        changed: Callable[[], None],
        *,
        read: Callable[[], frozenset[IPAddress]] = read,
        subscribe: Callable[[], socket.socket] = subscribe,
    ) -> None:
        """`changed` is called whenever there are others than before."""
        self._changed = changed
        self._read = read
        self._subscribe = subscribe
        self.found: frozenset[IPAddress] = frozenset()

    async def read(self) -> None:
        """Find out now. Raises OSError."""
        found = await asyncio.to_thread(self._read)
        if found != self.found:
            self.found = found
            self._changed()

    async def run(self) -> None:
        """Keep `found` as it is on the node, for ever. Raises OSError."""
        loop = asyncio.get_running_loop()
        with self._subscribe() as sock:
            while True:
                await self.read()
                await _receive(loop, sock)
                await asyncio.sleep(_SETTLE)
                _drain(sock)


def _drain(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while sock.recv(1 << 16):
            pass


async def _receive(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    try:
        await loop.sock_recv(sock, 1 << 16)
    except OSError as error:
        # More was told than the socket holds. All is read anew anyway.
        if error.errno != errno.ENOBUFS:
            raise
