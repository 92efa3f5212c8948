"""When something is to be looked at again, for many keys, soonest first. Pure: time is passed in."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Deadlines(Generic[K]):
    """At most one deadline for each key. Setting and taking cost O(log n)."""

    __slots__ = ("_current", "_heap", "_numbers")

    def __init__(self) -> None:
        self._current: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._current)

    def set(self, key: K, when: float) -> None:
        """Give the key this deadline instead of any other."""
        number = next(self._numbers)
        self._current[key] = (when, number)
        heapq.heappush(self._heap, (when, number, key))

    def discard(self, key: K) -> None:
        """Take the key's deadline away, if it has one."""
        self._current.pop(key, None)

    def next(self) -> float | None:
        """The soonest deadline."""
        self._drop_outdated()
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: float) -> list[K]:
        """The keys whose deadline has come, soonest first; they have none afterwards."""
        due = []
        while (when := self.next()) is not None and when <= now:
            _, _, key = heapq.heappop(self._heap)
            del self._current[key]
            due.append(key)
        return due

    def _drop_outdated(self) -> None:
        while self._heap and self._current.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)
