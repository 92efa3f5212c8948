"""Addresses that are kept from being given, for a time or until something happens: reservations and quarantines.

What is kept stands in the ledger; here is when it ends. Pure but for itself: no I/O, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from heraldlb.allocation.book import PoolBook
from heraldlb.allocation.deadlines import Deadlines
from heraldlb.allocation.ledger import Ledger
from heraldlb.allocation.quarantine import Quarantine
from heraldlb.allocation.reservations import end_of
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress, family_of
from heraldlb.api.serviceaddress import Reservation, ServiceAddress

AT_ONCE = -math.inf
"""A deadline that has come, whatever the clock says."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What came to an end."""

    changed: tuple[IPAddress, ...]
    """Addresses whose record may differ now."""
    helped: tuple[NamespacedName, ...]
    """Services that wait and could be helped by it, oldest first."""


class Keeping:
    """Enters what is kept in the ledger, and takes it out when it is over."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._resting: Deadlines[IPAddress] = Deadlines()
        self._quarantined: Deadlines[IPAddress] = Deadlines()
        self._latest = AT_ONCE

    def released(self, address: IPAddress, pool: str, reservation: Reservation, book: PoolBook) -> None:
        """The Service was just taken off the address, which was given from `pool`: keep it, if its pool does."""
        now = reservation.released
        self._look_at_clock(now)
        quarantine = self._ledger.quarantined.get(address)
        if quarantine is not None and quarantine.last_seen is None and address not in self._ledger:
            # Agents watch only what they announce: from now on nobody would see the stranger go.
            self._enter_quarantine(address, replace(quarantine, last_seen=now))
        if end_of(reservation, book.keeper(address, pool)) > now:
            self._ledger.reserve(address, pool, reservation)
            self._schedule(address, book)

    def settle(self, service: NamespacedName, granted: Collection[IPAddress]) -> None:
        """The Service is served with these addresses: what else is kept for it in their families only rests."""
        kept = self._ledger.reserved_for(service)
        families = {family_of(address) for address in granted} if kept else set()
        for address, reservation in kept:
            if not reservation.moved and family_of(address) in families and address not in granted:
                self._ledger.reserve(address, self._ledger.pool_of(address), replace(reservation, moved=True))
                self._resting.set(address, AT_ONCE)

    def adopt(self, record: ServiceAddress) -> None:
        """Enter what a record says is reserved, whether or not it is over by now."""
        holders = {holding.service for holding in self._ledger.holdings(record.address)}
        for reservation in record.reservations:
            if reservation.service not in holders:
                self._ledger.reserve(record.address, record.pool, reservation)
                self._resting.set(record.address, AT_ONCE)

    def free(self, address: IPAddress) -> bool:
        """Keep the address for nobody, if nobody holds it. Returns whether anything was reserved."""
        reservations = self._ledger.reservations(address)
        if not reservations or address in self._ledger:
            return False
        for reservation in reservations:
            self._ledger.unreserve(address, reservation.service)
        self._resting.discard(address)
        return True

    def adopt_quarantine(self, address: IPAddress, quarantine: Quarantine, now: float) -> None:
        """Enter a quarantine from before; what is held must be in the ledger."""
        if quarantine.last_seen is None and address not in self._ledger:
            quarantine = replace(quarantine, last_seen=now)
        self._enter_quarantine(address, quarantine)

    def watch(self, record: ServiceAddress, now: float) -> bool:
        """Take in what agents see of a stranger at a held address. Returns whether a quarantine ended."""
        if not record.holders:
            return False
        known = self._ledger.quarantined.get(record.address)
        if (seen := record.contested_since) is not None:
            since = known.since if known is not None else min(seen, now)
            mac = record.stranger or (known.mac if known is not None else "")
            self._enter_quarantine(record.address, Quarantine(mac, since, withheld=record.withheld))
        elif known is not None and known.last_seen is None:
            self._end_quarantine(record.address)
            return True
        return False

    def review(self) -> None:
        """The pools have changed, and with them how long what is reserved rests: see to it at the next `expire`."""
        for address in self._ledger.reserved():
            self._resting.set(address, AT_ONCE)

    def next(self) -> float | None:
        """When `expire` will have something to do; may have passed."""
        times = (self._resting.next(), self._quarantined.next())
        return min((when for when in times if when is not None), default=None)

    def expire(self, book: PoolBook, now: float) -> tuple[list[IPAddress], bool]:
        """End what is over. Returns addresses whose record may differ now, and whether any came free."""
        self._look_at_clock(now)
        looked_at = [address for address in self._resting.take_due(now) if self._ledger.reservations(address)]
        for address in looked_at:
            self._revise(address, book, now)
        freed = any(not self._ledger.reservations(address) for address in looked_at)
        for address in self._quarantined.take_due(now):
            freed |= self._revise_quarantine(address, now)
        return looked_at, freed

    def _revise(self, address: IPAddress, book: PoolBook, now: float) -> None:
        """End what is over of one address; what was released in the future, by a clock that has stepped back, was
        released now."""
        origin = self._ledger.pool_of(address)
        keeper = book.keeper(address, origin)
        for reservation in self._ledger.reservations(address):
            actual = replace(reservation, released=min(reservation.released, now))
            if end_of(actual, keeper) <= now:
                self._ledger.unreserve(address, reservation.service)
            else:
                self._ledger.reserve(address, keeper.pool.name if keeper else origin, actual)
        self._schedule(address, book)

    def _revise_quarantine(self, address: IPAddress, now: float) -> bool:
        """Whether it ended."""
        quarantine = self._ledger.quarantined[address]
        if quarantine.last_seen is not None and quarantine.last_seen > now:
            quarantine = replace(quarantine, last_seen=now)
        if quarantine.end is not None and quarantine.end <= now:
            self._end_quarantine(address)
            return True
        self._enter_quarantine(address, quarantine)
        return False

    def _schedule(self, address: IPAddress, book: PoolBook) -> None:
        keeper = book.keeper(address, self._ledger.pool_of(address))
        ends = [end_of(reservation, keeper) for reservation in self._ledger.reservations(address)]
        soonest = min(ends, default=math.inf)
        if soonest < math.inf:
            self._resting.set(address, soonest)
        else:
            self._resting.discard(address)

    def _look_at_clock(self, now: float) -> None:
        """Where the clock has stepped back, look at everything: nothing shall wait for the former time to come."""
        if now < self._latest:
            self.review()
            for address, quarantine in self._ledger.quarantined.items():
                if quarantine.last_seen is not None:
                    self._quarantined.set(address, AT_ONCE)
        self._latest = now

    def _enter_quarantine(self, address: IPAddress, quarantine: Quarantine) -> None:
        self._ledger.quarantine(address, quarantine)
        if quarantine.end is not None:
            self._quarantined.set(address, quarantine.end)
        else:
            self._quarantined.discard(address)

    def _end_quarantine(self, address: IPAddress) -> None:
        self._ledger.end_quarantine(address)
        self._quarantined.discard(address)
