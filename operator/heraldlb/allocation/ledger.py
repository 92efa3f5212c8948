"""The ledger: which Service holds which address, on what terms, and what is kept from being given.

What keeps an address is in force for as long as it is entered: the ledger has no clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from heraldlb.allocation.intervals import IntervalSet
from heraldlb.allocation.quarantine import Quarantine
from heraldlb.allocation.reservations import Reservations
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of
from heraldlb.api.serviceaddress import HeldPort, Reservation

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Holding:
    """The terms on which one Service holds an address; two that share must agree as `sharing` defines."""

    service: NamespacedName
    uid: str
    ports: tuple[HeldPort, ...] = ()
    sharing_key: str = ""
    backend: tuple[tuple[str, str], ...] | None = None


@dataclass(slots=True)
class _Entry:
    pool: str
    holdings: dict[str, Holding] = field(default_factory=dict)


class Ledger:
    """Mutable record of what is held and kept. The indexes are derived and change only with what they index.

    To iterate, to count and to ask with `in` is about the addresses that are held.
    """

    __slots__ = (
        "_by_key",
        "_by_namespace",
        "_by_pool",
        "_by_service",
        "_by_uid",
        "_entries",
        "_quarantined",
        "_reservations",
        "_resting",
        "_taken",
    )

    def __init__(self) -> None:
        self._entries: dict[IPAddress, _Entry] = {}
        self._by_uid: dict[str, set[IPAddress]] = {}
        self._by_service: dict[NamespacedName, set[str]] = {}
        self._by_key: dict[str, set[IPAddress]] = {}
        self._by_namespace: Counter[tuple[str, str]] = Counter()
        self._by_pool: Counter[tuple[str, Family]] = Counter()
        self._reservations = Reservations()
        self._quarantined: dict[IPAddress, Quarantine] = {}
        self._taken: dict[Family, IntervalSet] = {family: IntervalSet() for family in FAMILIES}
        self._resting: dict[Family, IntervalSet] = {family: IntervalSet() for family in FAMILIES}

    def __contains__(self, address: IPAddress) -> bool:
        return address in self._entries

    def __iter__(self) -> Iterator[IPAddress]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, address: IPAddress, pool: str, holding: Holding) -> None:
        """Record that the Service holds the address, replacing what was recorded of it before.

        An address that its former holder has again is no longer reserved for it.
        """
        entry = self._entries.get(address)
        if entry is None:
            entry = self._entries[address] = _Entry(pool)
            self._taken[family_of(address)].add(int(address))
        else:
            self._unindex(address, entry)
        if address in self._reservations:
            self._reservations.drop(address, holding.service)
            self._resting[family_of(address)].remove(int(address))
        entry.pool = pool
        entry.holdings[holding.uid] = holding
        self._index(address, entry)

    def drop(self, address: IPAddress, uid: str) -> bool:
        """Take the Service off the address. Returns whether it had held it."""
        entry = self._entries.get(address)
        if entry is None or uid not in entry.holdings:
            return False
        self._unindex(address, entry)
        del entry.holdings[uid]
        if entry.holdings:
            self._index(address, entry)
        else:
            del self._entries[address]
            self._settle(address)
        return True

    def reserve(self, address: IPAddress, pool: str, reservation: Reservation) -> None:
        """Keep the address for a Service that had it, given from that pool."""
        self._reservations.put(address, pool, reservation)
        self._settle(address)

    def unreserve(self, address: IPAddress, service: NamespacedName) -> None:
        """Keep the address for that Service no more."""
        self._reservations.drop(address, service)
        self._settle(address)

    def quarantine(self, address: IPAddress, quarantine: Quarantine) -> None:
        """Give the address to nobody new, replacing what was known of its quarantine before."""
        self._quarantined[address] = quarantine
        self._settle(address)

    def end_quarantine(self, address: IPAddress) -> None:
        """The stranger is gone."""
        self._quarantined.pop(address, None)
        self._settle(address)

    def reservations(self, address: IPAddress) -> tuple[Reservation, ...]:
        """Everyone for whom the address is kept, by namespace and name."""
        return self._reservations.of(address)

    def reserved_for(self, service: NamespacedName) -> tuple[tuple[IPAddress, Reservation], ...]:
        """What is kept for a Service, released last first."""
        return self._reservations.for_service(service)

    def reserved(self) -> tuple[IPAddress, ...]:
        """Every address that is kept for somebody, held or not."""
        return tuple(self._reservations)

    def resting(self, family: Family) -> IntervalSet:
        """Every address of the family that is kept and not held, as integers. Not to be changed by the caller."""
        return self._resting[family]

    @property
    def quarantined(self) -> Mapping[IPAddress, Quarantine]:
        """Every quarantined address, held or not."""
        return self._quarantined

    def is_withheld(self, address: IPAddress) -> bool:
        """Whether no node announces the address because a stranger had it first."""
        quarantine = self._quarantined.get(address)
        return quarantine is not None and quarantine.withheld

    def pool_of(self, address: IPAddress) -> str:
        """The pool that the address was given from, or an empty name."""
        entry = self._entries.get(address)
        return entry.pool if entry is not None else self._reservations.pool_of(address)

    def holdings(self, address: IPAddress) -> tuple[Holding, ...]:
        """Everyone who holds the address, by namespace and name."""
        entry = self._entries.get(address)
        if entry is None:
            return ()
        return tuple(sorted(entry.holdings.values(), key=lambda holding: (holding.service, holding.uid)))

    def holding(self, address: IPAddress, uid: str) -> Holding | None:
        """The terms on which that Service holds the address."""
        entry = self._entries.get(address)
        return entry.holdings.get(uid) if entry is not None else None

    def others(self, address: IPAddress, uid: str) -> tuple[Holding, ...]:
        """Everyone who holds the address but that Service."""
        return tuple(holding for holding in self.holdings(address) if holding.uid != uid)

    def held_by(self, uid: str) -> tuple[IPAddress, ...]:
        """The addresses of one Service, IPv4 first, ascending."""
        addresses = self._by_uid.get(uid)
        return _ascending(addresses) if addresses else ()

    def uids(self, service: NamespacedName) -> tuple[str, ...]:
        """The uids under which Services of that name hold something; a deleted and remade one has had several."""
        return tuple(sorted(self._by_service.get(service, ())))

    def under_key(self, sharing_key: str) -> tuple[IPAddress, ...]:
        """The addresses that some holder shares under the key, IPv4 first, ascending."""
        return _ascending(self._by_key.get(sharing_key, ()))

    def in_namespace(self, pool: str, namespace: str) -> int:
        """How many addresses of the pool that namespace's Services hold; a shared one counts once."""
        return self._by_namespace[pool, namespace]

    def assigned(self, pool: str, family: Family) -> int:
        """How many addresses of the family were given from the pool."""
        return self._by_pool[pool, family]

    def taken(self, family: Family) -> IntervalSet:
        """What is held, kept or quarantined of the family, as integers. Not to be changed by the caller."""
        return self._taken[family]

    def _settle(self, address: IPAddress) -> None:
        family, value = family_of(address), int(address)
        held, kept = address in self._entries, address in self._reservations
        if held or kept or address in self._quarantined:
            self._taken[family].add(value)
        else:
            self._taken[family].remove(value)
        if kept and not held:
            self._resting[family].add(value)
        else:
            self._resting[family].remove(value)

    def _index(self, address: IPAddress, entry: _Entry) -> None:
        for uid, holding in entry.holdings.items():
            self._by_uid.setdefault(uid, set()).add(address)
            self._by_service.setdefault(holding.service, set()).add(uid)
            if holding.sharing_key:
                self._by_key.setdefault(holding.sharing_key, set()).add(address)
        self._by_pool[entry.pool, family_of(address)] += 1
        for namespace in {holding.service.namespace for holding in entry.holdings.values()}:
            self._by_namespace[entry.pool, namespace] += 1

    def _unindex(self, address: IPAddress, entry: _Entry) -> None:
        for uid, holding in entry.holdings.items():
            _discard(self._by_uid, uid, address)
            if uid not in self._by_uid:
                _discard(self._by_service, holding.service, uid)
            if holding.sharing_key:
                _discard(self._by_key, holding.sharing_key, address)
        self._by_pool[entry.pool, family_of(address)] -= 1
        for namespace in {holding.service.namespace for holding in entry.holdings.values()}:
            self._by_namespace[entry.pool, namespace] -= 1


def _discard(index: dict[K, set[V]], key: K, value: V) -> None:
    if (found := index.get(key)) is not None:
        found.discard(value)
        if not found:
            del index[key]


def _ascending(addresses: set[IPAddress] | tuple[IPAddress, ...]) -> tuple[IPAddress, ...]:
    if len(addresses) == 1:
        return tuple(addresses)
    return tuple(sorted(addresses, key=lambda address: (address.version, int(address))))
