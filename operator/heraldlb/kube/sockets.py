"""The sockets beneath HTTP connections, so that an end is not left half done.

A connection over TLS whose request was given up takes its leave politely, and aiohttp does not wait for that, nor
for one that comes to be while its session closes. An event loop that ends meanwhile would leave them open.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any
from weakref import WeakSet

CLOSING_SECONDS = 1.0
"""How long connections may take to notice that they were shut; it is a matter of a few turns of the loop."""


class Sockets:
    """Those of connectors that make them by `open`."""

    def __init__(self) -> None:
        self._made: WeakSet[socket.socket] = WeakSet()

    def open(self, address: tuple[Any, ...]) -> socket.socket:
        """A socket for an address as getaddrinfo has it: the `socket_factory` of an `aiohttp.TCPConnector`."""
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._made.add(made)
        return made

    async def close(self) -> None:
        """Shut what is still open, and wait until it is closed. To be called when the sessions are closed."""
        for each in list(self._made):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                while any(each.fileno() >= 0 for each in self._made):  # noqa: ASYNC110 - sockets tell nobody
                    await asyncio.sleep(0)
