"""From Services to virtual servers: addresses, traffic policies, refusals, conflicting claims."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from heraldlb.api.endpoints import Endpoint
from heraldlb.api.objects import NamespacedName
from heraldlb.api.services import Service, ServicePort
from heraldlb.forwarding.model import (
    AddressKind,
    Backend,
    Frontend,
    Masquerade,
    Plan,
    Refusal,
    ServicePlan,
    VirtualServer,
)
from heraldlb.forwarding.plan import make_plan, plan_service
from tests.unit.forwarding.builders import FRAME, NODE, WEB, backends, endpoint, frontend, service, slice_of

HERE, ELSEWHERE = endpoint("10.244.1.5", "n1"), endpoint("10.244.2.5", "n2")
NODE_PORT = (ServicePort("http", "TCP", 80, 30080),)


def planned(subject: Service, *endpoints: Endpoint) -> ServicePlan:
    found = plan_service(subject, [slice_of(*endpoints)], NODE)
    assert found is not None
    return found


def load_balancer(**fields: Any) -> Service:
    return service(**{"type": "LoadBalancer", "ingress": ("172.16.0.1",), "ports": NODE_PORT, **fields})


def test_every_address_of_a_service_is_served() -> None:
    plan = planned(load_balancer(external_ips=("203.0.113.1",)), ELSEWHERE)
    assert {found: server.kind for found, server in plan.servers.items()} == {
        frontend("10.96.0.1", 80): AddressKind.CLUSTER_IP,
        frontend("172.16.0.1", 80): AddressKind.LOAD_BALANCER,
        frontend("192.168.0.1", 30080): AddressKind.NODE_PORT,
        frontend("203.0.113.1", 80): AddressKind.EXTERNAL_IP,
    }
    assert {server.backends for server in plan.servers.values()} == {backends("10.244.2.5")}


def test_both_families_get_their_own_endpoints() -> None:
    dual = load_balancer(cluster_ips=("10.96.0.1", "fd00:96::1"), ingress=("172.16.0.1", "fd00:16::1"))
    slices = [slice_of(ELSEWHERE), slice_of(endpoint("fd00:2::5"), name="web-6")]
    plan = plan_service(dual, slices, NODE)
    assert plan is not None
    assert plan.servers[frontend("fd00:16::1", 80)].backends == backends("fd00:2::5")
    assert plan.servers[frontend("fd00::1", 30080)].backends == backends("fd00:2::5")
    assert plan.servers[frontend("172.16.0.1", 80)].backends == backends("10.244.2.5")


def test_a_family_without_a_cluster_ip_is_left_alone() -> None:
    plan = planned(load_balancer(ingress=("172.16.0.1", "fd00:16::1")), ELSEWHERE)
    assert all(found.address.version == 4 for found in plan.servers)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"cluster_ips": ()}, id="headless"),
        pytest.param({"type": "ExternalName"}, id="ExternalName"),
        pytest.param({"labels": {"service.kubernetes.io/service-proxy-name": "other"}}, id="another proxy's"),
        pytest.param({"ports": ()}, id="no ports"),
    ],
)
def test_left_alone(fields: dict[str, Any]) -> None:
    assert plan_service(service(**fields), [slice_of(ELSEWHERE)], NODE) is None


def test_addresses_come_from_status_and_never_from_what_was_asked_for() -> None:
    plan = planned(load_balancer(ingress=(), load_balancer_ip="172.16.0.9"), ELSEWHERE)
    assert {server.kind for server in plan.servers.values()} == {AddressKind.CLUSTER_IP, AddressKind.NODE_PORT}


def test_an_address_with_ip_mode_proxy_is_not_served() -> None:
    plan = planned(load_balancer(ingress=("172.16.0.1", "172.16.0.2"), proxied_ingress=("172.16.0.1",)), ELSEWHERE)
    assert frontend("172.16.0.1", 80) not in plan.servers
    assert frontend("172.16.0.2", 80) in plan.servers


def test_a_service_being_deleted_is_served_until_it_is_gone() -> None:
    assert frontend("172.16.0.1", 80) in planned(load_balancer(deleting=True), ELSEWHERE).servers


def test_without_node_port_the_address_is_served_all_the_same() -> None:
    plan = planned(load_balancer(ports=(ServicePort("http", "TCP", 80),)), ELSEWHERE)
    assert frontend("172.16.0.1", 80) in plan.servers
    assert not any(server.kind is AddressKind.NODE_PORT for server in plan.servers.values())


CLUSTER_IP, VIP = frontend("10.96.0.1", 80), frontend("172.16.0.1", 80)
NON_PODS, ALL = Masquerade.ALL_BUT_PODS, Masquerade.EVERYONE
BOTH = backends("10.244.1.5", "10.244.2.5")


@pytest.mark.parametrize(
    ("policies", "endpoints", "internal", "external"),
    [
        pytest.param(
            {},
            [HERE, ELSEWHERE],
            VirtualServer(AddressKind.CLUSTER_IP, NON_PODS, BOTH, Refusal.DROP),
            VirtualServer(AddressKind.LOAD_BALANCER, ALL, BOTH),
            id="Cluster: all endpoints, outside traffic masqueraded",
        ),
        pytest.param(
            {},
            [],
            VirtualServer(AddressKind.CLUSTER_IP, NON_PODS),
            VirtualServer(AddressKind.LOAD_BALANCER, ALL),
            id="no endpoints: rejected",
        ),
        pytest.param(
            {"external_traffic_policy": "Local"},
            [HERE, ELSEWHERE],
            VirtualServer(AddressKind.CLUSTER_IP, NON_PODS, BOTH, Refusal.DROP),
            VirtualServer(AddressKind.LOAD_BALANCER, NON_PODS, BOTH, local_backends=backends("10.244.1.5")),
            id="external Local: outside clients get the local ones, pods and the node all",
        ),
        pytest.param(
            {"external_traffic_policy": "Local"},
            [ELSEWHERE],
            VirtualServer(AddressKind.CLUSTER_IP, NON_PODS, backends("10.244.2.5"), Refusal.DROP),
            VirtualServer(AddressKind.LOAD_BALANCER, NON_PODS, backends("10.244.2.5"), local_backends=()),
            id="external Local with none here: outside traffic dropped",
        ),
        pytest.param(
            {"external_traffic_policy": "Local"},
            [],
            VirtualServer(AddressKind.CLUSTER_IP, NON_PODS),
            VirtualServer(AddressKind.LOAD_BALANCER, NON_PODS),
            id="external Local with none anywhere: rejected",
        ),
        pytest.param(
            {"internal_traffic_policy": "Local"},
            [HERE, ELSEWHERE],
            VirtualServer(AddressKind.CLUSTER_IP, NON_PODS, backends("10.244.1.5"), Refusal.DROP),
            VirtualServer(AddressKind.LOAD_BALANCER, ALL, BOTH),
            id="internal Local: the cluster IP gets the local ones, outside addresses all",
        ),
        pytest.param(
            {"internal_traffic_policy": "Local"},
            [ELSEWHERE],
            VirtualServer(AddressKind.CLUSTER_IP, NON_PODS, (), Refusal.DROP),
            VirtualServer(AddressKind.LOAD_BALANCER, ALL, backends("10.244.2.5")),
            id="internal Local with none here: the cluster IP drops",
        ),
    ],
)
def test_traffic_policy(
    policies: dict[str, Any], endpoints: list[Endpoint], internal: VirtualServer, external: VirtualServer
) -> None:
    servers = planned(load_balancer(**policies), *endpoints).servers
    assert (servers[CLUSTER_IP], servers[VIP]) == (internal, external)


def test_local_endpoints_are_known_for_hairpins() -> None:
    assert planned(service(), HERE, ELSEWHERE).local_endpoints == {ip_address("10.244.1.5")}


def test_an_external_ip_yields_to_addresses_that_the_cluster_gave() -> None:
    thief = service(
        NamespacedName("attack", "thief"),
        created="2020-01-01T00:00:00Z",
        external_ips=("172.16.0.1",),
        cluster_ips=("10.96.0.2",),
    )
    plan = make_plan([thief, load_balancer()], {WEB: [slice_of(ELSEWHERE)]}, NODE, FRAME)
    server = plan.server(VIP)
    assert server is not None
    assert server.backends == backends("10.244.2.5")


def test_of_two_equal_claims_the_older_service_wins_and_the_other_inherits() -> None:
    shared_by = {"external_ips": ("203.0.113.1",)}
    old = service(
        NamespacedName("default", "z"), created="2020-01-01T00:00:00Z", cluster_ips=("10.96.0.2",), **shared_by
    )
    young = service(
        NamespacedName("default", "a"), created="2021-01-01T00:00:00Z", cluster_ips=("10.96.0.3",), **shared_by
    )
    slices = {old.id: [slice_of(HERE, of=old.id)], young.id: [slice_of(ELSEWHERE, of=young.id)]}
    shared = frontend("203.0.113.1", 80)
    plan = make_plan([young, old], slices, NODE, FRAME)
    assert _backends_of(plan, shared) == backends("10.244.1.5")
    assert _backends_of(plan.replace(removed=[old.id]), shared) == backends("10.244.2.5")


def _backends_of(plan: Plan, at: Frontend) -> tuple[Backend, ...] | None:
    server = plan.server(at)
    return server.backends if server is not None else None


def test_a_service_made_anew_under_its_name_yields_what_an_older_one_claims() -> None:
    server = VirtualServer(AddressKind.EXTERNAL_IP, Masquerade.EVERYONE, backends("10.244.2.5"))
    mine, other = (
        ServicePlan(NamespacedName("default", name), created, {frontend("203.0.113.1", 80): server})
        for name, created in (("mine", "2026-01-01T00:00:00Z"), ("other", "2026-01-02T00:00:00Z"))
    )
    plan = Plan(FRAME).replace([mine, other])
    assert plan.claims[frontend("203.0.113.1", 80)] == (mine.id, other.id)
    anew = plan.replace([replace(mine, created="2026-01-03T00:00:00Z")])
    assert anew.claims[frontend("203.0.113.1", 80)] == (other.id, mine.id)
