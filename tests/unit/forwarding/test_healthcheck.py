"""What load balancers are told at health-check node ports, and where."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from heraldlb.api.endpoints import EndpointPort, EndpointSlice
from heraldlb.api.objects import NamespacedName
from heraldlb.api.services import Service
from heraldlb.forwarding.healthcheck import Health, Listener, health_check, listeners
from heraldlb.forwarding.model import HealthCheck, Plan
from heraldlb.forwarding.plan import make_plan
from tests.unit.forwarding.builders import FRAME, NODE, WEB, draining, endpoint, service, slice_of

V4, V6 = NODE.node_port_addresses
HERE = endpoint("10.244.1.5", "n1")


def checked(id_: NamespacedName = WEB, **fields: Any) -> Service:
    return service(
        id_,
        **{
            "type": "LoadBalancer",
            "cluster_ips": ("10.96.0.1", "fd00:96::1"),
            "external_traffic_policy": "Local",
            "health_check_node_port": 30_500,
            **fields,
        },
    )


def planned(*services: Service, slices: tuple[EndpointSlice, ...] = (slice_of(HERE),)) -> Plan:
    return make_plan(services, {WEB: slices}, NODE, FRAME)


def test_ready_endpoints_on_this_node_count_once_whatever_ports_they_have() -> None:
    slices = [
        slice_of(HERE, endpoint("10.244.1.6", "n1"), endpoint("10.244.2.5", "n2"), draining("10.244.1.7", "n1")),
        slice_of(
            HERE, endpoint("10.244.1.8", "n1", ready=False), name="web-2", ports=(EndpointPort("m", "TCP", 9),)
        ),
        slice_of(endpoint("10.244.1.9", "n1"), name="web-3", ports=()),
        slice_of(endpoint("fd00:1::5", "n1"), name="web-4"),
    ]
    assert health_check(checked(), slices, "n1") == HealthCheck(30_500, {"IPv4": 2, "IPv6": 1})


def test_a_family_without_a_cluster_ip_has_no_health_check() -> None:
    subject = checked(cluster_ips=("fd00:96::1",))
    assert health_check(subject, [slice_of(HERE)], "n1") == HealthCheck(30_500, {"IPv6": 0})


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"health_check_node_port": 0}, id="no port"),
        pytest.param({"health_check_node_port": 65_536}, id="no port that there is"),
        pytest.param({"type": "NodePort"}, id="no load balancer"),
        pytest.param({"external_traffic_policy": "Cluster"}, id="any node is as good"),
    ],
)
def test_other_services_have_none(fields: dict[str, Any]) -> None:
    assert health_check(checked(**fields), [slice_of(HERE)], "n1") is None
    assert listeners(planned(checked(**fields)), NODE.node_port_addresses) == {}


def test_every_node_port_address_answers_for_its_family() -> None:
    assert listeners(planned(checked()), NODE.node_port_addresses) == {
        Listener(V4, 30_500): Health(WEB, 1, forwarded=True),
        Listener(V6, 30_500): Health(WEB, 0, forwarded=True),
    }


def test_what_the_kernel_does_not_have_is_not_called_healthy() -> None:
    plan = planned(checked())
    assert not listeners(plan, [V4], forwarding=False)[Listener(V4, 30_500)].forwarded
    assert not listeners(plan, [V4], refused=[WEB])[Listener(V4, 30_500)].forwarded


def test_of_two_services_with_one_port_the_older_has_it() -> None:
    younger = checked(NamespacedName("default", "a"), created="2030-01-01T00:00:00Z", cluster_ips=("10.96.0.9",))
    assert listeners(planned(younger, checked()), [V4])[Listener(V4, 30_500)].service == WEB


def test_the_answer_is_that_of_kube_proxy() -> None:
    health = Health(WEB, 2, forwarded=True)
    assert health.status == 200
    assert health.headers == {
        "Content-Type": "application/json",
        "X-Content-Type-Options": "nosniff",
        "X-Load-Balancing-Endpoint-Weight": "2",
    }
    assert health.body.decode() == (
        '{\n\t"service": {\n\t\t"namespace": "default",\n\t\t"name": "web"\n\t},\n'
        '\t"localEndpoints": 2,\n\t"serviceProxyHealthy": true\n}'
    )


@pytest.mark.parametrize(("endpoints", "forwarded"), [(0, True), (1, False), (0, False)])
def test_without_endpoints_or_rules_the_service_is_unavailable(endpoints: int, forwarded: bool) -> None:
    assert Health(WEB, endpoints, forwarded).status == 503


def test_a_listener_is_written_as_in_a_url() -> None:
    assert [str(Listener(ip_address(text), 80)) for text in ("192.0.2.1", "fd00::1")] == [
        "192.0.2.1:80",
        "[fd00::1]:80",
    ]
