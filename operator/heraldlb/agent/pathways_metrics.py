"""How other nodes are reached, in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from heraldlb.forwarding.pathways import Pathways

WAYS: Final = ("link", "tunnel", "none")


class PathwaysMetrics(Collector):
    """Metrics of the ways to other nodes, `heraldlb_forwarder_*`; nothing while no Service needs any."""

    def __init__(self) -> None:
        self._nodes: Counter[str] | None = None
        self._findings = 0

    def opened(self, ways: Pathways, tunnel: Collection[int], findings: int) -> None:
        """These are in use; `tunnel`: the indexes of its device."""
        used = {name: [hop.interface for (node, _), hop in ways.hops.items() if node == name] for name in ways.macs}
        self._nodes = Counter(
            "none" if not each else "tunnel" if set(each) & set(tunnel) else "link" for each in used.values()
        )
        self._findings = findings

    def closed(self) -> None:
        """None are."""
        self._nodes = None

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        if self._nodes is None:
            return
        nodes = GaugeMetricFamily(
            "heraldlb_forwarder_ways",
            "Other nodes, by how packets of surviving connections get to them; none: not at all.",
            labels=["way"],
        )
        for way in WAYS:
            nodes.add_metric([way], self._nodes[way])
        yield nodes
        yield GaugeMetricFamily(
            "heraldlb_forwarder_hindrances",
            "Settings of this node that are in the way of surviving connections; the log says what to set.",
            value=self._findings,
        )
