"""Everything that is held already, entered before anything is decided. Pure but for what it enters."""

from __future__ import annotations

from collections.abc import Iterable

from heraldlb.allocation.requests import Request, request_of
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import ServiceAddress
from heraldlb.api.services import Service
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.cluster import Cluster
from heraldlb.controller.pool_status import parse_quarantined
from heraldlb.controller.settings import ControllerSettings


def owned(service: Service, settings: ControllerSettings) -> bool:
    """Whether the Service is one to give an address to."""
    return service.is_load_balancer and settings.service_class.owns(service.load_balancer_class)


def request_in(cluster: Cluster, service: Service, settings: ControllerSettings) -> Request:
    """What the Service asks for, in its namespace as it is now."""
    labels = cluster.namespace_labels(service.id.namespace)
    return request_of(service, labels, aliases=settings.annotation_aliases)


def adopt(
    assignments: Assignments, cluster: Cluster, settings: ControllerSettings, now: float
) -> tuple[list[NamespacedName], list[IPAddress]]:
    """Enter everything that is held already, oldest Service first, before any decision. `now`: Unix seconds.

    What a record says counts first, then what a Service's status shows. A record's holder that is no Service
    of ours any more, as when it went while no controller ran, is entered too, so that a visit lets it go in
    order. What is kept for former holders or quarantined is entered as well, except for what is over by now.
    Returns whom to visit, oldest first, and the addresses whose record names no holder.
    """
    mine = (service for service in cluster.services.values() if owned(service, settings))
    requests = sorted((request_in(cluster, service, settings) for service in mine), key=lambda each: each.age)
    records = sorted(cluster.records.values(), key=lambda record: record.name)
    departed = _adopt_held(assignments, requests, records, now)
    for pool in cluster.pools.values():
        for address, quarantine in parse_quarantined(pool.status):
            assignments.adopt_quarantine(address, quarantine, now)
    for record in records:
        assignments.watch(record, now)
    orphans = [record.address for record in records if not record.holders]
    return [request.service for request in requests] + departed, orphans


def _adopt_held(
    assignments: Assignments, requests: Iterable[Request], records: Iterable[ServiceAddress], now: float
) -> list[NamespacedName]:
    """Returns holders that are no Services of ours."""
    recorded: dict[str, list[ServiceAddress]] = {}
    for record in records:
        for holder in record.holders:
            recorded.setdefault(holder.uid, []).append(record)
    for request in requests:
        for record in recorded.pop(request.uid, ()):
            assignments.adopt(request, record.address, record.pool)
    for record in records:
        assignments.adopt_reservations(record)
    assignments.expire(now)
    for request in requests:
        for address in request.shown:
            if assignments.ledger.holding(address, request.uid) is None:
                assignments.adopt_shown(request, address)
    departed: list[NamespacedName] = []
    for uid, leftovers in recorded.items():
        for record in leftovers:
            departed.extend(holder.service for holder in record.holders if holder.uid == uid)
            assignments.enter_as_recorded(record, uid)
    return departed
