"""Tells when somebody else has changed our tables, as `nft flush ruleset` or a restarted firewall does.

The kernel says so itself (netlink group NFNLGRP_NFTABLES); nothing is polled.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import socket
import struct
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding import nftmessages as nf
from heraldlb.forwarding import tablefilter
from heraldlb.forwarding.frame import TABLE
from heraldlb.forwarding.netlink import OpenSocket, open_socket, received

log = logging.getLogger(__name__)

_GROUP: Final = 7
"""NFNLGRP_NFTABLES."""
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_ATTACH_FILTER: Final = 26
_REOPEN: Final = 1.0
"""Seconds before a socket that failed is replaced."""


class TableWatch:
    """Calls back on the loop that runs it."""

    def __init__(self, ours: Callable[[int], bool], opener: OpenSocket = open_socket) -> None:
        """`ours`: whether a process of this id, whose changes are not told, is one of our own (`Nft.ran`)."""
        self._ours = ours
        self._open = opener
        self._callbacks: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)

    def subscribe(self, table: str, callback: Callable[[], None]) -> None:
        """Have `callback` called when somebody else has changed `table`, such as `ip heraldlb`, or may have: where
        notifications were lost all are called. Elements that were only added are not told."""
        self._callbacks[table].append(callback)

    async def run(self) -> None:
        """Watch, for ever."""
        while True:
            try:
                with self._open() as sock:
                    await self._follow(sock)
            except OSError as error:
                log.warning("whether others change our tables is not known for now: %s", error)
            await asyncio.sleep(_REOPEN)
            self._call(list(self._callbacks))

    async def _follow(self, sock: socket.socket) -> None:
        """Until the socket fails. Raises OSError."""
        attach(sock)
        sock.bind((0, 0))
        sock.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)
        sock.setblocking(False)
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(sock, readable.set)
        try:
            while True:
                await readable.wait()
                readable.clear()
                self._call({table for datagram in received(sock) for table in self._touched(datagram)})
        finally:
            loop.remove_reader(sock)

    def _touched(self, datagram: bytes | None) -> Iterator[str]:
        if datagram is None:
            yield from self._callbacks
            return
        for message in nl.messages(datagram):
            if message.type == nf.NEW_ELEMENT or self._ours(message.port):
                continue
            name = nl.name(message.attributes().get(nf.TABLE_NAME, memoryview(b"")))
            if name.startswith(TABLE):
                yield f"{message.family} {name}"

    def _call(self, tables: Iterable[str]) -> None:
        for table in tables:
            for callback in self._callbacks.get(table, ()):
                callback()


def attach(sock: socket.socket) -> None:
    """Let only what `tablefilter` passes reach the socket. Raises OSError."""
    program = tablefilter.assemble()
    buffer = ctypes.create_string_buffer(program, len(program))
    count = len(program) // tablefilter.INSTRUCTION.size
    sock.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HL", count, ctypes.addressof(buffer)))
