"""What MetalLB's speaker tells of layer 2, under MetalLB's names: dashboards and alerts carry over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.registry import Collector

from heraldlb.agent.cluster import Cluster
from heraldlb.speaker.stats import SpeakerStats

PROTOCOL: Final = "layer2"

FRAMES: Final = {4: 2, 6: 1}
"""Frames of one announcement by IP version: MetalLB counts frames."""


class MetalLBSpeakerCollector(Collector):
    """`metallb_speaker_announced` and `metallb_layer2_*`.

    The latter are counters whose names lack `_total`, which this format has no counters for: they are untyped, as
    Prometheus treats all alike.
    """

    def __init__(self, stats: Callable[[], SpeakerStats], cluster: Cluster, node_name: str) -> None:
        self._stats = stats
        self._cluster = cluster
        self._node_name = node_name

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        announced = GaugeMetricFamily(
            "metallb_speaker_announced",
            "1 for each Service and address that this node answers for.",
            labels=["service", "protocol", "node", "ip"],
        )
        requests = _counter("requests_received", "Requests for an address.")
        responses = _counter("responses_sent", "Answers to those.")
        gratuitous = _counter("gratuitous_sent", "Frames that announced it unasked.")
        for address, each in self._stats().addresses.items():
            ip = str(address)
            record = self._cluster.record(address)
            for holder in record.holders if record is not None else ():
                announced.add_metric([str(holder.service), PROTOCOL, self._node_name, ip], 1)
            requests.add_metric([ip], each.requests)
            responses.add_metric([ip], each.answers)
            gratuitous.add_metric([ip], each.announcements * FRAMES[address.version])
        yield from (announced, requests, responses, gratuitous)


def _counter(name: str, text: str) -> UnknownMetricFamily:
    return UnknownMetricFamily(f"metallb_layer2_{name}", text, labels=["ip"])
