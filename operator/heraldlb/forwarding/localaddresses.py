"""The addresses of the node's interfaces, kept up to date by netlink events (rtnetlink(7)). Never polled."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Final

from heraldlb.api.ranges import IPAddress
from heraldlb.forwarding.readback import OpenSocket

log = logging.getLogger(__name__)

_GROUPS: Final = 0x10 | 0x100
"""RTMGRP_IPV4_IFADDR and RTMGRP_IPV6_IFADDR."""
_HEADER: Final = struct.Struct("=IHHII")
_ADDRESS: Final = struct.Struct("=BBBBI")
"""struct ifaddrmsg: family, prefix length, flags, scope, interface index."""
_ERROR, _DONE, _NEW, _DELETED, _GET = 2, 3, 20, 21, 22
_DUMP: Final = 0x301
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_DATAGRAM: Final = 1 << 16
_REOPEN: Final = 1.0
"""Seconds before a socket that failed, or lost events, is replaced."""

_Held = tuple[int, IPAddress]
"""An interface, and an address that it has."""


def route_socket() -> socket.socket:
    """A netlink socket for addresses, in the network namespace of the calling thread. Raises OSError."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)


class LocalAddresses:
    """Calls back on the loop that runs it."""

    def __init__(self, opener: OpenSocket = route_socket) -> None:
        self._open = opener
        self._callbacks: list[Callable[[], None]] = []
        self._current: frozenset[IPAddress] = frozenset()
        self._known = asyncio.Event()

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have `callback` called when the addresses have changed."""
        self._callbacks.append(callback)

    async def get(self) -> frozenset[IPAddress]:
        """The addresses, loopback and link-local ones among them, once they are known."""
        await self._known.wait()
        return self._current

    async def run(self) -> None:
        """Follow, for ever."""
        while True:
            try:
                with self._open() as sock:
                    await self._follow(sock)
            except OSError as error:
                log.warning("the node's addresses are not followed for a moment: %s", error)
            await asyncio.sleep(_REOPEN)

    async def _follow(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        # Listening before reading: what changes in between is then seen twice rather than never.
        sock.bind((0, _GROUPS))
        sock.send(_HEADER.pack(_HEADER.size + _ADDRESS.size, _GET, _DUMP, 1, 0) + _ADDRESS.pack(0, 0, 0, 0, 0))
        held: set[_Held] = set()
        complete = False
        while True:
            for kind, body in _messages(await asyncio.get_running_loop().sock_recv(sock, _DATAGRAM)):
                if kind == _NEW:
                    held.add(_held(body))
                elif kind == _DELETED:
                    held.discard(_held(body))
                elif kind == _ERROR:
                    [number] = struct.unpack_from("=i", body)
                    raise OSError(-number, os.strerror(-number))
                elif kind == _DONE:
                    complete = True
            if complete:
                self._set(frozenset(address for _, address in held))

    def _set(self, current: frozenset[IPAddress]) -> None:
        if not self._known.is_set() or current != self._current:
            self._current = current
            self._known.set()
            for callback in self._callbacks:
                callback()


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, start)
        if length < _HEADER.size:
            return
        yield kind, data[start + _HEADER.size : start + length]
        start += length + 3 & ~3


def _held(body: bytes) -> _Held:
    *_, index = _ADDRESS.unpack_from(body)
    found: dict[int, bytes] = {}
    start = _ADDRESS.size
    while start + 4 <= len(body):
        length, kind = struct.unpack_from("=HH", body, start)
        found[kind] = body[start + 4 : start + length]
        start += max(length, 4) + 3 & ~3
    # On a point-to-point link the address is that of the other end.
    return index, ip_address(found.get(_IFA_LOCAL) or found[_IFA_ADDRESS])
