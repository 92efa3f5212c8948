"""What the client holds open to an endpoint, over whatever protocol, and what became of it."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from benchmarks.survive.talk import Kind, frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.survive.talk import Hello


@dataclass(frozen=True, slots=True)
class Pace:
    """How often what is sent; seconds, and octets a second."""

    ask: float = 0.0
    news: float = 0.0
    download: int = 0
    datagrams: bool = False
    """Over UDP, not TCP."""


class Use(Enum):
    """What it is for."""

    TALK = Pace(ask=1.0)
    """A question a second and its answer, as of a client of a database or a queue."""
    CHAT = Pace(ask=0.05, news=0.07)
    """Both sides send what they like when they like, as over a WebSocket."""
    DOWNLOAD = Pace(download=400_000)
    """A file that takes longer than the trial."""
    FLOW = Pace(ask=1.0, datagrams=True)
    """A question a second and its answer, of which any may be lost."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What the client knows of one of them. Times are of time.monotonic()."""

    number: int
    use: Use
    hello: Hello | None
    """None: it never came about."""
    failure: str | None
    """What went wrong first; None: it goes on."""
    silence: float
    """The longest time, in seconds, in which something was due and nothing came."""


class Held(ABC):
    """Speaks as `use` says from the moment it is connected until `leave`."""

    _transport: asyncio.Transport | asyncio.DatagramTransport | None = None

    def __init__(self, number: int, use: Use) -> None:
        self._number, self._use = number, use
        self._hello: Hello | None = None
        self._failure: str | None = None
        self._asked = self._answered = 0
        self._due_since: float | None = None
        self._silence = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._heard = asyncio.Event()

    @property
    def fate(self) -> Fate:
        return Fate(self._number, self._use, self._hello, self._failure, self._silence)

    @abstractmethod
    async def connect(self, address: str, port: int) -> None:
        """Once. Raises OSError."""

    @abstractmethod
    def _send(self, octets: bytes) -> None:
        """To the endpoint."""

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
        self._ask()
        awaited = self._asked
        await self._until(lambda: self._answered >= awaited)

    def leave(self) -> Fate:
        """It is needed no more. Whatever comes afterwards is no failure."""
        fate = self.fate
        self._stop()
        self._failure = self._failure or "over"
        if self._transport is not None:
            self._transport.close()
        return fate

    async def _until(self, condition: Callable[[], bool]) -> None:
        while self._failure is None and not condition():
            self._heard.clear()
            await self._heard.wait()

    def _begin_asking(self) -> None:
        if pace := self._use.value.ask:
            # Spread evenly, so that a thousand do not speak at once.
            first_question = pace * (self._number * 0.618 % 1)
            self._timer = asyncio.get_running_loop().call_later(first_question, self._ask_on)

    def _ask_on(self) -> None:
        self._ask()
        self._timer = asyncio.get_running_loop().call_later(self._use.value.ask, self._ask_on)

    def _ask(self) -> None:
        self._send(frame(Kind.QUESTION, self._asked))
        self._asked += 1
        if self._due_since is None:
            self._expect()

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
