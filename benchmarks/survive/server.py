"""An endpoint whose clients can tell whether it still is the one that they began with.

Talks as in `talk` on TALK_PORT; on BULK_PORT as in `bulk`. Prints a line of JSON, `{"lost": NUMBER, "error": ...}`,
for each conversation that ends without its client's goodbye. After SIGTERM it takes no more clients, and ends when
those it has are gone: as a good server does, whose pod is terminated.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from typing import Final

from benchmarks.survive import bulk
from benchmarks.survive.talk import GapError, Hello, Kind, Opening, download, frame, line, take_frames, take_line

TALK_PORT: Final = 7000
BULK_PORT: Final = 7001
_BACKLOG: Final = 4096
_STEP: Final = 0.05
"""Seconds from one write of a download to the next."""


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
        client = transport.get_extra_info("peername")[0].removeprefix("::ffff:")
        self._hello = Hello(self._pod, self._node, client)
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


def _listener(port: int) -> socket.socket:
    return socket.create_server(("::", port), family=socket.AF_INET6, backlog=_BACKLOG, dualstack_ipv6=True)


async def serve(pod: str, node: str) -> None:
    """Until SIGTERM, and then until the last client has gone."""
    loop, terminated, crowd = asyncio.get_running_loop(), asyncio.Event(), Crowd()
    loop.add_signal_handler(signal.SIGTERM, terminated.set)
    bulk.serve(_listener(BULK_PORT))
    server = await loop.create_server(lambda: Talk(pod, node, crowd), sock=_listener(TALK_PORT), backlog=_BACKLOG)
    print("ready", flush=True)
    await terminated.wait()
    server.close()
    await crowd.empty.wait()


def main() -> None:
    asyncio.run(serve(os.environ["POD_NAME"], os.environ["NODE_NAME"]))


if __name__ == "__main__":
    main()
