"""Under MetalLB's names stand the figures that MetalLB would tell."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from prometheus_client.registry import Collector

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.metallb_metrics import MetalLBSpeakerCollector
from heraldlb.allocation.book import PoolBook
from heraldlb.allocation.ledger import Holding
from heraldlb.api.objects import NamespacedName
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.metallb_metrics import MetalLBAllocatorCollector
from heraldlb.speaker.standing import Standing
from heraldlb.speaker.stats import AddressCounters, Counters
from tests.unit.allocation.build import pool

IPV4, IPV6 = ip_address("10.0.0.1"), ip_address("fd00::1")


def samples(collector: Collector) -> dict[tuple[str, ...], float]:
    """By name and values of labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in collector.collect()
        for sample in metric.samples
    }


def test_pools_count_addresses_of_both_families_and_each_service_once() -> None:
    acting = Assignments()
    acting.book = PoolBook([pool("lan", "10.0.0.1-10.0.0.4", "fd00::1-fd00::2")])
    for address in (IPV4, IPV6):
        acting.ledger.put(address, "lan", Holding(NamespacedName("n", "web"), "1"))
    found = samples(MetalLBAllocatorCollector(lambda: acting, lambda: True))
    expected = {
        "addresses_total": 6,
        "addresses_in_use_total": 2,
        "ipv4_addresses_total": 4,
        "ipv4_addresses_in_use_total": 1,
        "ipv6_addresses_total": 2,
        "ipv6_addresses_in_use_total": 1,
        "services_allocated_total": 1,
    }
    assert {name.removeprefix("metallb_allocator_"): value for (name, *_), value in found.items() if _} == expected
    assert found["metallb_k8s_client_config_stale_bool",] == 1
    assert samples(MetalLBAllocatorCollector(lambda: None, lambda: False)) == {}


def test_a_speaker_counts_frames_by_address_and_says_whose_it_is() -> None:
    cluster = Cluster()
    holders = [{"namespace": "n", "name": name, "uid": name} for name in ("a", "b")]
    body: dict[str, Any] = {
        "metadata": {"name": str(IPV4), "resourceVersion": "1"},
        "spec": {"address": str(IPV4), "addressPool": "lan", "services": holders},
    }
    cluster.records.observe("ADDED", body)
    counters = Counters({IPV4: AddressCounters(7, 5, 3), IPV6: AddressCounters(announcements=3)})
    stats = counters.read(Standing.SERVING, 0, 0, 0, peers_lost=0, missed=0)
    found = samples(MetalLBSpeakerCollector(lambda: stats, cluster, "node-1"))
    assert {key for key in found if key[0] == "metallb_speaker_announced"} == {
        ("metallb_speaker_announced", service, "layer2", "node-1", str(IPV4)) for service in ("n/a", "n/b")
    }
    assert found["metallb_layer2_requests_received", str(IPV4)] == 7
    assert found["metallb_layer2_responses_sent", str(IPV4)] == 5
    assert found["metallb_layer2_gratuitous_sent", str(IPV4)] == 6
    assert found["metallb_layer2_gratuitous_sent", str(IPV6)] == 3
