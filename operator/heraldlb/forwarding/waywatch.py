"""Tells when the way to another node may have changed: links, routes and neighbours (rtnetlink(7)).

The kernel says so itself. Reads, never writes.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final, NamedTuple

from heraldlb.api.ranges import IPAddress
from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding.netlink import received
from heraldlb.forwarding.rtnetlink import notifications

log = logging.getLogger(__name__)

_GROUPS: Final = 0x1 | 0x4 | 0x40 | 0x400
"""RTMGRP_LINK, RTMGRP_NEIGH, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE."""


# include/uapi/linux: rtnetlink.h, neighbour.h
_NEW_NEIGHBOUR, _DELETE_NEIGHBOUR = 28, 29
_HEADER: Final = struct.Struct("=BxxxiHBB")
"""struct ndmsg: family, interface, state, flags, type."""
_ADDRESS, _HARDWARE_ADDRESS = 1, 2
"""NDA_DST, NDA_LLADDR."""


class Neighbour(NamedTuple):
    """An entry of the kernel's table, complete."""

    interface: int
    address: IPAddress
    mac: str
    """As `02:00:00:00:00:01`."""


def subscribe() -> socket.socket:
    """A socket on which the kernel tells of changes, in the network namespace of the calling thread."""
    return notifications(_GROUPS)


class WayWatch:
    """Calls back on the event loop that runs when it is opened."""

    def __init__(
        self,
        changed: Callable[[], None],
        is_news: Callable[[Neighbour], bool],
        subscribe: Callable[[], socket.socket] = subscribe,
    ) -> None:
        """`changed` is called for every route and link, and for the neighbours of which `is_news` says so: they are
        confirmed all the time."""
        self._changed = changed
        self._is_news = is_news
        self._subscribe = subscribe
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Listen from now on, if not yet. Raises OSError."""
        if self._socket is None:
            self._socket = self._subscribe()
            asyncio.get_running_loop().add_reader(self._socket, self._take, self._socket)

    def close(self) -> None:
        """Listen no more."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _take(self, sock: socket.socket) -> None:
        try:
            if any(self._matters(datagram) for datagram in received(sock)):
                self._changed()
        except OSError as error:
            log.warning("changes of routes and neighbours are not told for now: %s", error)
            self.close()

    def _matters(self, datagram: bytes | None) -> bool:
        if datagram is None:
            return True
        for message in nl.messages(datagram):
            if message.type not in (_NEW_NEIGHBOUR, _DELETE_NEIGHBOUR):
                return True
            found = _neighbour(message) if message.type == _NEW_NEIGHBOUR else None
            if found is not None and self._is_news(found):
                return True
        return False


def _neighbour(message: nl.Message) -> Neighbour | None:
    """None where its hardware address is not known, or it is a bridge's entry, which is of the same type."""
    family, interface, *_ = _HEADER.unpack_from(message.body)
    found = nl.attributes(message.body[_HEADER.size :])
    if family not in (socket.AF_INET, socket.AF_INET6) or not {_ADDRESS, _HARDWARE_ADDRESS} <= found.keys():
        return None
    return Neighbour(interface, ip_address(bytes(found[_ADDRESS])), found[_HARDWARE_ADDRESS].hex(":"))
