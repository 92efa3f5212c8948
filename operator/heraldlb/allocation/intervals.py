"""A set of integers kept as disjoint closed intervals, so that a full range costs as much as an empty one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class IntervalSet:
    """Mutable set of integers. Finding the lowest absent value is O(log intervals), however many are present."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, intervals: Iterable[tuple[int, int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in intervals:
            self.add(first, last)

    def __contains__(self, value: int) -> bool:
        index = bisect_right(self._firsts, value) - 1
        return index >= 0 and value <= self._lasts[index]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    @property
    def size(self) -> int:
        """How many integers the set holds."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def add(self, first: int, last: int | None = None) -> None:
        """Add `first` to `last` inclusive, or `first` alone."""
        last = first if last is None else last
        # Intervals that touch, not only those that overlap, melt into one.
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def remove(self, first: int, last: int | None = None) -> None:
        """Remove `first` to `last` inclusive, or `first` alone; what is absent stays absent."""
        last = first if last is None else last
        low = bisect_left(self._lasts, first)
        high = bisect_right(self._firsts, last)
        if low >= high:
            return
        kept = []
        if self._firsts[low] < first:
            kept.append((self._firsts[low], first - 1))
        if self._lasts[high - 1] > last:
            kept.append((last + 1, self._lasts[high - 1]))
        self._firsts[low:high] = [start for start, _ in kept]
        self._lasts[low:high] = [end for _, end in kept]

    def first_gap(self, first: int, last: int) -> int | None:
        """The lowest value from `first` to `last` that is not in the set, or None."""
        index = bisect_right(self._firsts, first) - 1
        if index >= 0 and first <= self._lasts[index]:
            first = self._lasts[index] + 1
        return first if first <= last else None

    def overlap(self, first: int, last: int) -> int:
        """How many values from `first` to `last` are in the set."""
        low = bisect_left(self._lasts, first)
        high = bisect_right(self._firsts, last)
        return sum(
            min(self._lasts[index], last) - max(self._firsts[index], first) + 1 for index in range(low, high)
        )
