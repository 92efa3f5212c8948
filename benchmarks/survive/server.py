"""An endpoint whose clients can tell whether it still is the one that they began with.

Talks as in `talk` on TALK_PORT, over TCP and UDP; on BULK_PORT as in `bulk`. Prints a line of JSON,
`{"lost": NUMBER, "error": ...}`, for each conversation that ends without its client's goodbye. After SIGTERM it
takes no more clients, and ends when those it has are gone: as a good server does, whose pod is terminated.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from contextlib import suppress
from typing import Final

from benchmarks.survive import bulk
from benchmarks.survive.talk import (
    GapError,
    Hello,
    Kind,
    Opening,
    answer,
    download,
    frame,
    line,
    read_question,
    take_frames,
    take_line,
)

TALK_PORT: Final = 7000
BULK_PORT: Final = 7001
_BACKLOG: Final = 4096
_STEP: Final = 0.05
"""Seconds from one write of a download to the next."""
_QUIET: Final = 2.0
"""Seconds without any question over UDP, of which every client has one a second: then there is none."""


class Crowd:
    """How many clients there are."""

    def __init__(self) -> None:
        self._count = 0
        self.empty = asyncio.Event()
        self.empty.set()

    def come(self) -> None:
        self._count += 1
        self.empty.clear()

    def go(self) -> None:
        self._count -= 1
        if not self._count:
            self.empty.set()


class Talk(asyncio.Protocol):
    """One conversation."""

    _transport: asyncio.Transport
    _hello: Hello

    def __init__(self, pod: str, node: str, crowd: Crowd) -> None:
        self._pod, self._node, self._crowd = pod, node, crowd
        self._received = bytearray()
        self._opening: Opening | None = None
        self._answered = 0
        self._told = 0
        self._over = False
        self._paused = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._hello = Hello(self._pod, self._node, _seen(transport.get_extra_info("peername")))
        self._crowd.come()

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            if self._opening is None:
                self._begin()
            else:
                self._answer()
        except (GapError, ValueError, TypeError) as error:
            self._end(str(error))
            self._transport.abort()

    def eof_received(self) -> None:
        self._end("closed without goodbye")

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(repr(exc))
        self._crowd.go()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    def _begin(self) -> None:
        first = take_line(self._received)
        if first is None:
            return
        self._opening = Opening(**json.loads(first))
        self._transport.write(line(self._hello))
        self._tell()
        self._answer()

    def _answer(self) -> None:
        for kind, number in take_frames(self._received):
            if kind == Kind.BYE:
                self._over = True
                self._transport.close()
            elif (kind, number) == (Kind.QUESTION, self._answered):
                self._transport.write(frame(Kind.ANSWER, number))
                self._answered += 1
            else:
                raise GapError(f"got frame {kind} {number} where question {self._answered} was due")

    def _tell(self) -> None:
        """News or octets of a download, again and again."""
        assert self._opening is not None
        if self._opening.download:
            pause, octets = _STEP, int(self._opening.download * _STEP)
            said = b"" if self._paused else download(self._told, octets)
            self._told += len(said)
        elif self._opening.news:
            pause, said = self._opening.news, frame(Kind.NEWS, self._told)
            self._told += 1
        else:
            return
        self._transport.write(said)
        self._timer = asyncio.get_running_loop().call_later(pause, self._tell)

    def _end(self, error: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._over and self._opening is not None:
            print(json.dumps({"lost": self._opening.number, "error": error}), flush=True)
        self._over = True


class Flows(asyncio.DatagramProtocol):
    """Answers each question by itself, and keeps nothing of who asks."""

    _transport: asyncio.DatagramTransport

    def __init__(self, pod: str, node: str) -> None:
        self._pod, self._node = pod, node
        self._asked_at = -_QUIET

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        with suppress(GapError):
            self._transport.sendto(answer(read_question(data), Hello(self._pod, self._node, _seen(addr))), addr)
            self._asked_at = asyncio.get_running_loop().time()

    async def quiet(self) -> None:
        """Return once nobody asks any more."""
        loop = asyncio.get_running_loop()
        while (wait := self._asked_at + _QUIET - loop.time()) > 0:  # noqa: ASYNC110 - it is silence that is awaited
            await asyncio.sleep(wait)


def _seen(address: tuple[str, int]) -> str:
    return address[0].removeprefix("::ffff:")


def _listener(port: int) -> socket.socket:
    return socket.create_server(("::", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)


def _receiver(port: int) -> socket.socket:
    """Of both families, as well."""
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", port))
    return sock


async def serve(pod: str, node: str) -> None:
    """Until SIGTERM, and then until the last client has gone."""
    loop, terminated, crowd = asyncio.get_running_loop(), asyncio.Event(), Crowd()
    loop.add_signal_handler(signal.SIGTERM, terminated.set)
    bulk.serve(_listener(BULK_PORT))
    server = await loop.create_server(lambda: Talk(pod, node, crowd), sock=_listener(TALK_PORT), backlog=_BACKLOG)
    _, flows = await loop.create_datagram_endpoint(lambda: Flows(pod, node), sock=_receiver(TALK_PORT))
    print("ready", flush=True)
    await terminated.wait()
    server.close()
    await crowd.empty.wait()
    await flows.quiet()


def main() -> None:
    asyncio.run(serve(os.environ["POD_NAME"], os.environ["NODE_NAME"]))


if __name__ == "__main__":
    main()
