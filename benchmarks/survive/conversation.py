"""The client's side of a connection that is to last, and what became of it."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from benchmarks.survive.talk import GapError, Hello, Kind, Opening, download, frame, line, take_frames, take_line

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Pace:
    """How often what is sent; seconds, and octets a second."""

    ask: float = 0.0
    news: float = 0.0
    download: int = 0


class Use(Enum):
    """What the connection is for."""

    TALK = Pace(ask=1.0)
    """A question a second and its answer, as of a client of a database or a queue."""
    CHAT = Pace(ask=0.05, news=0.07)
    """Both sides send what they like when they like, as over a WebSocket."""
    DOWNLOAD = Pace(download=400_000)
    """A file that takes longer than the trial."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What the client knows of one connection. Times are of time.monotonic()."""

    number: int
    use: Use
    hello: Hello | None
    """None: it never came about."""
    failure: str | None
    """What went wrong first; None: it goes on."""
    silence: float
    """The longest time, in seconds, in which something was due and nothing came."""


class Conversation(asyncio.Protocol):
    """Speaks as `use` says from the moment it is connected until `leave`."""

    def __init__(self, number: int, use: Use) -> None:
        self._transport: asyncio.Transport | None = None
        self._number, self._use = number, use
        self._hello: Hello | None = None
        self._failure: str | None = None
        self._received = bytearray()
        self._asked = self._answered = self._told = 0
        self._due_since: float | None = None
        self._silence = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._heard = asyncio.Event()

    @property
    def fate(self) -> Fate:
        return Fate(self._number, self._use, self._hello, self._failure, self._silence)

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

    def fail(self, why: str) -> None:
        """The first reason is kept."""
        if self._failure is None:
            self._failure = why
            self._note_silence()
        self._stop()
        self._heard.set()
        if self._transport is not None:
            self._transport.abort()

    async def prove(self) -> None:
        """Return once something has come that was sent from now on, or it failed."""
        if self._failure is not None:
            return
        if self._use.value.download:
            # More than may lie unread in this moment.
            awaited = self._told + self._use.value.download // 4
            await self._until(lambda: self._told >= awaited)
        else:
            self._ask()
            awaited = self._asked
            await self._until(lambda: self._answered >= awaited)

    def leave(self) -> Fate:
        """Say goodbye. Whatever comes afterwards is no failure."""
        fate = self.fate
        self._stop()
        if self._failure is None:
            self._failure = "over"
            self._send(frame(Kind.BYE))
        if self._transport is not None:
            self._transport.close()
        return fate

    async def _until(self, condition: Callable[[], bool]) -> None:
        while self._failure is None and not condition():
            self._heard.clear()
            await self._heard.wait()

    def _begin(self) -> None:
        first = take_line(self._received)
        if first is None:
            return
        self._hello = Hello(**json.loads(first))
        if pace := self._use.value.ask:
            # Spread evenly, so that a thousand do not speak at once.
            first_question = pace * (self._number * 0.618 % 1)
            self._timer = asyncio.get_running_loop().call_later(first_question, self._ask_on)

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

    def _ask_on(self) -> None:
        self._ask()
        self._timer = asyncio.get_running_loop().call_later(self._use.value.ask, self._ask_on)

    def _ask(self) -> None:
        self._send(frame(Kind.QUESTION, self._asked))
        self._asked += 1
        if self._due_since is None:
            self._expect()

    def _send(self, octets: bytes) -> None:
        assert self._transport is not None
        self._transport.write(octets)

    def _expect(self) -> None:
        self._due_since = time.monotonic()

    def _note_silence(self) -> None:
        if self._due_since is not None:
            self._silence = max(self._silence, time.monotonic() - self._due_since)
            self._due_since = None

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
