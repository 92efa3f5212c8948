"""The controller's metrics, read from the acting term when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Counter
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from heraldlb.allocation.admission import quarantined_in
from heraldlb.api.ranges import FAMILIES
from heraldlb.controller.assignments import Assignments

DECISIONS = Counter(
    "heraldlb_allocation_decisions", "Outcomes told to a Service, by the reason of its condition.", ["reason"]
)


class AllocationCollector(Collector):
    """Metrics of pools and of Services that wait; none while standing by."""

    def __init__(self) -> None:
        self.assignments: Assignments | None = None
        """Those of the acting term."""

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        acting = self.assignments
        yield GaugeMetricFamily(
            "heraldlb_controller_acting", "1 while this replica acts.", value=float(acting is not None)
        )
        if acting is None:
            return
        yield GaugeMetricFamily(
            "heraldlb_services_waiting", "Services that wait for an address or a pool.", value=len(acting.waiting())
        )
        pools = GaugeMetricFamily(
            "heraldlb_pool_addresses",
            "Addresses of a pool by state. Reserved: kept for a former holder. Quarantined ones may be assigned.",
            labels=["pool", "family", "state"],
        )
        for booked in acting.book:
            name = booked.pool.name
            for family in FAMILIES:
                pools.add_metric([name, family, "capacity"], booked.capacity(family))
                pools.add_metric([name, family, "assigned"], acting.ledger.assigned(name, family))
                pools.add_metric([name, family, "available"], booked.available(family, acting.ledger.taken(family)))
                pools.add_metric([name, family, "reserved"], booked.overlap(family, acting.ledger.resting(family)))
                quarantined = quarantined_in(booked, acting.ledger, family)
                pools.add_metric([name, family, "quarantined"], len(quarantined))
        yield pools
