"""The edge to load balancers that ask at health-check node ports: listeners, and the connections to them.

The ports are open to the whole LAN, so nobody may keep others from asking: a request has to be complete within
`REQUEST_SECONDS`, and where `CONNECTIONS` are open, the one that has been silent for longest makes room.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from collections import OrderedDict
from collections.abc import Callable, Mapping
from email.utils import formatdate
from typing import Final, cast

from heraldlb.api.ranges import Family, family_of
from heraldlb.forwarding.healthcheck import Health, Listener
from heraldlb.forwarding.httpmessage import BadRequestError, Request, response, take_request

REQUEST_SECONDS: Final = 5.0
"""For a request to be complete, since the connection was made or its first byte came."""

IDLE_SECONDS: Final = 75.0
"""Between two requests on one connection: longer than load balancers commonly wait."""

CONNECTIONS: Final = 256
"""Open at once, over all ports."""

BACKLOG: Final = 128

OpenSocket = Callable[[Family], socket.socket]
"""Makes a TCP socket of that family. May raise OSError."""


def tcp_socket(family: Family) -> socket.socket:
    """A TCP socket in this process's network namespace."""
    return socket.socket(socket.AF_INET if family == "IPv4" else socket.AF_INET6, socket.SOCK_STREAM)


def allow_many_sockets() -> None:
    """Raise the limit of open files as far as this process may, as Go programs do: container runtimes set 1,024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class HealthServer:
    """Listens where it is told to and answers with what it was told last."""

    def __init__(self, open_socket: OpenSocket = tcp_socket) -> None:
        self._open_socket = open_socket
        self._healths: Mapping[Listener, Health] = {}
        self._servers: dict[Listener, asyncio.Server] = {}
        self._connections: OrderedDict[_Connection, None] = OrderedDict()
        """The one that was silent for longest first."""

    async def serve(self, wanted: Mapping[Listener, Health]) -> dict[Listener, OSError]:
        """Listen there and nowhere else. Listeners that stay are left alone, and so are their connections.

        Returns those that could not be had, with the reason; calling again tries them again.
        """
        self._healths = wanted
        for listener in self._servers.keys() - wanted.keys():
            self._servers.pop(listener).close()
        for connection in [each for each in self._connections if each.listener not in wanted]:
            connection.abort()
        failed = {}
        for listener in wanted.keys() - self._servers.keys():
            try:
                self._servers[listener] = await self._listen(listener)
            except OSError as error:
                failed[listener] = error
        return failed

    def health(self, listener: Listener) -> Health | None:
        """What to answer there; None: nothing any more."""
        return self._healths.get(listener)

    def opened(self, connection: _Connection) -> None:
        """A connection was made. May end another."""
        if len(self._connections) >= CONNECTIONS:
            next(iter(self._connections)).abort()
        self._connections[connection] = None

    def heard(self, connection: _Connection) -> None:
        """A request on the connection was answered."""
        if connection in self._connections:
            self._connections.move_to_end(connection)

    def closed(self, connection: _Connection) -> None:
        """The connection is gone."""
        self._connections.pop(connection, None)

    async def _listen(self, listener: Listener) -> asyncio.Server:
        family = family_of(listener.address)
        sock = self._open_socket(family)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == "IPv6":
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((str(listener.address), listener.port))
            loop = asyncio.get_running_loop()
            return await loop.create_server(lambda: _Connection(self, listener), sock=sock, backlog=BACKLOG)
        except BaseException:
            sock.close()
            raise


class _Connection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, server: HealthServer, listener: Listener) -> None:
        self.listener = listener
        self._server = server
        self._received = bytearray()
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.call_later(REQUEST_SECONDS, self.abort)
        self._idle = False
        self._transport: asyncio.Transport | None = None
        self._finished = False

    def abort(self) -> None:
        """End the connection at once."""
        self._server.closed(self)
        self._deadline.cancel()
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.closed(self)
        self._deadline.cancel()

    def pause_writing(self) -> None:
        """The client asks on and on, and reads nothing."""
        self.abort()

    def data_received(self, data: bytes) -> None:
        if self._finished:
            return
        if self._idle:
            self._idle = False
            self._expect_within(REQUEST_SECONDS)
        self._received += data
        try:
            while not self._finished and (request := take_request(self._received)) is not None:
                self._answer(request)
        except BadRequestError as error:
            refusal = Request(persistent=False, has_content=True)
            self._write(refusal, response(refusal, error.status, {}, b"", formatdate(usegmt=True)))

    def _answer(self, request: Request) -> None:
        health = self._server.health(self.listener)
        if health is None:
            self.abort()
            self._finished = True
            return
        date = formatdate(usegmt=True)
        self._write(request, response(request, health.status, health.headers, health.body, date))
        self._server.heard(self)

    def _write(self, request: Request, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(data)
        self._finished = not request.persistent
        if request.has_content:
            # To close while content still comes would be a reset, which may overtake the response.
            self._transport.write_eof()
        elif self._finished:
            self._transport.close()
        elif not self._received:
            self._idle = True
            self._expect_within(IDLE_SECONDS)

    def _expect_within(self, seconds: float) -> None:
        self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self.abort)
