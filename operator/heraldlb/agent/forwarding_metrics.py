"""How the kernel keeps up with the cluster, in kube-proxy's measures (`kubeproxy_sync_proxy_rules_*`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from heraldlb.forwarding.forwarder import Applied

SYNC_BUCKETS: Final = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
PROGRAMMING_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class ForwardingMetrics(Collector):
    """Metrics of the forwarder's rules, `heraldlb_forwarder_*`. Times in Unix seconds, durations in seconds."""

    def __init__(self) -> None:
        self.pending = 0
        """Services that changed since the kernel was last told."""
        self.queued_at = 0.0
        """When one did."""
        self._synced_at = 0.0
        self._services = 0
        self._frontends = 0
        self._unforwarded = 0
        self._durations = Histogram(
            "heraldlb_forwarder_sync_duration_seconds",
            "Time to bring what changed into the kernel; full: everything was compared, as after a start.",
            ["kind"],
            registry=None,
            buckets=SYNC_BUCKETS,
        )
        self._programming = Histogram(
            "heraldlb_forwarder_network_programming_duration_seconds",
            "Time from the change of a pod or Service, as its EndpointSlice says, until the kernel has it.",
            registry=None,
            buckets=PROGRAMMING_BUCKETS,
        )
        self._failures = Counter(
            "heraldlb_forwarder_sync_failures",
            "Times the kernel could not be told; it is tried again.",
            registry=None,
        )
        self._changes = Counter(
            "heraldlb_forwarder_service_changes",
            "Changed Services, or Services with changed endpoints, that the kernel was told of.",
            registry=None,
        )
        self._elements = Counter(
            "heraldlb_forwarder_elements", "Elements of maps added to and deleted from the kernel.", registry=None
        )
        self._transactions = Counter("heraldlb_forwarder_transactions", "Transactions of nftables.", registry=None)
        self._repairs = Counter(
            "heraldlb_forwarder_repairs",
            "Times something in the kernel was not as this agent had left it, and was set right.",
            registry=None,
        )
        for kind in ("full", "partial"):
            self._durations.labels(kind)

    def synced(
        self, applied: Applied, *, full: bool, started: float, now: float, services: int, frontends: int
    ) -> None:
        """The kernel has everything that had changed by `started`."""
        self._synced_at = now
        self._services = services
        self._frontends = frontends
        self._durations.labels("full" if full else "partial").observe(max(now - started, 0.0))
        self._elements.inc(applied.elements)
        self._transactions.inc(applied.transactions)

    def programmed(self, triggers: Iterable[float], *, changes: int, now: float) -> None:
        """The kernel has these changes; `triggers`: when those of them came about of which that is known."""
        self._changes.inc(changes)
        for trigger in triggers:
            self._programming.observe(max(now - trigger, 0.0))

    def failed(self) -> None:
        """The kernel could not be told."""
        self._failures.inc()

    def repaired(self) -> None:
        """Something in the kernel was not as it had been left."""
        self._repairs.inc()

    def unforwarded(self, services: int) -> None:
        """So many Services cannot be forwarded as they should be."""
        self._unforwarded = services

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        yield _gauge("services", "Services that this node forwards.", self._services)
        yield _gauge("frontends", "Addresses with protocol and port that it forwards from.", self._frontends)
        yield _gauge(
            "services_refused",
            "Services that it cannot forward as it should; each has an Event.",
            self._unforwarded,
        )
        yield _gauge("changes_pending", "Changed Services that the kernel does not know of yet.", self.pending)
        yield _gauge("last_queued_timestamp_seconds", "When one changed last, in Unix time.", self.queued_at)
        yield _gauge("last_sync_timestamp_seconds", "When the kernel was last up to date.", self._synced_at)
        for each in (
            self._durations,
            self._programming,
            self._failures,
            self._changes,
            self._elements,
            self._transactions,
            self._repairs,
        ):
            yield from each.collect()


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"heraldlb_forwarder_{name}", text, value=value)
