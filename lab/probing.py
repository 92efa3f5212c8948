"""A client that never stops asking: a new HTTP connection at a steady pace, whether or not the last was answered.

A connection that finds no answer does not hold up the next, so how long an address is silent is known to one
interval. Each is given up before the kernel would repeat its SYN: every attempt is one question, asked once.
"""

from __future__ import annotations

import errno
import selectors
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.host import Host

INTERVAL: Final = 0.01
"""Seconds between two attempts at one address, unless told otherwise."""

PATIENCE: Final = 0.5
"""Seconds after which an attempt has failed, unless told otherwise; below the second after which TCP repeats a SYN
(RFC 6298)."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection, in seconds of time.monotonic()."""

    begun: float
    ended: float
    answered: bool
    opened: bool = False
    """Whether a connection came about, which is less than an answer."""


@dataclass(frozen=True, slots=True)
class Silence:
    """The longest time between two answers of one address, in seconds."""

    begun: float
    seconds: float

    @property
    def over(self) -> float:
        return self.begun + self.seconds


@dataclass(frozen=True, slots=True)
class Failures:
    """How many attempts begun in some time failed."""

    failed: int
    begun: int
    last: float | None
    """When the last of those that failed was begun."""


def longest_silence(attempts: Sequence[Attempt]) -> Silence | None:
    """None with fewer than two answers, between which there could be silence. Pure."""
    answers = sorted(attempt.ended for attempt in attempts if attempt.answered)
    gaps = [(later - earlier, earlier) for earlier, later in pairwise(answers)]
    if not gaps:
        return None
    seconds, begun = max(gaps)
    return Silence(begun, seconds)


def failures_since(attempts: Sequence[Attempt], moment: float) -> Failures:
    """Of the attempts begun since then. Pure."""
    recent = [attempt for attempt in attempts if attempt.begun >= moment]
    failed = [attempt.begun for attempt in recent if not attempt.answered]
    return Failures(len(failed), len(recent), max(failed, default=None))


@dataclass(slots=True)
class _Asking:
    """One attempt under way."""

    target: str
    begun: float
    connection: socket.socket
    has_asked: bool = False


@dataclass(slots=True)
class Prober:
    """What has been asked so far; safe to read while it goes on."""

    targets: Sequence[str]
    port: int
    interval: float = INTERVAL
    """Seconds between two attempts at one target."""
    patience: float = PATIENCE
    """Seconds after which an attempt has failed."""
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    """By target, in the order they ended."""
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.attempts = {target: [] for target in self.targets}

    def silence(self, target: str) -> Silence | None:
        """The longest of one target so far."""
        return longest_silence(list(self.attempts[target]))

    def answered_since(self, target: str, moment: float) -> bool:
        """Whether an attempt at the target begun since then was answered."""
        return any(attempt.answered and attempt.begun >= moment for attempt in list(self.attempts[target]))

    def failures(self, target: str, since: float) -> Failures:
        """Of one target, of the attempts begun since then and ended by now."""
        return failures_since(list(self.attempts[target]), since)

    def stop(self) -> None:
        """End `run`; attempts that are under way do not count."""
        self._stop.set()

    def run(self) -> None:
        """Ask, until `stop`, with the network of the calling thread."""
        with selectors.DefaultSelector() as selector:
            try:
                self._run(selector)
            finally:
                for key in list(selector.get_map().values()):
                    key.data.connection.close()

    def _run(self, selector: selectors.BaseSelector) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            now = time.monotonic()
            if now >= due:
                for target in self.targets:
                    self._begin(selector, target, now)
                # After a pause of this machine, missed attempts are not made up for: they would say nothing new.
                due = max(due + self.interval, now)
            for key, _ in selector.select(max(due - time.monotonic(), 0.0)):
                self._go_on(selector, key.data)
            self._give_up(selector, time.monotonic())

    def _begin(self, selector: selectors.BaseSelector, target: str, now: float) -> None:
        family = socket.AF_INET6 if ":" in target else socket.AF_INET
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.setblocking(False)
        asking = _Asking(target, now, connection)
        if connection.connect_ex((target, self.port)) == errno.EINPROGRESS:
            selector.register(connection, selectors.EVENT_WRITE, asking)
        else:
            self._end(asking, answered=False)

    def _go_on(self, selector: selectors.BaseSelector, asking: _Asking) -> None:
        try:
            if asking.has_asked:
                answer = asking.connection.recv(4096)
                selector.unregister(asking.connection)
                self._end(asking, answered=answer.startswith(b"HTTP/1.1 200"))
            else:
                asking.connection.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
                asking.has_asked = True
                selector.modify(asking.connection, selectors.EVENT_READ, asking)
        except OSError:
            selector.unregister(asking.connection)
            self._end(asking, answered=False)

    def _give_up(self, selector: selectors.BaseSelector, now: float) -> None:
        for key in list(selector.get_map().values()):
            if now - key.data.begun > self.patience:
                selector.unregister(key.data.connection)
                self._end(key.data, answered=False)

    def _end(self, asking: _Asking, *, answered: bool) -> None:
        asking.connection.close()
        self.attempts[asking.target].append(Attempt(asking.begun, time.monotonic(), answered, asking.has_asked))


@contextmanager
def asking(
    host: Host, targets: Sequence[str], port: int = 80, interval: float = INTERVAL, patience: float = PATIENCE
) -> Iterator[Prober]:
    """Ask from a host of the lab for as long as the context lasts."""
    prober = Prober(targets, port, interval, patience)
    with ThreadPoolExecutor(1, "prober") as pool:
        running = pool.submit(host.call, prober.run)
        try:
            yield prober
        finally:
            prober.stop()
            running.result()
