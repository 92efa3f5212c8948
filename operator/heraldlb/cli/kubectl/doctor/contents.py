"""The addresses of a pool, as far as checks ask about them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from heraldlb.allocation.intervals import IntervalSet
from heraldlb.api.addresspool import AddressPool, parse_pool
from heraldlb.api.objects import entries, text
from heraldlb.api.ranges import AddressRange, Family, IPAddress, RangeError, address_at, parse_address
from heraldlb.api.serviceaddress import parse_service_address
from heraldlb.cli.kubectl.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Contents:
    """What a pool may give."""

    pool: AddressPool
    ranges: tuple[AddressRange, ...]
    """Without what is excluded."""
    quarantined: frozenset[IPAddress] = frozenset()
    """Contested by other hosts, as its status says."""

    @property
    def name(self) -> str:
        """Of the pool."""
        return self.pool.name

    def __contains__(self, address: object) -> bool:
        return any(address in each for each in self.ranges)

    def overlaps(self, other: AddressRange) -> bool:
        """Whether any address is in that range."""
        return any(each.overlaps(other) for each in self.ranges)

    def within(self, other: AddressRange) -> Iterator[AddressRange]:
        """The parts in that range."""
        for each in self.ranges:
            if each.overlaps(other):
                yield AddressRange(each.family, max(each.first, other.first), min(each.last, other.last))


def contents(snapshot: Snapshot) -> tuple[Contents, ...]:
    """Of every pool, by name."""
    found = []
    for raw in snapshot.pools:
        pool = parse_pool(raw)
        quarantined = (text(entry, "address") for entry in entries(raw, "status", "quarantined"))
        found.append(Contents(pool, without(pool.ranges, pool.excluded), frozenset(_addresses(quarantined))))
    return tuple(sorted(found, key=lambda each: each.name))


def held(snapshot: Snapshot) -> frozenset[IPAddress]:
    """Addresses that have a record: assigned, or kept for somebody."""
    records = (parse_service_address(raw) for raw in snapshot.records)
    return frozenset(record.address for record in records if record is not None)


def without(ranges: Iterable[AddressRange], excluded: Iterable[AddressRange]) -> tuple[AddressRange, ...]:
    """What is left of the ranges."""
    left: dict[Family, IntervalSet] = {}
    for each in ranges:
        left.setdefault(each.family, IntervalSet()).add(each.first, each.last)
    for each in excluded:
        if each.family in left:
            left[each.family].remove(each.first, each.last)
    return tuple(AddressRange(family, first, last) for family, each in left.items() for first, last in each)


def first_free(part: AddressRange, taken: Iterable[IPAddress], most: int) -> list[IPAddress]:
    """The lowest addresses of the range that nobody has taken."""
    occupied = IntervalSet((int(each), int(each)) for each in taken if each in part)
    found: list[IPAddress] = []
    following = occupied.first_gap(part.first, part.last)
    while following is not None and len(found) < most:
        found.append(address_at(part.family, following))
        following = occupied.first_gap(following + 1, part.last)
    return found


def _addresses(texts: Iterable[str]) -> Iterator[IPAddress]:
    for each in texts:
        try:
            yield parse_address(each)
        except RangeError:
            continue
