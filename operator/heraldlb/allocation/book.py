"""The pool book: every pool in the order in which it is tried, and which pool an address belongs to."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from heraldlb.allocation.intervals import IntervalSet
from heraldlb.api.addresspool import AddressPool
from heraldlb.api.ranges import FAMILIES, AddressRange, Family, IPAddress, family_of

INTERFACE_ID_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class BookedPool:
    """A pool and what it really serves: its ranges in listed order, less what is excluded or listed before."""

    pool: AddressPool
    served: tuple[AddressRange, ...]
    contents: Mapping[Family, IntervalSet]

    def __contains__(self, address: IPAddress) -> bool:
        return int(address) in self.contents[family_of(address)]

    def capacity(self, family: Family) -> int:
        """How many addresses of the family it serves."""
        return self.contents[family].size

    def available(self, family: Family, taken: IntervalSet) -> int:
        """How many addresses of the family are left to give to Services that ask for none in particular."""
        kept_back = sum(is_anycast(family, first) and first not in taken for first, _ in self.contents[family])
        return self.capacity(family) - self.overlap(family, taken) - kept_back

    def overlap(self, family: Family, addresses: IntervalSet) -> int:
        """How many addresses of the set it serves."""
        return sum(addresses.overlap(first, last) for first, last in self.contents[family])

    def has(self, family: Family) -> bool:
        """Whether it serves the family at all."""
        return any(served.family == family for served in self.served)


def is_anycast(family: Family, value: int) -> bool:
    """Whether every router of a /64 answers for the address (Subnet-Router anycast, RFC 4291 section 2.6.1).

    Nodes forward packets, so their kernels do. Such an address is given only to a Service that asks for it.
    """
    return family == "IPv6" and value & INTERFACE_ID_MASK == 0


class PoolBook:
    """An immutable view of all pools. Finding an address's owner costs O(log entries of all pools)."""

    __slots__ = ("_by_name", "_ordered", "_stretches")

    def __init__(self, pools: Iterable[AddressPool] = ()) -> None:
        self._ordered = tuple(_book(pool) for pool in sorted(pools, key=lambda pool: pool.order))
        self._by_name = {booked.pool.name: booked for booked in self._ordered}
        self._stretches = {family: _stretches(self._ordered, family) for family in FAMILIES}

    def __iter__(self) -> Iterator[BookedPool]:
        return iter(self._ordered)

    def __len__(self) -> int:
        return len(self._ordered)

    def get(self, name: str) -> BookedPool | None:
        """The pool of that name."""
        return self._by_name.get(name)

    def owner(self, address: IPAddress) -> BookedPool | None:
        """The pool that the address belongs to: of those that contain it, the first in order."""
        return self.owner_of_run(family_of(address), int(address))[0]

    def keeper(self, address: IPAddress, origin: str) -> BookedPool | None:
        """The pool whose rules hold for an address that was given from the pool `origin`.

        That is its owner, or where it has none `origin`, while an entry of that pool cannot be read.
        """
        if (owner := self.owner(address)) is not None:
            return owner
        given = self.get(origin)
        return given if given is not None and given.pool.unusable else None

    def owner_of_run(self, family: Family, value: int) -> tuple[BookedPool | None, int]:
        """The pool that an address (an integer) belongs to, and how far from there on all belong to the same."""
        starts, owners = self._stretches[family]
        index = bisect_right(starts, value) - 1
        owner = owners[index] if index >= 0 else None
        last = starts[index + 1] - 1 if index + 1 < len(starts) else value
        return owner, last

    def overlaps(self, name: str) -> list[AddressPool]:
        """Older pools that share addresses with the named one; a pool is never in conflict with a newer one."""
        booked = self._by_name[name]
        age = (booked.pool.created, name)
        return [
            other.pool
            for other in self._ordered
            if (other.pool.created, other.pool.name) < age
            and any(other.contents[served.family].overlap(served.first, served.last) for served in booked.served)
        ]


def _stretches(ordered: tuple[BookedPool, ...], family: Family) -> tuple[list[int], list[BookedPool | None]]:
    """Where on the line of addresses the owner changes, and who it is from there on."""
    intervals = sorted(
        (first, last, rank) for rank, booked in enumerate(ordered) for first, last in booked.contents[family]
    )
    edges = sorted({edge for first, last, _ in intervals for edge in (first, last + 1)})
    starts: list[int] = []
    owners: list[BookedPool | None] = []
    # Intervals that have begun, by the rank of their pool; those that have ended go when they come to the top.
    begun: list[tuple[int, int]] = []
    upcoming = 0
    for edge in edges:
        while upcoming < len(intervals) and intervals[upcoming][0] <= edge:
            _, last, rank = intervals[upcoming]
            heapq.heappush(begun, (rank, last))
            upcoming += 1
        while begun and begun[0][1] < edge:
            heapq.heappop(begun)
        owner = ordered[begun[0][0]] if begun else None
        if not owners or owners[-1] is not owner:
            starts.append(edge)
            owners.append(owner)
    return starts, owners


def _book(pool: AddressPool) -> BookedPool:
    contents: dict[Family, IntervalSet] = {family: IntervalSet() for family in FAMILIES}
    served: list[AddressRange] = []
    for entry in pool.ranges:
        fresh = IntervalSet([(entry.first, entry.last)])
        for first, last in contents[entry.family]:
            fresh.remove(first, last)
        for excluded in pool.excluded:
            if excluded.family == entry.family:
                fresh.remove(excluded.first, excluded.last)
        for first, last in fresh:
            contents[entry.family].add(first, last)
            served.append(AddressRange(entry.family, first, last))
    return BookedPool(pool, tuple(served), contents)
