"""Reservations: released addresses that are kept for those who had them, and for nobody else.

For how long is a matter of the pool as it is now, not as it was at the release: an edit of the pool acts on
what rests already.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from heraldlb.allocation.book import BookedPool
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import Reservation, object_name
from heraldlb.api.times import written

LISTED_FORMER = 3
"""How many former holders a message names."""


def end_of(reservation: Reservation, keeper: BookedPool | None) -> float:
    """When the reservation ends, in Unix seconds, if its address is of that pool or of none; infinite: never."""
    if keeper is None:
        return -math.inf
    pool = keeper.pool
    if pool.retain and not reservation.moved:
        return math.inf
    return reservation.released + pool.reuse_delay


def describe(address: IPAddress, reservations: tuple[Reservation, ...], keeper: BookedPool) -> str:
    """For whom the address is reserved, and until when; or how to free it."""
    names = ", ".join(str(reservation.service) for reservation in reservations[:LISTED_FORMER])
    more = ", …" if len(reservations) > LISTED_FORMER else ""
    until = max(end_of(reservation, keeper) for reservation in reservations)
    if until == math.inf:
        free = f"kubectl delete serviceaddress {object_name(address)}"
        return f"reserved for {names}{more} (reclaimPolicy Retain); to free it: {free}"
    return f"reserved for {names}{more} until {written(math.ceil(until))} (reuseDelay)"


@dataclass(slots=True)
class _Kept:
    pool: str
    reservations: dict[NamespacedName, Reservation] = field(default_factory=dict)


class Reservations:
    """Mutable record of what is reserved, by address and by Service. What is recorded is in force."""

    __slots__ = ("_by_address", "_by_service")

    def __init__(self) -> None:
        self._by_address: dict[IPAddress, _Kept] = {}
        self._by_service: dict[NamespacedName, set[IPAddress]] = {}

    def __contains__(self, address: IPAddress) -> bool:
        return address in self._by_address

    def __iter__(self) -> Iterator[IPAddress]:
        return iter(self._by_address)

    def __len__(self) -> int:
        return len(self._by_address)

    def put(self, address: IPAddress, pool: str, reservation: Reservation) -> None:
        """Record the reservation, replacing an earlier one of the same Service."""
        kept = self._by_address.setdefault(address, _Kept(pool))
        kept.pool = pool
        kept.reservations[reservation.service] = reservation
        self._by_service.setdefault(reservation.service, set()).add(address)

    def drop(self, address: IPAddress, service: NamespacedName) -> None:
        """Forget what is reserved there for the Service, if anything is."""
        kept = self._by_address.get(address)
        if kept is None or kept.reservations.pop(service, None) is None:
            return
        if not kept.reservations:
            del self._by_address[address]
        addresses = self._by_service[service]
        addresses.discard(address)
        if not addresses:
            del self._by_service[service]

    def of(self, address: IPAddress) -> tuple[Reservation, ...]:
        """Everyone for whom the address is reserved, by namespace and name."""
        kept = self._by_address.get(address)
        return tuple(sorted(kept.reservations.values(), key=lambda each: each.service)) if kept else ()

    def get(self, address: IPAddress, service: NamespacedName) -> Reservation | None:
        """What is reserved there for that Service."""
        kept = self._by_address.get(address)
        return kept.reservations.get(service) if kept else None

    def pool_of(self, address: IPAddress) -> str:
        """The pool that the address was given from, or an empty name."""
        kept = self._by_address.get(address)
        return kept.pool if kept else ""

    def for_service(self, service: NamespacedName) -> tuple[tuple[IPAddress, Reservation], ...]:
        """What is reserved for the Service, released last first; of equal ones IPv4 first, ascending."""
        addresses = self._by_service.get(service)
        if not addresses:
            return ()
        found = [(address, self._by_address[address].reservations[service]) for address in addresses]
        return tuple(sorted(found, key=lambda item: (-item[1].released, item[0].version, int(item[0]))))
