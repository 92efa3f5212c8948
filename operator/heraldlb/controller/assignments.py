"""The state of allocation: pools, ledger, and who waits. Pure but for itself: no I/O, no clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from heraldlb.allocation.allocator import Outcome, decide, holding_of
from heraldlb.allocation.book import PoolBook
from heraldlb.allocation.ledger import Holding, Ledger
from heraldlb.allocation.quarantine import Quarantine
from heraldlb.allocation.requests import Request
from heraldlb.allocation.sharing import blocker
from heraldlb.api.addresspool import AddressPool
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.reasons import Reason
from heraldlb.api.serviceaddress import Holder, Reservation, ServiceAddress
from heraldlb.controller.keeping import Ended, Keeping


@dataclass(frozen=True, slots=True)
class Decision:
    """An outcome already entered in the ledger."""

    outcome: Outcome
    leaving: tuple[IPAddress, ...]
    """Addresses that the Service must be taken off."""
    helped: tuple[NamespacedName, ...]
    """Whom it could help that this Service shares, on other terms than before, or no more; oldest first."""


class Assignments:
    """Decides requests against the present pools and holdings, and remembers whom a change could help."""

    def __init__(self) -> None:
        self.book = PoolBook()
        self.ledger = Ledger()
        self._keeping = Keeping(self.ledger)
        self._waiting: dict[NamespacedName, tuple[str, NamespacedName]] = {}
        self._refused: dict[NamespacedName, Reason] = {}
        self.given = 0
        """How often a Service was given an address that it did not have: others may now wait for other reasons."""

    def waiting(self) -> list[NamespacedName]:
        """Services whose request could be met, or met in full, when addresses or pools come; oldest first."""
        return sorted(self._waiting, key=self._waiting.__getitem__)

    def refused(self) -> Counter[Reason]:
        """How many Services do not have what they ask for, by why."""
        return Counter(self._refused.values())

    def replace_pools(self, pools: Iterable[AddressPool]) -> list[NamespacedName]:
        """Take in the pools as they are now. Returns the Services holding an address whose pool has changed.

        What becomes of reserved addresses is seen to by `expire`, which must follow.
        """
        self.book = PoolBook(pools)
        self._keeping.review()
        moved: set[NamespacedName] = set()
        for address in self.ledger:
            owner = self.book.owner(address)
            if owner is None or owner.pool.name != self.ledger.pool_of(address):
                moved.update(holding.service for holding in self.ledger.holdings(address))
        return sorted(moved)

    def adopt(self, request: Request, address: IPAddress, pool: str) -> bool:
        """Enter what a Service is known to hold, before anything is decided. Refused where it may not share it."""
        terms = holding_of(request)
        if blocker(terms, self.ledger.others(address, request.uid)) is not None:
            return False
        self.ledger.put(address, pool, terms)
        return True

    def adopt_shown(self, request: Request, address: IPAddress) -> bool:
        """Enter what a Service shows without a record. Refused also where it is of no pool, or kept for others."""
        owner = self.book.owner(address)
        former = {reservation.service for reservation in self.ledger.reservations(address)}
        if owner is None or (address not in self.ledger and former and request.service not in former):
            return False
        return self.adopt(request, address, owner.pool.name)

    def decide(self, request: Request) -> Decision:
        """Decide the request and enter the grants. The addresses it leaves stay entered until `leave`."""
        outcome = decide(request, self.book, self.ledger)
        granted = [grant.address for grant in outcome.grants]
        leaving = tuple(address for address in self.ledger.held_by(request.uid) if address not in granted)
        terms = holding_of(request)
        shareable = False
        self._keeping.settle(request.service, granted)
        for grant in outcome.grants:
            before = self.ledger.holding(grant.address, request.uid)
            keyed = bool(terms.sharing_key or (before is not None and before.sharing_key))
            shareable |= keyed and before != terms
            self.given += before is None
            self.ledger.put(grant.address, grant.pool, terms)
        if outcome.waiting:
            self._waiting[request.service] = request.age
        else:
            self._waiting.pop(request.service, None)
        if outcome.satisfied:
            self._refused.pop(request.service, None)
        else:
            self._refused[request.service] = outcome.reason
        return Decision(outcome, leaving, tuple(self.waiting()) if shareable else ())

    def leave(
        self, uid: str, addresses: Iterable[IPAddress], now: float, *, moved: bool = False
    ) -> list[NamespacedName]:
        """Take a Service off addresses, which their pools may go on keeping for it. `now`: Unix seconds.

        `moved`: by its own wish, while it goes on being served or asking. Returns whom that could help or concern,
        oldest first.
        """
        freed = False
        for address in addresses:
            pool, holding = self.ledger.pool_of(address), self.ledger.holding(address, uid)
            if holding is not None and self.ledger.drop(address, uid):
                freed = True
                reservation = Reservation(holding.service, now, moved)
                self._keeping.released(address, pool, reservation, self.book)
        return self.waiting() if freed else []

    def expire(self, now: float) -> Ended:
        """End every reservation and quarantine that is over. `now`: Unix seconds."""
        changed, freed = self._keeping.expire(self.book, now)
        return Ended(tuple(changed), tuple(self.waiting()) if freed else ())

    def next_expiry(self) -> float | None:
        """When `expire` will have something to do, in Unix seconds; may have passed."""
        return self._keeping.next()

    def adopt_reservations(self, record: ServiceAddress) -> None:
        """Enter what a record says is reserved, before anything is decided. `expire` ends what is over."""
        self._keeping.adopt(record)

    def adopt_quarantine(self, address: IPAddress, quarantine: Quarantine, now: float) -> None:
        """Enter what a pool's status says is quarantined, after everything that is held."""
        self._keeping.adopt_quarantine(address, quarantine, now)

    def watch(self, record: ServiceAddress, now: float) -> list[NamespacedName]:
        """Take in whether agents see a stranger answer for it. Returns whom that could help, oldest first."""
        before = self.ledger.is_withheld(record.address)
        ended = self._keeping.watch(record, now)
        if self.ledger.is_withheld(record.address) and not before:
            return [holding.service for holding in self.ledger.holdings(record.address)]
        return self.waiting() if ended else []

    def free(self, address: IPAddress) -> list[NamespacedName]:
        """A user deleted the record: it is kept for nobody any more. Returns whom that could help, oldest first."""
        return self.waiting() if self._keeping.free(address) else []

    def forget(self, service: NamespacedName) -> None:
        """The Service asks for nothing any more; what it holds is left for `leave`."""
        self._waiting.pop(service, None)
        self._refused.pop(service, None)

    def yield_to(self, record: ServiceAddress, uid: str) -> None:
        """Someone else has recorded the address first: enter what they say, and take that Service off it."""
        self.ledger.drop(record.address, uid)
        for holder in record.holders:
            if holder.uid != uid:
                self.enter_as_recorded(record, holder.uid)
        self._keeping.adopt(record)

    def respect(self, before: ServiceAddress | None, record: ServiceAddress) -> None:
        """Enter what somebody else has newly recorded, where nobody is entered who stands against it."""
        known = {holder.uid for holder in before.holders} if before else set()
        for holder in record.holders:
            terms = Holding(holder.service, holder.uid, holder.ports, record.sharing_key)
            if holder.uid not in known and blocker(terms, self.ledger.others(record.address, holder.uid)) is None:
                self.enter_as_recorded(record, holder.uid)
        if record.address not in self.ledger and (before is None or before.reservations != record.reservations):
            self._keeping.adopt(record)

    def enter_as_recorded(self, record: ServiceAddress, uid: str) -> None:
        """Enter a holder on the terms that its record gives, unless it is entered already."""
        for holder in record.holders:
            if holder.uid == uid and self.ledger.holding(record.address, uid) is None:
                terms = Holding(holder.service, uid, holder.ports, record.sharing_key)
                self.ledger.put(record.address, record.pool, terms)

    def record_of(self, address: IPAddress) -> ServiceAddress | None:
        """The ServiceAddress that should exist for the address, or None where it is held by and kept for nobody."""
        holdings, reservations = self.ledger.holdings(address), self.ledger.reservations(address)
        if not holdings and not reservations:
            return None
        return ServiceAddress(
            address=address,
            pool=self.ledger.pool_of(address),
            holders=tuple(Holder(held.service, held.uid, held.ports) for held in holdings),
            sharing_key=holdings[0].sharing_key if holdings else "",
            reservations=reservations,
        )
