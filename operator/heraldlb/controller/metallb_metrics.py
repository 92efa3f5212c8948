"""What MetalLB's controller tells of its allocator, under MetalLB's names: dashboards and alerts carry over.

The names are MetalLB's, also where Prometheus' conventions would have others: gauges that end in `_total`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from heraldlb.allocation.ledger import Ledger
from heraldlb.api.ranges import FAMILIES
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.metrics import RETRIES, VISITS


class MetalLBAllocatorCollector(Collector):
    """`metallb_allocator_*` and `metallb_k8s_client_*`; none while standing by."""

    def __init__(self, assignments: Callable[[], Assignments | None], stale: Callable[[], bool]) -> None:
        """`assignments`: of the acting term; `stale`: whether the API server has been silent for too long."""
        self._assignments = assignments
        self._stale = stale

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        acting = self._assignments()
        if acting is None:
            return
        yield from _allocator(acting)
        yield CounterMetricFamily(
            "metallb_k8s_client_updates", "Visits to Services and records.", value=_of(VISITS, "_count")
        )
        yield CounterMetricFamily(
            "metallb_k8s_client_update_errors",
            "Visits that failed and are tried again.",
            value=_of(RETRIES, "_total"),
        )
        yield GaugeMetricFamily("metallb_k8s_client_config_loaded_bool", "1 while this replica acts.", value=1)
        yield GaugeMetricFamily(
            "metallb_k8s_client_config_stale_bool",
            "1 while the API server is silent, so that pools may have changed.",
            value=float(self._stale()),
        )


def _allocator(acting: Assignments) -> Iterator[Metric]:
    capacity, used = _gauge("addresses_total", "Addresses."), _gauge("addresses_in_use_total", "Addresses held.")
    capacities = {
        family: _gauge(f"{family.lower()}_addresses_total", f"{family} addresses.") for family in FAMILIES
    }
    uses = {
        family: _gauge(f"{family.lower()}_addresses_in_use_total", f"{family} addresses held.")
        for family in FAMILIES
    }
    services = _gauge("services_allocated_total", "Services that hold an address.")
    holders = _holders(acting.ledger)
    for booked in acting.book:
        pool = booked.pool.name
        for family in FAMILIES:
            capacities[family].add_metric([pool], booked.capacity(family))
            uses[family].add_metric([pool], acting.ledger.assigned(pool, family))
        capacity.add_metric([pool], sum(booked.capacity(family) for family in FAMILIES))
        used.add_metric([pool], sum(acting.ledger.assigned(pool, family) for family in FAMILIES))
        services.add_metric([pool], len(holders[pool]))
    yield from (capacity, used, *capacities.values(), *uses.values(), services)


def _holders(ledger: Ledger) -> defaultdict[str, set[str]]:
    """The uids of the Services that hold something of each pool."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for address in ledger:
        found[ledger.pool_of(address)].update(holding.uid for holding in ledger.holdings(address))
    return found


def _gauge(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"metallb_allocator_{name}", text, labels=["pool"])


def _of(metric: Collector, suffix: str) -> float:
    return sum(
        sample.value for family in metric.collect() for sample in family.samples if sample.name.endswith(suffix)
    )
