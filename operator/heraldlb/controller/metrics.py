"""The controller's metrics: some count, some are read from the acting term when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from heraldlb.allocation.admission import quarantined_in
from heraldlb.api.explanations import ASSIGNED, EXPLANATIONS
from heraldlb.api.ranges import FAMILIES
from heraldlb.api.reasons import Reason
from heraldlb.controller.assignments import Assignments

DECISIONS: Final = Counter(
    "heraldlb_allocation_decisions", "Outcomes told to a Service, by the reason of its condition.", ["reason"]
)
DURATIONS: Final = Histogram(
    "heraldlb_allocation_duration_seconds",
    "Time from when a Service was first seen without an address until its status shows what it asks for; where it "
    "has to wait for a free address, that is part of it.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)
VISITS: Final = Histogram(
    "heraldlb_controller_visit_duration_seconds",
    "Time of one visit to a Service or a record, from its turn in the queue to the last write.",
    buckets=(0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 10.0),
)
RETRIES: Final = Counter("heraldlb_controller_retries", "Visits that failed and were put off to be tried again.")

REFUSALS: Final = tuple(reason for reason in Reason if EXPLANATIONS[reason].says(ASSIGNED, False))
"""Why a Service may be without what it asks for."""


class AllocationCollector(Collector):
    """Metrics of pools, of Services that wait and of the work to do; none but the first while standing by."""

    def __init__(self) -> None:
        self.assignments: Assignments | None = None
        """Those of the acting term."""
        self.queue: Sized | None = None
        """What it has to do."""

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        acting = self.assignments
        yield GaugeMetricFamily(
            "heraldlb_controller_acting", "1 while this replica acts.", value=float(acting is not None)
        )
        if acting is None:
            return
        yield GaugeMetricFamily(
            "heraldlb_controller_queue_depth",
            "Services and records to visit now or being visited; those put off after a failure are not among them.",
            value=len(self.queue or ()),
        )
        pending = GaugeMetricFamily(
            "heraldlb_allocation_pending_services",
            "Services that do not have what they ask for, by the reason of their condition.",
            labels=["reason"],
        )
        refused = acting.refused()
        for reason in REFUSALS:
            pending.add_metric([reason], refused[reason])
        yield pending
        yield from _pools(acting)


def _pools(acting: Assignments) -> Iterator[Metric]:
    capacity = _pool_gauge("addresses", "Addresses that the pool has.")
    assigned = _pool_gauge("assigned_addresses", "Addresses of the pool that Services hold.")
    available = _pool_gauge("available_addresses", "Addresses of the pool that can be given now.")
    reserved = _pool_gauge("reserved_addresses", "Addresses of the pool that are kept for a former holder.")
    quarantined = _pool_gauge(
        "quarantined_addresses",
        "Addresses of the pool that a stranger on the network has; a Service may hold them nevertheless.",
    )
    for booked in acting.book:
        name = booked.pool.name
        for family in FAMILIES:
            labels = [name, family]
            capacity.add_metric(labels, booked.capacity(family))
            assigned.add_metric(labels, acting.ledger.assigned(name, family))
            available.add_metric(labels, booked.available(family, acting.ledger.taken(family)))
            reserved.add_metric(labels, booked.overlap(family, acting.ledger.resting(family)))
            quarantined.add_metric(labels, len(quarantined_in(booked, acting.ledger, family)))
    yield from (capacity, assigned, available, reserved, quarantined)


def _pool_gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"heraldlb_pool_{name}", text, labels=["pool", "family"])
