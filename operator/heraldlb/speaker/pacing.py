"""When announcements go out, and how many of anything in a second."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from itertools import count
from typing import Generic, TypeVar

from heraldlb.speaker.constants import ANNOUNCE_AFTER, REFRESH_INTERVAL, REFRESH_SPACING

_Key = TypeVar("_Key", bound=Hashable)


class AnnouncementSchedule(Generic[_Key]):
    """Announcements of owned addresses, to everybody or each to one client: a burst for each that was just taken,
    and then, far apart and one at a time, refreshes for as long as it is owned. Times are seconds on the caller's
    clock."""

    def __init__(self, after: tuple[float, ...] = ANNOUNCE_AFTER, *, refresh: bool = True) -> None:
        self._after = after
        self._refresh = refresh
        self._last_refresh = float("-inf")
        self._queue: list[tuple[float, int, _Key, int, float]] = []
        self._runs: dict[_Key, int] = {}
        self._ids = count()

    def start(self, address: _Key, now: float) -> None:
        """Announce `address` from now on by the schedule, from its beginning."""
        run = self._runs[address] = next(self._ids)
        heapq.heappush(self._queue, (now + self._after[0], run, address, 0, now))

    def stop(self, address: _Key) -> None:
        """Announce `address` no more."""
        self._runs.pop(address, None)

    def due(self, now: float, limit: int) -> list[_Key]:
        """Up to `limit` addresses to announce now, each once, those due longest first."""
        found: list[_Key] = []
        while self._queue and self._queue[0][0] <= now and len(found) < limit:
            _, run, address, step, started = heapq.heappop(self._queue)
            if self._runs.get(address) != run:
                continue
            found.append(address)
            if step + 1 < len(self._after):
                # Never two steps at once after a delay: the later ones keep their distance from now.
                gap = self._after[step + 1] - self._after[step]
                due = max(started + self._after[step + 1], now + gap / 2)
                heapq.heappush(self._queue, (due, run, address, step + 1, started))
            elif not self._refresh:
                del self._runs[address]
            else:
                self._last_refresh = max(now + REFRESH_INTERVAL, self._last_refresh + REFRESH_SPACING)
                heapq.heappush(self._queue, (self._last_refresh, run, address, step, started))
        return found

    def next_due(self) -> float | None:
        """When `due` has something again, or None. May be early by an address that was stopped."""
        return self._queue[0][0] if self._queue else None


class TokenBucket:
    """At most `rate` a second, and as many at once."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Whether one more may go out now."""
        self._tokens = min(self._rate, self._tokens + max(0.0, now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
