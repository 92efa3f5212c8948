"""The state of allocation: pools, ledger, and who waits. Pure but for itself: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

from heraldlb.allocation.allocator import Outcome, decide, holding_of
from heraldlb.allocation.book import PoolBook
from heraldlb.allocation.ledger import Holding, Ledger
from heraldlb.allocation.requests import Request
from heraldlb.allocation.sharing import blocker
from heraldlb.api.addresspool import AddressPool
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import Holder, ServiceAddress


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
        self._waiting: dict[NamespacedName, tuple[str, NamespacedName]] = {}

    def waiting(self) -> list[NamespacedName]:
        """Services whose request could be met, or met in full, when addresses or pools come; oldest first."""
        return sorted(self._waiting, key=self._waiting.__getitem__)

    def replace_pools(self, pools: Iterable[AddressPool]) -> list[NamespacedName]:
        """Take in the pools as they are now. Returns the Services holding an address whose pool has changed."""
        self.book = PoolBook(pools)
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

    def decide(self, request: Request) -> Decision:
        """Decide the request and enter the grants. The addresses it leaves stay entered until `leave`."""
        outcome = decide(request, self.book, self.ledger)
        granted = {grant.address for grant in outcome.grants}
        leaving = tuple(address for address in self.ledger.held_by(request.uid) if address not in granted)
        terms = holding_of(request)
        shareable = False
        for grant in outcome.grants:
            before = self.ledger.holding(grant.address, request.uid)
            keyed = bool(terms.sharing_key or (before is not None and before.sharing_key))
            shareable |= keyed and before != terms
            self.ledger.put(grant.address, grant.pool, terms)
        if outcome.waiting:
            self._waiting[request.service] = request.age
        else:
            self._waiting.pop(request.service, None)
        return Decision(outcome, leaving, tuple(self.waiting()) if shareable else ())

    def leave(self, uid: str, addresses: Iterable[IPAddress]) -> list[NamespacedName]:
        """Take a Service off addresses. Returns whom that could help, oldest first."""
        freed = [address for address in addresses if self.ledger.drop(address, uid)]
        return self.waiting() if freed else []

    def forget(self, service: NamespacedName) -> None:
        """The Service asks for nothing any more; what it holds is left for `leave`."""
        self._waiting.pop(service, None)

    def yield_to(self, record: ServiceAddress, uid: str) -> None:
        """Someone else has recorded the address first: enter their holders, and take that Service off it."""
        self.ledger.drop(record.address, uid)
        for holder in record.holders:
            if holder.uid != uid:
                self.enter_as_recorded(record, holder.uid)

    def respect(self, record: ServiceAddress, uids: Set[str]) -> None:
        """Enter those holders whom somebody else has recorded, where nobody is entered who would not share."""
        for holder in record.holders:
            terms = Holding(holder.service, holder.uid, holder.ports, record.sharing_key)
            if holder.uid in uids and blocker(terms, self.ledger.others(record.address, holder.uid)) is None:
                self.enter_as_recorded(record, holder.uid)

    def enter_as_recorded(self, record: ServiceAddress, uid: str) -> None:
        """Enter a holder on the terms that its record gives, unless it is entered already."""
        for holder in record.holders:
            if holder.uid == uid and self.ledger.holding(record.address, uid) is None:
                terms = Holding(holder.service, uid, holder.ports, record.sharing_key)
                self.ledger.put(record.address, record.pool, terms)

    def record_of(self, address: IPAddress) -> ServiceAddress | None:
        """The ServiceAddress that should exist for the address, or None where nobody holds it."""
        holdings = self.ledger.holdings(address)
        if not holdings:
            return None
        return ServiceAddress(
            address=address,
            pool=self.ledger.pool_of(address),
            holders=tuple(Holder(held.service, held.uid, held.ports) for held in holdings),
            sharing_key=holdings[0].sharing_key,
        )
