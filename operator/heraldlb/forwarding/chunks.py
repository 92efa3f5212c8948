"""A large change of plan as a walk of small ones. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from heraldlb.api.objects import NamespacedName
from heraldlb.forwarding.model import Plan, ServicePlan


def chunks(
    ids: Iterable[NamespacedName], plans: Sequence[Plan], limit: int
) -> Iterator[tuple[NamespacedName, ...]]:
    """The Services in lots of which none has many more than `limit` elements in any of the plans."""
    lot, weight = list[NamespacedName](), 0
    for id_ in ids:
        lot.append(id_)
        weight += max(_weight(plan.services.get(id_)) for plan in plans)
        if weight >= limit:
            yield tuple(lot)
            lot, weight = [], 0
    if lot:
        yield tuple(lot)


def between(old: Plan, new: Plan, ids: Iterable[NamespacedName]) -> Plan:
    """The old plan with these Services as they are in the new one."""
    changed, removed = [], []
    for id_ in ids:
        if (service := new.services.get(id_)) is not None:
            changed.append(service)
        else:
            removed.append(id_)
    return old.replace(changed, removed)


def _weight(service: ServicePlan | None) -> int:
    if service is None:
        return 0
    return len(service.local_endpoints) + sum(
        2 + len(server.backends) + len(server.local_backends or ()) for server in service.servers.values()
    )
