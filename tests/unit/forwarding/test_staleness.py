"""Which conntrack entries are to be forgotten when a plan is in force."""

from __future__ import annotations

from typing import Any

import pytest

from heraldlb.api.endpoints import Endpoint, EndpointPort
from heraldlb.api.group import NODE_WEIGHTS_ANNOTATION, SCHEDULER_ANNOTATION
from heraldlb.api.objects import NamespacedName
from heraldlb.api.services import Protocol, ServicePort
from heraldlb.forwarding.conntrack import Flow
from heraldlb.forwarding.model import Backend, Frontend, Plan
from heraldlb.forwarding.plan import make_plan
from heraldlb.forwarding.staleness import disturbed, is_stale
from tests.unit.forwarding.builders import (
    FRAME,
    NODE,
    WEB,
    backends,
    draining,
    endpoint,
    frontend,
    service,
    slice_of,
)

A, B, C = backends("10.244.1.5", "10.244.2.5", "10.244.2.6", port=5353)
HERE, ELSEWHERE, THIRD = endpoint("10.244.1.5", "n1"), endpoint("10.244.2.5"), endpoint("10.244.2.6")


def dns(*endpoints: Endpoint, protocol: Protocol = "UDP", id_: NamespacedName = WEB, **fields: Any) -> Plan:
    """A Service with these endpoints, port 53, node port 30053."""
    subject = service(
        id_,
        **{
            "type": "LoadBalancer",
            "ingress": ("172.16.0.1",),
            "ports": (ServicePort("dns", protocol, 53, 30_053),),
            **fields,
        },
    )
    slices = [slice_of(*endpoints, of=id_, ports=(EndpointPort("dns", protocol, 5353),))]
    return make_plan([subject], {id_: slices}, NODE, FRAME)


CLUSTER_IP, VIP, NODE_PORT = (
    frontend(address, port, "UDP")
    for address, port in (("10.96.0.1", 53), ("172.16.0.1", 53), ("192.168.0.1", 30_053))
)
ALL = {CLUSTER_IP, VIP, NODE_PORT}


def flow(backend: Backend, to: Frontend = VIP, **fields: Any) -> Flow:
    return Flow(to, backend, **fields)


@pytest.mark.parametrize("to", sorted(ALL, key=str))
def test_a_flow_to_an_endpoint_that_is_gone_is_stale_at_every_address(to: Frontend) -> None:
    assert is_stale(flow(A, to), dns(ELSEWHERE))
    assert not is_stale(flow(B, to), dns(ELSEWHERE))


def test_a_flow_that_nobody_translated_is_stale_once_there_is_an_endpoint() -> None:
    untranslated = flow(Backend(VIP.address, VIP.port))
    assert is_stale(untranslated, dns(HERE))
    assert not is_stale(untranslated, dns())


def test_an_endpoint_that_listens_on_another_port_now_is_another() -> None:
    assert is_stale(flow(Backend(A.address, 5354)), dns(HERE))


def test_where_no_endpoint_serves_nothing_is_forgotten() -> None:
    assert not is_stale(flow(A), dns())
    assert not is_stale(flow(A), dns(endpoint("10.244.1.5", "n1", ready=False, serving=False)))


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(dns(draining("10.244.1.5", "n1"), ELSEWHERE), id="terminating"),
        pytest.param(dns(HERE, ELSEWHERE, external_traffic_policy="Local"), id="local"),
        pytest.param(
            dns(
                endpoint("10.244.1.5", "n3", zone_hints=frozenset({"b"})),
                endpoint("10.244.2.5", zone_hints=frozenset({"a"})),
            ),
            id="of another zone",
        ),
        pytest.param(
            dns(HERE, ELSEWHERE, annotations={SCHEDULER_ANNOTATION: "wrr", NODE_WEIGHTS_ANNOTATION: "n1=0"}),
            id="of no weight",
        ),
    ],
)
def test_a_flow_to_an_endpoint_that_serves_is_kept_though_new_ones_may_go_elsewhere(plan: Plan) -> None:
    assert not is_stale(flow(A), plan)
    assert is_stale(flow(C), plan)


def test_a_change_of_policy_ends_no_flow() -> None:
    assert not is_stale(flow(B, CLUSTER_IP), dns(HERE, ELSEWHERE, internal_traffic_policy="Local"))


@pytest.mark.parametrize("protocol", ["TCP", "SCTP"])
def test_of_other_protocols_only_what_was_never_answered_is_stale(protocol: Protocol) -> None:
    to, plan = Frontend(VIP.address, protocol, 53), dns(ELSEWHERE, protocol=protocol)
    assert is_stale(flow(A, to, half_open=True), plan)
    assert not is_stale(flow(B, to, half_open=True), plan)
    assert not is_stale(flow(A, to), plan)


def test_flows_to_what_is_no_frontend_are_nobodys_business() -> None:
    assert not is_stale(flow(A, frontend("172.16.0.9", 53, "UDP")), dns(ELSEWHERE))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, dns(HERE), ALL, id="nothing is known of what was before"),
        pytest.param(None, dns(), set(), id="no endpoint, nothing to forget"),
        pytest.param(dns(HERE), dns(HERE), set(), id="the same"),
        pytest.param(dns(), dns(HERE), ALL, id="the first endpoint"),
        pytest.param(dns(HERE), dns(HERE, ELSEWHERE), set(), id="one more endpoint"),
        pytest.param(dns(HERE, ELSEWHERE), dns(ELSEWHERE), ALL, id="one endpoint less"),
        pytest.param(dns(HERE), dns(ELSEWHERE), ALL, id="another endpoint"),
        pytest.param(dns(HERE), dns(), set(), id="the last endpoint is gone"),
        pytest.param(dns(HERE, ELSEWHERE), dns(draining("10.244.1.5", "n1"), ELSEWHERE), set(), id="it drains"),
        pytest.param(dns(draining("10.244.1.5", "n1"), ELSEWHERE), dns(ELSEWHERE), ALL, id="it has drained"),
        pytest.param(dns(HERE), dns(HERE, ingress=("172.16.0.1", "172.16.0.2")), "172.16.0.2", id="a new address"),
        pytest.param(dns(HERE), Plan(FRAME), set(), id="the Service is gone"),
    ],
)
def test_only_frontends_that_lost_an_endpoint_or_got_their_first_are_looked_at(
    old: Plan | None, new: Plan, expected: set[Frontend] | str
) -> None:
    found = disturbed(old, new)
    assert found == ({frontend(expected, 53, "UDP")} if isinstance(expected, str) else expected)


def test_what_another_service_inherits_is_looked_at() -> None:
    heir = dns(
        ELSEWHERE,
        id_=NamespacedName("default", "heir"),
        created="2030-01-01T00:00:00Z",
        cluster_ips=("10.96.0.9",),
        external_ips=("172.16.0.1",),
        ingress=(),
    )
    both = dns(HERE).replace(heir.services.values())
    assert VIP in disturbed(both, both.replace(removed=[WEB]))
