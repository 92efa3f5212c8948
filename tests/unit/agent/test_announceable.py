from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from heraldlb.agent.announceable import Shared, announceable, combine, hindrances, peers, rules
from heraldlb.agent.cluster import Cluster
from heraldlb.agent.refusals import hindrances_told, refusal
from heraldlb.api.announcements import InterfaceFilter
from heraldlb.api.explanations import HINDRANCES
from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Hindrance
from heraldlb.speaker.desired import Announceable
from heraldlb.speaker.election import Ineligible

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

    def add_node(
        self, name: str, *, labels: dict[str, str] | None = None, unavailable: bool = False, cordoned: bool = False
    ) -> None:
        conditions = [{"type": "NetworkUnavailable", "status": str(unavailable)}]
        status = {"conditions": conditions, "addresses": [{"type": "InternalIP", "address": "10.0.0.9"}]}
        metadata, spec = self.meta(name, labels=labels or {}), {"unschedulable": cordoned}
        self.nodes.observe("ADDED", {"metadata": metadata, "spec": spec, "status": status})

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
    return announceable(cluster, record, rules(cluster, **options), Shared())


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


@pytest.mark.parametrize(
    ("status", "probed"),
    [
        ({}, True),
        ({"node": "n1"}, False),
        ({"firstAnnounced": "2026-01-01T00:00:00Z"}, False),
        ({"conflict": {"macAddress": "02:00:5e:00:53:01"}}, True),
    ],
)
def test_an_address_is_probed_until_some_node_has_announced_it(
    cluster: Made, status: dict[str, Any], probed: bool
) -> None:
    holder = {"namespace": "default", "name": "web", "uid": "u", "ports": []}
    spec = {"address": str(ADDRESS), "addressPool": "lan", "services": [holder]}
    cluster.records.observe("MODIFIED", {"metadata": cluster.meta(str(ADDRESS)), "spec": spec, "status": status})
    found = wanted(cluster)
    assert found is not None
    assert found.probe == probed


def test_a_service_that_is_no_load_balancer_any_more_is_not_announced(cluster: Made) -> None:
    cluster.add_service(type="ClusterIP")
    assert wanted(cluster) is None


def test_nodes_that_are_excluded_or_without_network_do_not_announce(cluster: Made) -> None:
    cluster.add_node("n4", labels={"node.kubernetes.io/exclude-from-external-load-balancers": ""})
    cluster.add_node("n5", unavailable=True)
    assert candidates(cluster) == {"n1", "n2", "n3"}
    assert candidates(cluster, ignore_exclude_label=True) == {"n1", "n2", "n3", "n4"}


def test_a_cordoned_node_does_not_announce_unless_told_to(cluster: Made) -> None:
    cluster.add_node("n2", cordoned=True)
    assert candidates(cluster) == {"n1", "n3"}
    assert candidates(cluster, ignore_cordon=True) == {"n1", "n2", "n3"}


def test_endpoints_of_a_lost_node_count_only_where_there_are_no_others(cluster: Made) -> None:
    cluster.add_service(externalTrafficPolicy="Local")
    cluster.add_endpoints(n1=READY, n2=TERMINATING)
    cluster.lost = frozenset({"n1"})
    assert candidates(cluster) == {"n2"}
    cluster.lost = frozenset({"n1", "n2"})
    assert candidates(cluster) == {"n1"}


def test_an_address_whose_endpoints_are_all_on_lost_nodes_is_announced_all_the_same(cluster: Made) -> None:
    cluster.lost = frozenset({"n1"})
    assert candidates(cluster) == {"n1", "n2", "n3"}


def test_the_services_of_a_node_are_those_with_an_endpoint_on_it(cluster: Made) -> None:
    assert cluster.services_on({"n1"}) == {NamespacedName("default", "web")}
    assert cluster.services_on({"n3"}) == set()


def weights(cluster: Cluster) -> dict[str, int]:
    found = wanted(cluster)
    assert found is not None
    return dict(found.weights)


def test_preferences_of_the_policies_that_cover_an_address_add_up(cluster: Made) -> None:
    def prefer(name: str, weight: int) -> dict[str, Any]:
        return {"weight": weight, "nodeSelector": {"matchLabels": {"name": name}}}

    assert weights(cluster) == {}
    cluster.add_policy(
        "some", nodePreferences=[prefer("n1", 10), prefer("n2", 5), {"weight": 1, "nodeSelector": {}}]
    )
    cluster.add_policy("more", nodePreferences=[prefer("n2", 100)])
    cluster.add_policy("other-pool", addressPools=["dmz"], nodePreferences=[prefer("n3", 50)])
    assert weights(cluster) == {"n1": 11, "n2": 106, "n3": 1}


def test_a_policy_prefers_only_nodes_that_it_selects(cluster: Made) -> None:
    everywhere = [{"weight": 7, "nodeSelector": {}}]
    cluster.add_policy("n1", nodeSelector={"matchLabels": {"name": "n1"}}, nodePreferences=everywhere)
    cluster.add_policy("n2", nodeSelector={"matchLabels": {"name": "n2"}})
    assert candidates(cluster) == {"n1", "n2"}
    assert weights(cluster) == {"n1": 7}


def hindered(cluster: Cluster) -> dict[str, set[Hindrance]]:
    record = cluster.record(ADDRESS)
    assert record is not None
    return {name: set(found) for name, found in hindrances(cluster, record, rules(cluster)).items()}


def test_all_that_hinders_a_node_is_named_and_candidates_are_left_out(cluster: Made) -> None:
    excluded = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}
    cluster.add_service(externalTrafficPolicy="Local")
    cluster.add_node("n2", cordoned=True, unavailable=True)
    cluster.add_node("n3", labels=excluded)
    assert hindered(cluster) == {
        "n2": {Hindrance.CORDONED, Hindrance.NETWORK_UNAVAILABLE, Hindrance.NO_LOCAL_ENDPOINT},
        "n3": {Hindrance.EXCLUDED, Hindrance.NO_LOCAL_ENDPOINT},
    }
    cluster.add_policy("elsewhere", nodeSelector={"matchLabels": {"name": "n9"}})
    cluster.add_endpoints()
    assert hindered(cluster)["n1"] == {Hindrance.NOT_SELECTED, Hindrance.NO_ENDPOINT}


@pytest.mark.parametrize("policy", ["Cluster", "Local"])
@pytest.mark.parametrize("selected", [None, "n1", "n9"])
@pytest.mark.parametrize("endpoints", [{}, {"n1": READY}, {"n2": TERMINATING, "n3": NOT_READY}])
def test_a_node_is_a_candidate_or_hindered_and_never_both(
    cluster: Made, policy: str, selected: str | None, endpoints: dict[str, Any]
) -> None:
    cluster.add_service(externalTrafficPolicy=policy)
    cluster.add_endpoints(**endpoints)
    cluster.add_node("n4", cordoned=True)
    if selected:
        cluster.add_policy("one", nodeSelector={"matchLabels": {"name": selected}})
    assert candidates(cluster) ^ hindered(cluster).keys() == {"n1", "n2", "n3", "n4"}
    assert not candidates(cluster) & hindered(cluster).keys()


def refused(cluster: Cluster, found: dict[str, Ineligible], *silent: str) -> str | None:
    record = cluster.record(ADDRESS)
    assert record is not None
    return refusal(cluster, record, rules(cluster), found, silent)


def test_a_refusal_names_every_node_and_what_hinders_it_in_words(cluster: Made) -> None:
    cluster.add_node("n1", cordoned=True)
    found = {
        "n1": Ineligible.NOT_CANDIDATE,
        "n2": Ineligible.NOT_ALIVE,
        "n3": Ineligible.NO_PREFIX,
        "n4": Ineligible.NO_PREFIX,
    }
    assert refused(cluster, found, "n2") == (
        "no node can announce it (n1: cordoned; n2: its agent is not heard;"
        " n3, n4: no interface with a prefix that holds the address)"
    )
    cluster.add_endpoints()
    assert refused(cluster, {"n1": Ineligible.NOT_CANDIDATE}, "n1") == (
        "no node can announce it (n1: cordoned, the Service has no ready endpoint, its agent is not heard)"
    )
    assert refused(cluster, {}) == "there is no node to announce it"


@pytest.mark.parametrize("hindrance", Hindrance)
def test_what_a_refusal_says_of_each_node_can_be_read_back(cluster: Made, hindrance: Hindrance) -> None:
    words = HINDRANCES[hindrance]
    message = f"192.168.1.240: no node can announce it (n1, n2: cordoned, {words}; n3: {words})"
    assert {name: set(told) for name, told in hindrances_told(message).items()} == {
        "n1": {Hindrance.CORDONED, hindrance},
        "n2": {Hindrance.CORDONED, hindrance},
        "n3": {hindrance},
    }
    cluster.add_node("n1", cordoned=True)
    said = refused(cluster, {"n1": Ineligible.NOT_CANDIDATE, "n2": Ineligible.NO_PREFIX})
    assert hindrances_told(said or "") == {"n1": (Hindrance.CORDONED,), "n2": (Hindrance.NO_PREFIX,)}
    assert hindrances_told("n1 answers on eth0 with 02:00:00:00:00:01") == {}


def test_nothing_is_refused_that_a_node_has_become_able_to_announce(cluster: Made) -> None:
    assert refused(cluster, {"n1": Ineligible.NOT_CANDIDATE, "n2": Ineligible.NOT_ALIVE}) is None


@pytest.mark.parametrize("reason", Ineligible)
def test_what_the_speaker_finds_has_words(cluster: Made, reason: Ineligible) -> None:
    cluster.add_node("n1", cordoned=True)
    assert refused(cluster, {"n1": reason}) is not None


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


def test_one_policy_that_asks_for_it_has_nodes_share_an_addresss_clients(cluster: Made) -> None:
    def shared() -> bool:
        found = wanted(cluster)
        assert found is not None
        return found.per_client

    assert not shared()
    cluster.add_policy("elsewhere", addressPools=["dmz"], balancing="PerClient")
    cluster.add_policy("here", balancing="Single")
    assert not shared()
    cluster.add_policy("here-too", balancing="PerClient")
    assert shared()


def test_equal_candidates_and_interfaces_are_one_object_so_that_elections_are_cheap(cluster: Made) -> None:
    cluster.add_policy("lan", interfaces={"include": ["eth*"]})
    record, under, shared = cluster.record(ADDRESS), rules(cluster), Shared()
    assert record is not None
    one, other = (announceable(cluster, record, under, shared) for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.candidates is other.candidates
    assert one.interfaces is other.interfaces


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
