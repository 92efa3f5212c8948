"""Carries TCP connections from 127.0.0.1 in the root namespace into a network namespace.

So `kubectl` on the machine reaches the lab's API server, while no address or route of the machine changes.
Run as `python -m lab.relay NAMESPACE-FILE HOST PORT PORT-FILE`: writes the port it listens on to PORT-FILE.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from contextlib import suppress
from pathlib import Path

from lab.namespaces import CLONE_NEWNET, setns

_CONNECT_TIMEOUT = 3.0


class _Half(asyncio.Protocol):
    """One end of a relayed connection: what it receives, its peer sends."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.peer: _Half | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.peer and self.peer.transport:
            self.peer.transport.write(data)

    def eof_received(self) -> bool:
        if self.peer and self.peer.transport and self.peer.transport.can_write_eof():
            with suppress(OSError):
                self.peer.transport.write_eof()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.peer and self.peer.transport:
            self.peer.transport.close()

    def pause_writing(self) -> None:
        if self.peer and self.peer.transport:
            self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.peer and self.peer.transport:
            self.peer.transport.resume_reading()


class _Accepted(_Half):
    """The end that faces the machine: opens the other one."""

    def __init__(self, host: str, port: int, tasks: set[asyncio.Task[None]]) -> None:
        super().__init__()
        self._target = (host, port)
        self._tasks = tasks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.transport is not None
        self.transport.pause_reading()
        task = asyncio.get_running_loop().create_task(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        peer = _Half()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                await loop.create_connection(lambda: peer, *self._target)
        except (OSError, TimeoutError):
            self.transport.abort()
            return
        self.peer, peer.peer = peer, self
        if self.transport.is_closing():
            assert peer.transport is not None
            peer.transport.close()
            return
        self.transport.resume_reading()


async def relay(listener: socket.socket, host: str, port: int) -> None:
    """Serve until cancelled."""
    tasks: set[asyncio.Task[None]] = set()
    server = await asyncio.get_running_loop().create_server(lambda: _Accepted(host, port, tasks), sock=listener)
    await server.serve_forever()


def main(namespace: str, host: str, port: str, port_file: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    # The listening socket stays in the namespace it was made in; those made from here on are in the other.
    setns(namespace, CLONE_NEWNET)
    target = Path(port_file)
    unfinished = target.with_suffix(".new")
    unfinished.write_text(str(listener.getsockname()[1]))
    unfinished.rename(target)
    asyncio.run(relay(listener, host, int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
