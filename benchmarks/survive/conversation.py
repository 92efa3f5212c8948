"""The client's side of a TCP connection that is to last."""

from __future__ import annotations

import asyncio
import json

from benchmarks.survive.held import Fate, Held, Use
from benchmarks.survive.talk import GapError, Hello, Kind, Opening, download, frame, line, take_frames, take_line


class Conversation(Held, asyncio.Protocol):
    """Fails if anything is missing, doubled or foreign, and if the connection ends."""

    _transport: asyncio.Transport | None = None

    def __init__(self, number: int, use: Use) -> None:
        super().__init__(number, use)
        self._received = bytearray()
        self._told = 0

    async def connect(self, address: str, port: int) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, address, port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        pace = self._use.value
        transport.write(line(Opening(self._number, pace.news, pace.download)))

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._note_silence()
        try:
            if self._hello is None:
                self._begin()
            if self._hello is not None:
                self._take()
        except (GapError, ValueError, TypeError) as error:
            self.fail(str(error))
        self._heard.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail(repr(exc) if exc is not None else "closed by the server")

    async def prove(self) -> None:
        if self._failure is None and self._use.value.download:
            # More than may lie unread in this moment.
            awaited = self._told + self._use.value.download // 4
            await self._until(lambda: self._told >= awaited)
        else:
            await super().prove()

    def leave(self) -> Fate:
        """Say goodbye, so that the server counts no loss."""
        if self._failure is None:
            self._send(frame(Kind.BYE))
        return super().leave()

    def _begin(self) -> None:
        first = take_line(self._received)
        if first is None:
            return
        self._hello = Hello(**json.loads(first))
        self._begin_asking()

    def _take(self) -> None:
        if self._use.value.download:
            octets = bytes(self._received)
            if octets != download(self._told, len(octets)):
                raise GapError(f"octet {self._told} of the download or one of the next {len(octets)} is wrong")
            self._told += len(octets)
            self._received.clear()
            self._expect()
            return
        for kind, number in take_frames(self._received):
            due = {Kind.ANSWER: self._answered, Kind.NEWS: self._told}
            if due.get(Kind(kind)) != number:
                raise GapError(f"got frame {kind} {number} of {due}")
            if kind == Kind.ANSWER:
                self._answered += 1
            else:
                self._told += 1
        if self._answered < self._asked:
            self._expect()

    def _send(self, octets: bytes) -> None:
        assert self._transport is not None
        self._transport.write(octets)
