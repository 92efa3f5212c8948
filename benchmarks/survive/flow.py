"""The client's side of a UDP flow that is to last.

What is lost on the way is asked no second time, and is no break. An answer of another endpoint is one, and so is
the word that nobody listens, and silence for good.
"""

from __future__ import annotations

import asyncio
from typing import Final

from benchmarks.survive.held import Held, Use
from benchmarks.survive.talk import GapError, Hello, read_answer

_FIRST_PORT: Final = 10_000
_PORTS: Final = 22_000
"""Of the client's, below those that its kernel gives: none comes again while a node may remember its last flow."""


class Flow(Held, asyncio.DatagramProtocol):
    """Numbered questions from one port."""

    _transport: asyncio.DatagramTransport | None = None

    def __init__(self, number: int, use: Use = Use.FLOW) -> None:
        super().__init__(number, use)

    async def connect(self, address: str, port: int) -> None:
        local = ("::" if ":" in address else "0.0.0.0", _FIRST_PORT + self._number % _PORTS)
        await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=local, remote_addr=(address, port)
        )

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport
        self._begin_asking()

    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:
        self._note_silence()
        try:
            self._take(*read_answer(data))
        except GapError as error:
            self.fail(str(error))
        self._heard.set()

    def error_received(self, exc: Exception) -> None:
        # Any other error says that this one datagram did not get away, or no further than a router.
        if isinstance(exc, ConnectionRefusedError):
            self.fail(repr(exc))

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(repr(exc))

    def _take(self, number: int, hello: Hello) -> None:
        if number >= self._asked:
            raise GapError(f"got an answer to question {number} of {self._asked}")
        if self._hello is not None and self._hello.pod != hello.pod:
            raise GapError("answered by another endpoint")
        self._hello = self._hello or hello
        self._answered = max(self._answered, number + 1)
        if self._answered < self._asked:
            self._expect()

    def _send(self, octets: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(octets)
