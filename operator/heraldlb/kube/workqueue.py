"""What to work on next: each key at most once at a time, repeated marks folded into one."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Hashable, Iterable
from itertools import count
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_RETRY = 0.05
"""Seconds before the first repetition of failed work; doubled for each further one."""

LAST_RETRY = 30.0
"""Seconds at the most between repetitions."""


class WorkQueue(Generic[K]):
    """Keys by urgency, equally urgent ones as they were marked.

    A key marked while it is worked on comes again, and never is one worked on twice at the same time.
    """

    def __init__(self, urgency: Callable[[K], Any] = lambda _: 0) -> None:
        """`urgency`: asked when a key is marked; the lowest value is taken first."""
        self._urgency = urgency
        self._marks = count()
        self._waiting: dict[K, tuple[Any, int]] = {}
        # What a key was marked with before something more urgent came of it stays in the heap, and is passed over.
        self._order: list[tuple[tuple[Any, int], K]] = []
        self._active: set[K] = set()
        self._again: dict[K, Any] = {}
        self._failures: dict[K, int] = {}
        self._retries: dict[K, asyncio.TimerHandle] = {}
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._active) + len(self._again)

    def mark(self, key: K) -> None:
        """Have the key worked on."""
        if (retry := self._retries.pop(key, None)) is not None:
            retry.cancel()
        if key in self._active:
            self._again[key] = self._urgency(key)
            return
        place = (self._urgency(key), next(self._marks))
        if key not in self._waiting or place < self._waiting[key]:
            self._waiting[key] = place
            heapq.heappush(self._order, (place, key))
            self._ready.set()

    def mark_all(self, keys: Iterable[K]) -> None:
        """Have the keys worked on, equally urgent ones in this order."""
        for key in keys:
            self.mark(key)

    async def take(self) -> K:
        """The next key; it must be given to `done` or `retry`.

        One that must come again after it is done holds up what is less urgent, so that nothing overtakes it.
        """
        while (key := self._next()) is None:
            self._ready.clear()
            await self._ready.wait()
        heapq.heappop(self._order)
        del self._waiting[key]
        self._active.add(key)
        return key

    def _next(self) -> K | None:
        while self._order and self._waiting.get(self._order[0][1]) != self._order[0][0]:
            heapq.heappop(self._order)
        if not self._order:
            return None
        (urgency, _), key = self._order[0]
        return None if any(again < urgency for again in self._again.values()) else key

    def done(self, key: K) -> None:
        """The key was worked on with success."""
        self._failures.pop(key, None)
        self._leave(key)

    def retry(self, key: K) -> float:
        """The key must be worked on again, the later the more often it failed. Returns the seconds until then."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(FIRST_RETRY * 2.0 ** min(failures, 20), LAST_RETRY)
        self._leave(key)
        if key not in self._waiting:
            self._retries[key] = asyncio.get_running_loop().call_later(delay, self._retry_now, key)
        return delay

    def close(self) -> None:
        """Cancel what is scheduled."""
        for retry in self._retries.values():
            retry.cancel()
        self._retries.clear()

    def _retry_now(self, key: K) -> None:
        del self._retries[key]
        self.mark(key)

    def _leave(self, key: K) -> None:
        self._active.discard(key)
        if key in self._again:
            del self._again[key]
            self.mark(key)
            self._ready.set()
