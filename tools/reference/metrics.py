"""The metrics of both processes, as their collectors describe them. Needs neither of the processes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.forwarding_metrics import ForwardingMetrics
from heraldlb.agent.metallb_metrics import MetalLBSpeakerCollector
from heraldlb.agent.metrics import ForwarderCollector, SpeakerCollector
from heraldlb.agent.pathways_metrics import PathwaysMetrics
from heraldlb.agent.tally import Tally
from heraldlb.allocation.book import PoolBook
from heraldlb.api.addresspool import AddressPool
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import parse_range
from heraldlb.api.reasons import Reason
from heraldlb.api.serviceaddress import Holder, ServiceAddress, manifest
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.metallb_metrics import MetalLBAllocatorCollector
from heraldlb.controller.metrics import DECISIONS, DURATIONS, RETRIES, VISITS, AllocationCollector
from heraldlb.forwarding.mode import Mode, chosen
from heraldlb.forwarding.pathways import Pathways
from heraldlb.kube import metrics as api_metrics
from heraldlb.observability.health import BUILD
from heraldlb.speaker import courier
from heraldlb.speaker.membership import Verdict
from heraldlb.speaker.responder import Outcome
from heraldlb.speaker.standing import Standing
from heraldlb.speaker.stats import AddressStats, SpeakerStats
from tools.reference.markdown import code, sentence, table

_CLOSED = {"family", "state", "outcome", "kind"}
"""Labels whose values are few and known."""


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric under the name that is scraped. Labels with few values have those."""

    name: str
    type: str
    labels: tuple[tuple[str, tuple[str, ...]], ...]
    meaning: str


def common_metrics() -> list[Metric]:
    """The metrics of each of both processes."""
    # A labelled metric shows its labels once it has been counted under one.
    BUILD.labels("")
    api_metrics.REQUESTS.labels("GET", "200")
    api_metrics.DURATIONS.labels("GET")
    api_metrics.WATCH_EVENTS.labels("services")
    api_metrics.WATCH_HEARD.labels("services")
    return collected(
        BUILD,
        api_metrics.REQUESTS,
        api_metrics.DURATIONS,
        api_metrics.WATCH_EVENTS,
        api_metrics.WATCH_HEARD,
        api_metrics.EVENTS_DROPPED,
    )


def controller_metrics() -> list[Metric]:
    """The metrics of the controller that acts."""
    collector = AllocationCollector()
    collector.assignments = _assignments()
    DECISIONS.labels(Reason.ADDRESS_ASSIGNED.value)
    return collected(DECISIONS, DURATIONS, collector, VISITS, RETRIES)


def agent_metrics() -> list[Metric]:
    """The metrics of an agent with all its roles."""
    stats, ways = _stats(), PathwaysMetrics()
    ways.opened(Pathways(), (), 0)
    return collected(
        SpeakerCollector(lambda: stats, Tally(Cluster(), "node-1")),
        ForwarderCollector(Mode.FULL, lambda: chosen(Mode.FULL), lambda: 0),
        ForwardingMetrics(),
        ways,
    )


def metallb_metrics() -> list[Metric]:
    """What both tell under MetalLB's names."""
    stats, acting, cluster = _stats(), _assignments(), Cluster()
    record = ServiceAddress(IPv4Address("192.168.1.240"), "lan", (Holder(NamespacedName("default", "web"), "1"),))
    body = manifest(record)
    cluster.records.observe("ADDED", body | {"metadata": {**body["metadata"], "resourceVersion": "1"}})
    return collected(
        MetalLBAllocatorCollector(lambda: acting, lambda: False),
        MetalLBSpeakerCollector(lambda: stats, cluster, "node-1"),
    )


def collected(*collectors: Collector) -> list[Metric]:
    """All their metrics, in order."""
    return [metric for collector in collectors for metric in collector.collect()]


def _assignments() -> Assignments:
    made = Assignments()
    made.book = PoolBook([AddressPool("lan", ranges=(parse_range("192.168.1.240"),))])
    return made


def _stats() -> SpeakerStats:
    return SpeakerStats(
        standing=Standing.SERVING,
        peers=0,
        alive=0,
        addresses={IPv4Address("192.168.1.240"): AddressStats(0, 0, 0, 1, 0)},
        messages=dict.fromkeys((*Verdict, courier.MALFORMED, courier.BAD_SIGNATURE), 0),
        refused={},
        frames=dict.fromkeys(Outcome, 0),
        sent=0,
        send_errors=0,
        probes=0,
        client_updates=0,
        probe_conflicts=0,
        fenced=0,
        elections=0,
        owner_changes=0,
        peers_lost=0,
        missed=0,
        round_trip=0.0,
    )


def rows(metrics: Iterable[Metric]) -> list[MetricRow]:
    """One row for each metric, in order."""
    return [_row(metric) for metric in metrics]


def metric_table(metrics: Iterable[Metric]) -> str:
    """The metrics as a table."""
    found = rows(metrics)
    return table(
        ("Metric", "Type", "Labels", "Meaning"),
        ((code(row.name), row.type, "; ".join(map(_label, row.labels)), sentence(row.meaning)) for row in found),
    )


def _row(metric: Metric) -> MetricRow:
    # A counter has a `_created` sample beside its own.
    samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
    # A histogram's name is that of none of its samples, whose bounds are no label of its own.
    histogram = metric.type == "histogram"
    names = [name for name in samples[0].labels if not (histogram and name == "le")]
    labels = tuple(
        (name, tuple(dict.fromkeys(sample.labels[name] for sample in samples)) if name in _CLOSED else ())
        for name in names
    )
    return MetricRow(metric.name if histogram else samples[0].name, metric.type, labels, metric.documentation)


def _label(label: tuple[str, tuple[str, ...]]) -> str:
    name, values = label
    return code(name) + (f" ({', '.join(values)})" if values else "")
