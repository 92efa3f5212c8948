"""A large change of plan as a walk of small ones. Pure.

While a transaction is committed, the kernel has one core for nothing else: 5,000 elements take some 40 ms, 30,000
may take half a second, in which nothing else that is to run on that core does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from heraldlb.api.objects import NamespacedName
from heraldlb.forwarding.model import Frontend, Plan, ServicePlan, VirtualServer


def walk(
    old: Plan, new: Plan, ids: Iterable[NamespacedName], limit: int
) -> Iterator[tuple[Plan, tuple[NamespacedName, ...]]]:
    """Plans from `old` to `new`, each with the Services in which it may differ from the one before; only `ids`
    differ at all.

    From one to the next not many more than `limit` elements change: several Services as a whole, or of one that is
    larger some frontends.
    """
    lots = list(_lots(old, new, ids, limit))
    plan = old
    for number, lot in enumerate(lots, start=1):
        if len(lot) == 1:
            for part in _parts(old.services.get(lot[0]), new.services.get(lot[0]), limit):
                plan = plan.replace([part])
                yield plan, lot
        plan = new if number == len(lots) else _with(plan, new, lot)
        yield plan, lot


def _lots(old: Plan, new: Plan, ids: Iterable[NamespacedName], limit: int) -> Iterator[tuple[NamespacedName, ...]]:
    lot, weight = list[NamespacedName](), 0
    for id_ in ids:
        heavy = max(_service_weight(plan.services.get(id_)) for plan in (old, new))
        if lot and weight + heavy > limit:
            yield tuple(lot)
            lot, weight = [], 0
        lot.append(id_)
        weight += heavy
    if lot:
        yield tuple(lot)


def _parts(before: ServicePlan | None, after: ServicePlan | None, limit: int) -> Iterator[ServicePlan]:
    """The Service on its way, some frontends as they will be and the others as they were."""
    shape = after or before
    if shape is None:
        return
    servers: dict[Frontend, VirtualServer] = dict(before.servers) if before is not None else {}
    coming = after.servers if after is not None else {}
    weight = 0
    for frontend in sorted({*servers, *coming}, key=lambda each: (int(each.address), each.protocol, each.port)):
        change = max(_weight(servers.get(frontend)), _weight(coming.get(frontend)))
        if weight and weight + change > limit:
            yield replace(shape, servers=dict(servers))
            weight = 0
        weight += change
        if frontend in coming:
            servers[frontend] = coming[frontend]
        else:
            del servers[frontend]


def _with(plan: Plan, new: Plan, ids: Iterable[NamespacedName]) -> Plan:
    """The plan with these Services as they are in the new one."""
    changed, removed = [], []
    for id_ in ids:
        if (service := new.services.get(id_)) is not None:
            changed.append(service)
        else:
            removed.append(id_)
    return plan.replace(changed, removed)


def _service_weight(service: ServicePlan | None) -> int:
    if service is None:
        return 0
    return len(service.local_endpoints) + sum(map(_weight, service.servers.values()))


def _weight(server: VirtualServer | None) -> int:
    return 0 if server is None else 2 + len(server.backends) + len(server.local_backends or ())
