from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from heraldlb.agent.announceable import announceable, combine, peers, rules
from heraldlb.agent.cluster import Cluster
from heraldlb.api.announcements import InterfaceFilter
from heraldlb.speaker.desired import Announceable

ADDRESS = ipaddress.ip_address("10.0.0.1")
READY, NOT_READY = {"ready": True}, {"ready": False, "serving": False}
TERMINATING = {"ready": False, "serving": True, "terminating": True}


class Made(Cluster):
    """A cluster made of short descriptions."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 0

    def meta(self, name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
        self.version += 1
        return {"name": name, "namespace": namespace, "resourceVersion": str(self.version), **more}

    def add_node(self, name: str, *, labels: dict[str, str] | None = None, unavailable: bool = False) -> None:
        conditions = [{"type": "NetworkUnavailable", "status": str(unavailable)}]
        status = {"conditions": conditions, "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}]}
        self.nodes.observe("ADDED", {"metadata": self.meta(name, labels=labels or {}), "status": status})

    def add_service(self, *, uid: str = "u", **spec: Any) -> None:
        metadata = self.meta("web", "default", uid=uid, labels={"app": "web"})
        self.services.observe("MODIFIED", {"metadata": metadata, "spec": {"type": "LoadBalancer", **spec}})

    def add_endpoints(self, **conditions: dict[str, bool]) -> None:
        endpoints = [
            {"addresses": [f"10.1.0.{number}"], "nodeName": node, "conditions": state}
            for number, (node, state) in enumerate(conditions.items(), 1)
        ]
        metadata = self.meta("web-1", "default", labels={"kubernetes.io/service-name": "web"})
        change = self.slices.observe("MODIFIED", {"metadata": metadata, "endpoints": endpoints})
        assert change is not None
        self.slice_changed(change)

    def add_record(self, *, uid: str = "u") -> None:
        spec = {
            "address": str(ADDRESS),
            "addressPool": "lan",
            "services": [{"namespace": "default", "name": "web", "uid": uid, "ports": []}],
        }
        self.records.observe("ADDED", {"metadata": self.meta(str(ADDRESS)), "spec": spec})

    def add_policy(self, name: str, **spec: Any) -> None:
        self.announcements.observe("ADDED", {"metadata": self.meta(name), "spec": spec})


@pytest.fixture
def cluster() -> Made:
    made = Made()
    for name in ("n1", "n2", "n3"):
        made.add_node(name, labels={"name": name})
    made.add_service()
    made.add_endpoints(n1=READY, n2=NOT_READY)
    made.add_record()
    return made


def wanted(cluster: Cluster, **options: bool) -> Announceable | None:
    record = cluster.record(ADDRESS)
    assert record is not None
    return announceable(cluster, record, rules(cluster, **options), {})


def candidates(cluster: Cluster, **options: bool) -> set[str]:
    found = wanted(cluster, **options)
    assert found is not None
    return set(found.candidates)


def test_any_node_may_announce_while_there_is_an_endpoint_anywhere(cluster: Made) -> None:
    assert candidates(cluster) == {"n1", "n2", "n3"}


def test_nobody_announces_an_address_without_an_endpoint(cluster: Made) -> None:
    cluster.add_endpoints(n1=NOT_READY)
    assert candidates(cluster) == set()


def test_endpoints_that_drain_count_where_no_other_is_ready(cluster: Made) -> None:
    cluster.add_service(externalTrafficPolicy="Local")
    cluster.add_endpoints(n2=TERMINATING, n3=NOT_READY)
    assert candidates(cluster) == {"n2"}
    cluster.add_endpoints(n2=TERMINATING, n3=READY)
    assert candidates(cluster) == {"n3"}


def test_with_traffic_policy_local_only_nodes_with_an_endpoint_announce(cluster: Made) -> None:
    cluster.add_service(externalTrafficPolicy="Local")
    assert candidates(cluster) == {"n1"}


def test_a_record_of_a_service_that_is_gone_or_another_by_now_is_not_announced(cluster: Made) -> None:
    cluster.add_service(uid="another")
    assert wanted(cluster) is None


def test_an_address_that_is_only_kept_for_a_former_holder_is_not_announced(cluster: Made) -> None:
    kept = [{"namespace": "default", "name": "web", "releasedAt": "2026-01-01T00:00:00.000000Z"}]
    spec = {"address": str(ADDRESS), "addressPool": "lan", "services": [], "reservations": kept}
    cluster.records.observe("MODIFIED", {"metadata": cluster.meta(str(ADDRESS)), "spec": spec})
    assert wanted(cluster) is None


def test_a_service_that_is_no_load_balancer_any_more_is_not_announced(cluster: Made) -> None:
    cluster.add_service(type="ClusterIP")
    assert wanted(cluster) is None


def test_nodes_that_are_excluded_or_without_network_do_not_announce(cluster: Made) -> None:
    cluster.add_node("n4", labels={"node.kubernetes.io/exclude-from-external-load-balancers": ""})
    cluster.add_node("n5", unavailable=True)
    assert candidates(cluster) == {"n1", "n2", "n3"}
    assert candidates(cluster, ignore_exclude_label=True) == {"n1", "n2", "n3", "n4"}


def test_with_policies_an_address_needs_one_that_covers_it(cluster: Made) -> None:
    cluster.add_policy("other-pool", addressPools=["dmz"])
    assert candidates(cluster) == set()
    cluster.add_policy("n2-only", nodeSelector={"matchLabels": {"name": "n2"}})
    assert candidates(cluster) == {"n2"}
    cluster.add_policy("n3-too", nodeSelector={"matchLabels": {"name": "n3"}}, addressPools=["lan"])
    assert candidates(cluster) == {"n2", "n3"}


def test_a_policy_may_select_services(cluster: Made) -> None:
    cluster.add_policy("others", serviceSelector={"matchLabels": {"app": "db"}})
    assert candidates(cluster) == set()


def test_interfaces_come_from_the_policies_that_cover_the_address(cluster: Made) -> None:
    cluster.add_policy("lan", interfaces={"include": ["eth*"], "exclude": ["eth9"]})
    found = wanted(cluster)
    assert found is not None
    assert found.interfaces == InterfaceFilter(("eth*",), ("eth9",))


def test_peers_are_all_other_nodes(cluster: Made) -> None:
    assert set(peers(cluster, "n1")) == {"n2", "n3"}


@pytest.mark.parametrize(
    ("filters", "combined"),
    [
        ([], InterfaceFilter()),
        (
            [InterfaceFilter(("a",), ("x", "y")), InterfaceFilter(("b",), ("y",))],
            InterfaceFilter(("a", "b"), ("y",)),
        ),
        ([InterfaceFilter(("a",)), InterfaceFilter()], InterfaceFilter()),
    ],
)
def test_several_policies_add_up(filters: list[InterfaceFilter], combined: InterfaceFilter) -> None:
    assert combine(filters) == combined
