"""That every Service keeps its address: the controller's decisions with the new pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heraldlb.allocation.book import PoolBook
from heraldlb.api.addresspool import parse_pool
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.services import Service
from heraldlb.controller.adoption import owned
from heraldlb.controller.cluster import Cluster
from heraldlb.controller.settings import ControllerSettings
from heraldlb.migration.manifests import Manifest, name_of
from heraldlb.planning.changes import Change, change_of
from heraldlb.planning.forecast import Forecast


@dataclass(frozen=True, slots=True)
class Unserved:
    """A Service with an address of the new pools that Herald, so installed, would leave alone."""

    service: NamespacedName
    addresses: tuple[IPAddress, ...]
    load_balancer_class: str
    """Empty: none, and Herald is not to serve such."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What becomes of every LoadBalancer Service."""

    services: tuple[Change, ...] = ()
    unserved: tuple[Unserved, ...] = ()

    @property
    def broken(self) -> tuple[Change, ...]:
        """Those that would not keep an address."""
        return tuple(change for change in self.services if change.fate.breaks)

    @property
    def holds(self) -> bool:
        """Whether every Service keeps its addresses."""
        return not self.broken and not self.unserved


def prove(cluster: Cluster, pools: Sequence[Manifest], settings: ControllerSettings, now: float) -> Proof:
    """What a controller would do that starts on these Services, with these pools beside those that there are.

    `now`: Unix seconds.
    """
    names = {name_of(pool) for pool in pools}
    existing = [pool for pool in cluster.address_pools() if pool.name not in names]
    wanted = [*existing, *map(parse_pool, pools)]
    forecast = Forecast(cluster, settings, wanted, now)
    book = PoolBook(wanted)
    changes, unserved = [], []
    for service in sorted(cluster.services.values(), key=lambda service: service.id):
        if owned(service, settings):
            changes.append(change_of(service.id, service.ingress, forecast.outcomes[service.id]))
        elif service.is_load_balancer and (left := _left(service, book)):
            unserved.append(Unserved(service.id, left, service.load_balancer_class or ""))
    return Proof(tuple(changes), tuple(unserved))


def _left(service: Service, book: PoolBook) -> tuple[IPAddress, ...]:
    return tuple(address for address in service.ingress if book.owner(address) is not None)
