"""The pool book: every pool in the order in which it is tried, and which pool an address belongs to."""

from __future__ import annotations

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
        contents = self.contents[family]
        held = sum(taken.overlap(first, last) for first, last in contents)
        kept_back = sum(is_anycast(family, first) and first not in taken for first, _ in contents)
        return self.capacity(family) - held - kept_back

    def has(self, family: Family) -> bool:
        """Whether it serves the family at all."""
        return any(served.family == family for served in self.served)


def is_anycast(family: Family, value: int) -> bool:
    """Whether every router of a /64 answers for the address (Subnet-Router anycast, RFC 4291 section 2.6.1).

    Nodes forward packets, so their kernels do. Such an address is given only to a Service that asks for it.
    """
    return family == "IPv6" and value & INTERFACE_ID_MASK == 0


class PoolBook:
    """An immutable view of all pools."""

    __slots__ = ("_by_name", "_ordered")

    def __init__(self, pools: Iterable[AddressPool] = ()) -> None:
        self._ordered = tuple(_book(pool) for pool in sorted(pools, key=lambda pool: pool.order))
        self._by_name = {booked.pool.name: booked for booked in self._ordered}

    def __iter__(self) -> Iterator[BookedPool]:
        return iter(self._ordered)

    def __len__(self) -> int:
        return len(self._ordered)

    def get(self, name: str) -> BookedPool | None:
        """The pool of that name."""
        return self._by_name.get(name)

    def owner(self, address: IPAddress) -> BookedPool | None:
        """The pool that the address belongs to: of those that contain it, the first in order."""
        return next((booked for booked in self._ordered if address in booked), None)

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
