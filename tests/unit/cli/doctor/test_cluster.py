"""Checks of the cluster: pools, who may announce, strangers on the network, and other load balancers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from heraldlb.cli.kubectl.doctor.checks import links, placement, pools, rivals, strangers
from heraldlb.cli.kubectl.doctor.probing import MOST_OF_A_POOL, questions
from heraldlb.cli.kubectl.doctor.seen import Seen, Surveyed
from heraldlb.cli.kubectl.doctor.workloads import Container, is_static
from heraldlb.cli.kubectl.findings import Finding, Severity
from heraldlb.examination.survey import MAX_PROBED, Answerer, DhcpOffer, Question, Survey
from tests.unit.cli.doctor.site import HEALTHY, SNAPSHOT, beside, link, linked, stored, told, workload
from tests.unit.cli.objects import WEB, node, pool, record

EXCLUDED = {"node.kubernetes.io/exclude-from-external-load-balancers": ""}
Find = Callable[[Seen], Iterable[Finding]]


def found(check: Find, seen: Seen) -> list[tuple[Severity, str, str]]:
    """What a check finds, without the remedies, of which there must be one each."""
    findings = list(check(seen))
    assert all(each.remedy for each in findings)
    return [(each.severity, each.subject, each.message) for each in findings]


def policy(name: str, **interfaces: list[str]) -> dict[str, Any]:
    return {"metadata": {"name": name, "resourceVersion": "1"}, "spec": {"interfaces": interfaces}}


# -- pools


@pytest.mark.parametrize(
    ("addresses", "severity", "says"),
    [
        (["192.168.1.240-192.168.1.249"], None, ""),
        (["10.5.0.0/28"], Severity.WRONG, "all of it is in no network"),
        (["192.168.1.250-192.168.2.3"], Severity.NOTICE, "192.168.2.0-192.168.2.3 is in no network"),
        (["192.168.1.240", "fd00::/120"], Severity.NOTICE, "fd00::-fd00::ff is in no network"),
    ],
)
def test_addresses_outside_the_networks_of_nodes_that_announce_are_told(
    addresses: list[str], severity: Severity | None, says: str
) -> None:
    messages = found(pools.out_of_reach, stored(pools=(pool("lan", *addresses),)))
    assert [each[0] for each in messages] == [severity] * (severity is not None)
    assert all(each[2].startswith(says) and "(192.168.1.0/24)" in each[2] for each in messages)


@pytest.mark.parametrize(
    ("spec", "taken"),
    [
        ({"addresses": ["192.168.1.240-192.168.1.249"]}, []),
        (
            {"addresses": ["192.168.1.0/28"]},
            [
                "192.168.1.11 (node n1)",
                "192.168.1.12 (node n2)",
                "192.168.1.13 (node n3)",
                "192.168.1.1 (the router of n1)",
                "192.168.1.0 (the network address of 192.168.1.0/24)",
            ],
        ),
        (
            {"addresses": ["192.168.1.250-192.168.1.255"]},
            ["192.168.1.255 (the broadcast address of 192.168.1.0/24)"],
        ),
        ({"addresses": ["192.168.1.250-192.168.1.255"], "excluded": ["192.168.1.255"]}, []),
    ],
)
def test_addresses_that_no_service_may_have_are_told_with_whose_they_are(
    spec: dict[str, list[str]], taken: list[str]
) -> None:
    seen = stored(pools=({"metadata": {"name": "lan"}, "spec": spec},))
    messages = found(pools.not_to_be_given, seen)
    assert [message for _, _, message in messages] == [
        f"holds what no Service may have: {', '.join(taken)}" for taken in [taken] if taken
    ]
    for finding in pools.not_to_be_given(seen):
        assert finding.remedy.count('"') == 2 * len(taken)


def test_a_network_of_two_has_neither_network_nor_broadcast_address() -> None:
    pair = stored(pools=(pool("lan", "10.0.0.0/30"),))
    for network, count in (("10.0.0.0/31", 0), ("10.0.0.0/30", 2)):
        examined = told(linked("n1", link("eth0", network))).examined
        found_there = [each.message for each in pools.not_to_be_given(replace(pair, examined=examined))]
        assert [message.count(f"address of {network}") for message in found_there] == [count] * bool(count)


def test_loopback_is_no_network_to_plug_a_cable_in() -> None:
    quiet = link("lo", kind="loopback", carrier=False, announces=False)
    assert found(links.without_carrier, told(linked("n1", quiet))) == []


def test_another_link_of_a_node_is_its_own_address_too() -> None:
    seen = told(linked("n1", link(), link("eth1", "10.0.0.0/24", own="192.168.1.241", announces=False)))
    [(_, _, message)] = found(pools.not_to_be_given, seen)
    assert message.endswith("192.168.1.241 (eth1 of n1)")


def test_pools_that_share_addresses_with_pods_are_told() -> None:
    nodes = tuple(node(name, podCIDRs=[f"10.1.{number}.0/24"]) for number, name in enumerate(("n1", "n2")))
    overlapping = stored(nodes=nodes, pools=(pool("lan", "10.1.1.128/25"),))
    assert found(pools.inside_the_cluster, overlapping) == [
        (Severity.WRONG, "pool lan", "shares addresses with the pods' networks 10.1.1.0/24")
    ]
    assert found(pools.inside_the_cluster, stored(nodes=nodes)) == []


# -- who announces


@pytest.mark.parametrize(
    ("labels", "cordoned", "says"),
    [
        ((EXCLUDED, EXCLUDED), (), ["n1, n2: labelled node.kubernetes.io/exclude-from-external-load-balancers"]),
        ((None, None), ("n1", "n2"), ["n1, n2: cordoned"]),
        ((EXCLUDED, None), ("n2",), ["n1: labelled", "n2: cordoned"]),
        ((EXCLUDED, None), (), []),
    ],
)
def test_that_no_node_may_announce_is_told_with_what_keeps_each(
    labels: tuple[Any, ...], cordoned: tuple[str, ...], says: list[str]
) -> None:
    nodes = tuple(
        node(name, labels=mine, unschedulable=name in cordoned)
        for name, mine in zip(("n1", "n2"), labels, strict=True)
    )
    messages = found(placement.nobody, stored(nodes=nodes))
    assert bool(messages) is bool(says)
    for severity, _, message in messages:
        assert severity is Severity.WRONG
        assert all(each in message for each in says)


def test_a_policy_that_leaves_no_interface_is_wrong_everywhere_and_worth_a_look_somewhere() -> None:
    nowhere = stored(announcements=(policy("none", include=["wl*"]),))
    [(severity, subject, message)] = found(placement.without_interface, nowhere)
    assert (severity, subject) == (Severity.WRONG, "l2announcement none")
    assert message.startswith("spec.interfaces leaves no interface of n1, n2, n3, where there are eth0:")
    other = told(linked("n1", link("eth1")))
    some = replace(other, snapshot=replace(other.snapshot, announcements=(policy("eth0", include=["eth0"]),)))
    [(severity, _, message)] = found(placement.without_interface, some)
    assert (severity, "of n1, where there are eth1" in message) == (Severity.NOTICE, True)
    assert found(placement.without_interface, stored(announcements=(policy("all", exclude=["eth1"]),))) == []


# -- strangers


def surveyed(*answerers: Answerer, offers: tuple[DhcpOffer, ...] = ()) -> Seen:
    survey = Survey(probed=9, answerers=answerers, offers=offers, dhcp_links=("eth0",))
    return replace(HEALTHY, surveyed={"n1": Surveyed(Question(), survey)})


def test_hosts_that_have_addresses_of_a_pool_are_told_with_what_to_exclude() -> None:
    seen = surveyed(
        Answerer(ip_address("192.168.1.245"), "02:00:00:00:00:aa", "eth0"),
        Answerer(ip_address("192.168.1.245"), "02:00:00:00:00:bb", "eth0"),
        Answerer(ip_address("192.168.1.242"), "02:00:00:00:00:cc", "eth0"),
        Answerer(ip_address("192.168.1.7"), "02:00:00:00:00:dd", "eth0"),
    )
    [finding] = strangers.squatters(seen)
    assert (finding.severity, finding.subject) == (Severity.WRONG, "pool lan")
    assert finding.message == (
        "other hosts have addresses of it: 192.168.1.242 is at 02:00:00:00:00:cc, on eth0 of n1,"
        " 192.168.1.245 is at 02:00:00:00:00:aa, on eth0 of n1,"
        " 192.168.1.245 is at 02:00:00:00:00:bb, on eth0 of n1 (9 addresses probed, of"
        " which no Service has one)"
    )
    assert finding.remedy.endswith('spec.excluded: ["192.168.1.242", "192.168.1.245"]')
    assert found(strangers.squatters, surveyed()) == []


@pytest.mark.parametrize(
    ("offered", "severity"),
    [
        ("192.168.1.243", Severity.WRONG),
        ("192.168.1.77", Severity.NOTICE),
        ("10.3.0.7", Severity.NOTICE),
    ],
)
def test_a_dhcp_server_is_told_by_whether_its_offer_is_of_a_pool(offered: str, severity: Severity) -> None:
    offer = DhcpOffer(
        server=ip_address("192.168.1.1"),  # type: ignore[arg-type]
        mac="02:00:00:00:00:ee",
        offered=ip_address(offered),  # type: ignore[arg-type]
        mask="255.255.255.0",
        link="eth0",
    )
    [(found_severity, _, message)] = found(strangers.dhcp, surveyed(offers=(offer, offer)))
    assert found_severity is severity
    assert "192.168.1.1 (02:00:00:00:00:ee) on eth0 of n1 offers" in message
    far = replace(surveyed(offers=(offer,)), snapshot=replace(SNAPSHOT, pools=(pool("far", "172.16.0.0/24"),)))
    assert found(strangers.dhcp, far) == []


# -- what is asked of the network


def test_one_node_asks_for_what_nobody_is_known_to_have() -> None:
    pools_there = (
        pool("lan", "192.168.1.10-192.168.1.14", "192.168.1.240-192.168.1.243", excluded=["192.168.1.243"]),
        pool("far", "10.0.0.0/24"),
    )
    quarantined = {**pools_there[0], "status": {"quarantined": [{"address": "192.168.1.242"}]}}
    [(asking, question)] = questions(stored(pools=(quarantined, pools_there[1]))).items()
    assert asking in HEALTHY.examined
    assert [str(each) for each in question.probe] == ["192.168.1.10", "192.168.1.14", "192.168.1.241"]
    assert question.dhcp


def test_of_a_large_pool_the_addresses_that_would_be_given_next_are_asked_for() -> None:
    large = stored(pools=(pool("lan", "192.168.0.0/16"),), records=(record("192.168.1.2", "lan", "web"),))
    wide = replace(large, examined=told(linked("n1", link("eth0", "192.168.0.0/16"))).examined)
    asked = [address for question in questions(wide).values() for address in question.probe]
    assert len(asked) == len(set(asked)) == MOST_OF_A_POOL
    assert ip_address("192.168.1.2") not in asked


def test_what_is_too_much_for_one_node_is_shared_with_others_of_its_network() -> None:
    many = tuple(pool(f"p{number}", f"10.0.{number}.0/24") for number in range(4))
    seen = told(*(linked(name, link("eth0", "10.0.0.0/16")) for name in HEALTHY.examined))
    asked = questions(replace(seen, snapshot=replace(seen.snapshot, pools=many)))
    assert [len(each.probe) for each in asked.values()] == [MAX_PROBED] * 3
    assert [each.dhcp for each in asked.values()].count(True) == 1


def test_every_network_is_asked_for_dhcp_servers_by_as_few_nodes_as_suffice() -> None:
    two = linked("n1", link("eth0"), link("eth1", "10.9.0.0/24"))
    lone = linked("n3", link("eth0", "172.16.0.0/24"))
    asked = questions(replace(told(two, lone), snapshot=replace(SNAPSHOT, pools=())))
    assert {name for name, each in asked.items() if each.dhcp} == {"n1", "n3"}


# -- other load balancers

METALLB = workload("controller", "quay.io/metallb/controller:v0.15.2", namespace="metallb-system")


@pytest.mark.parametrize(
    ("kind", "made", "name", "severity"),
    [
        ("Deployment", METALLB, "MetalLB", Severity.WRONG),
        ("Deployment", workload("c", "metallb/controller", "--lb-class=x/y"), "MetalLB", Severity.NOTICE),
        ("DaemonSet", workload("k", "ghcr.io/kube-vip/kube-vip:v1", svc_enable="true"), "kube-vip", Severity.WRONG),
        (
            "DaemonSet",
            workload("k", "ghcr.io/kube-vip/kube-vip", svc_enable="true", lb_class_only="true"),
            "kube-vip",
            Severity.NOTICE,
        ),
        ("DaemonSet", workload("k", "ghcr.io/kube-vip/kube-vip", cp_enable="true"), "", None),
        ("Deployment", workload("k", "kube-vip/kube-vip-cloud-provider"), "kube-vip", Severity.WRONG),
        ("Deployment", workload("a", "registry.example/purelb/allocator@sha256:1"), "PureLB", Severity.WRONG),
        ("Deployment", workload("o", "kubesphere/openelb:v0.6"), "OpenELB", Severity.NOTICE),
        ("DaemonSet", workload("r", "cloudnativelabs/kube-router", "--run-router"), "", None),
        (
            "DaemonSet",
            workload("r", "cloudnativelabs/kube-router", "--run-loadbalancer"),
            "kube-router",
            Severity.WRONG,
        ),
        (
            "DaemonSet",
            workload("ccm", "registry.k8s.io/provider-os/openstack-cloud-controller-manager:v1"),
            "a cloud controller manager",
            Severity.NOTICE,
        ),
        (
            "DaemonSet",
            workload("ccm", "x/aws-cloud-controller-manager", "--controllers=*,-service"),
            "",
            None,
        ),
        ("Deployment", workload("web", "docker.io/library/nginx:1"), "", None),
    ],
)
def test_another_load_balancer_is_told_by_which_services_it_takes(
    kind: str, made: dict[str, Any], name: str, severity: Severity | None
) -> None:
    messages = found(rivals.controllers, beside((kind, made)))
    assert [each[:2] for each in messages] == [(severity, name)] * (severity is not None)
    assert all(f"{kind} {made['metadata']['namespace']}/{made['metadata']['name']}" in each[2] for each in messages)


def test_where_herald_serves_its_class_alone_another_load_balancer_merely_exists() -> None:
    pods = [dict(each) for each in SNAPSHOT.pods]
    container = pods[0]["spec"]["containers"][0]
    told_so = {**container, "env": [*container["env"], {"name": "HERALD_DEFAULT_CLASS", "value": "false"}]}
    pods[0] = {**pods[0], "spec": {**pods[0]["spec"], "containers": [told_so]}}
    [(severity, _, message)] = found(
        rivals.controllers, beside(("Deployment", METALLB), seen=stored(pods=tuple(pods)))
    )
    assert (severity, "which Herald leaves alone" in message) == (Severity.NOTICE, True)


def test_services_that_a_cloud_controller_manager_has_marked_prove_that_it_takes_them() -> None:
    finalizer = "service.kubernetes.io/load-balancer-cleanup"
    marked = {**WEB, "metadata": {**WEB["metadata"], "finalizers": [finalizer]}}
    manager = workload("ccm", "x/cloud-controller-manager")
    seen = beside(("DaemonSet", manager), seen=stored(services=(marked,)))
    [(severity, _, message)] = found(rivals.controllers, seen)
    assert (severity, message.endswith("it has marked shop/web")) == (Severity.WRONG, True)
    assert found(rivals.left_behind, seen) == []
    [(severity, _, message)] = found(rivals.left_behind, stored(services=(marked,)))
    assert (severity, f"{finalizer} is on shop/web" in message) == (Severity.NOTICE, True)
    assert found(rivals.left_behind, HEALTHY) == []


def test_services_that_metallb_has_marked_are_named() -> None:
    annotations = {"metallb.io/ip-allocated-from-pool": "old"}
    marked = {**WEB, "metadata": {**WEB["metadata"], "annotations": annotations}}
    seen = beside(("Deployment", METALLB), seen=stored(services=(marked,)))
    assert [each[2].endswith("it has marked shop/web") for each in found(rivals.controllers, seen)] == [True]
    assert "marked" not in found(rivals.controllers, beside(("Deployment", METALLB)))[0][2]


def test_k3s_service_lb_is_told_with_the_services_that_both_serve() -> None:
    def svclb(service: str) -> dict[str, Any]:
        made = workload(f"svclb-{service}", "rancher/klipper-lb", namespace="kube-system")
        label = "svccontroller.k3s.cattle.io"
        made["metadata"]["labels"] = {f"{label}/svcname": service, f"{label}/svcnamespace": "shop"}
        return made

    both = found(rivals.service_lb, beside(("DaemonSet", svclb("web"))))
    assert [each[:2] for each in both] == [(Severity.WRONG, "k3s ServiceLB")]
    assert "shop/web" in both[0][2]
    [(severity, _, message)] = found(rivals.service_lb, beside(("DaemonSet", svclb("other"))))
    assert (severity, "shop/other, which Herald leaves alone" in message) == (Severity.NOTICE, True)
    assert found(rivals.service_lb, HEALTHY) == []


def test_cilium_is_told_where_it_has_pools() -> None:
    assert found(rivals.cilium, HEALTHY) == []
    [(severity, _, message)] = found(rivals.cilium, beside(cilium_pools=("blue",)))
    assert (severity, "CiliumLoadBalancerIPPools blue" in message) == (Severity.WRONG, True)
    [(severity, _, _)] = found(rivals.cilium, beside(cilium_pools=("blue",), cilium_default="none"))
    assert severity is Severity.NOTICE


def test_a_host_name_in_the_status_is_another_controllers() -> None:
    status = {**WEB["status"], "loadBalancer": {"ingress": [{"hostname": "lb.example"}]}}
    [(severity, _, message)] = found(rivals.host_names, stored(services=({**WEB, "status": status},)))
    assert (severity, "shop/web" in message) == (Severity.WRONG, True)
    assert found(rivals.host_names, HEALTHY) == []


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (("--lb-class=x",), "x"),
        (("--lb-class", "x"), "x"),
        (("--lb-class", "--other"), ""),
        (("lb-class",), None),
        ((), None),
    ],
)
def test_options_of_containers_are_read_as_their_programs_do(arguments: tuple[str, ...], value: str | None) -> None:
    assert Container("x", arguments).option("lb-class") == value


def test_pods_that_nodes_run_by_themselves_are_told_from_those_of_workloads() -> None:
    assert is_static({"metadata": {"ownerReferences": [{"kind": "Node"}]}})
    assert not is_static({"metadata": {"ownerReferences": [{"kind": "ReplicaSet"}]}})
    assert not is_static({"metadata": {}})
