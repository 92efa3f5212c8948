"""Plans as nft text, executed by a model of the kernel's tables."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heraldlb.api.endpoints import EndpointPort, EndpointSlice
from heraldlb.api.objects import NamespacedName
from heraldlb.api.services import Service, ServicePort
from heraldlb.forwarding import ruleset
from heraldlb.forwarding.elements import LOCAL_SLOTS
from heraldlb.forwarding.mending import repair
from heraldlb.forwarding.model import Frame, Plan
from heraldlb.forwarding.plan import make_plan, plan_service
from tests.unit.forwarding.builders import FRAME, NODE, WEB, draining, endpoint, service, slice_of
from tests.unit.forwarding.kernel import loaded

State = tuple[Service, EndpointSlice]


def plan_of(*states: State) -> Plan:
    return make_plan(
        [subject for subject, _ in states], {subject.id: [found] for subject, found in states}, NODE, FRAME
    )


def test_a_full_load_holds_every_frontend_slot_and_hairpin() -> None:
    local = service(type="LoadBalancer", ingress=("172.16.0.1",), external_traffic_policy="Local")
    plan = plan_of((local, slice_of(endpoint("10.244.1.5", "n1"), endpoint("10.244.2.5"))))
    assert loaded(plan).elements() == {
        ("ip", "services"): {"10.96.0.1 . tcp . 80": "goto internal-2", "172.16.0.1 . tcp . 80": "goto restricted"},
        ("ip", "restricted-services"): {"172.16.0.1 . tcp . 80": "goto internal-2"},
        ("ip", "local-services"): {"172.16.0.1 . tcp . 80": "jump local-1"},
        ("ip", "backends-tcp"): {
            "10.96.0.1 . 80 . 0": "10.244.1.5 . 8080",
            "10.96.0.1 . 80 . 1": "10.244.2.5 . 8080",
            "172.16.0.1 . 80 . 0": "10.244.1.5 . 8080",
            "172.16.0.1 . 80 . 1": "10.244.2.5 . 8080",
            f"172.16.0.1 . 80 . {LOCAL_SLOTS}": "10.244.1.5 . 8080",
        },
        ("ip", "hairpins"): {"10.244.1.5 . 10.244.1.5": ""},
        ("ip", "cluster-ips"): {"10.96.0.1": ""},
    }


def test_a_full_load_replaces_whatever_was_there() -> None:
    kernel = loaded(plan_of((service(), slice_of(endpoint("10.244.2.5")))))
    kernel.load(ruleset.full(Plan(FRAME)).text)
    assert kernel.elements() == {}
    kernel.load(ruleset.removal())
    assert kernel.tables == {}


def test_one_changed_endpoint_costs_one_element_out_and_one_in_for_each_frontend() -> None:
    old = plan_of((service(), slice_of(endpoint("10.244.2.5"), endpoint("10.244.2.6"))))
    new = plan_of((service(), slice_of(endpoint("10.244.2.5"), endpoint("10.244.2.7"))))
    change = ruleset.diff(old, new, ruleset.full(old).chains)
    assert change is not None
    assert change.elements == 2


def test_equal_plans_need_no_transaction() -> None:
    state = (service(), slice_of(endpoint("10.244.2.5")))
    old = plan_of(state)
    assert ruleset.diff(old, plan_of(state), ruleset.full(old).chains) is None


def test_a_new_frame_takes_a_full_load() -> None:
    with pytest.raises(ValueError, match="load the new plan in full"):
        ruleset.diff(Plan(FRAME), Plan(Frame()), frozenset())


def test_overlapping_pod_cidrs_are_joined_since_nft_refuses_them() -> None:
    frame = Frame((ip_network("10.0.0.0/8"), ip_network("10.244.1.0/24")))
    (rule, *_) = loaded(plan_with(frame)).tables["ip"].chains["internal-1"].rules
    assert rule.startswith("ip saddr != { 10.0.0.0/8 } ")


def test_without_pod_cidrs_only_the_nodes_own_traffic_is_masqueraded_on_the_way_to_a_cluster_ip() -> None:
    (rule, *_) = loaded(plan_with(Frame())).tables["ip"].chains["internal-1"].rules
    assert rule == "fib saddr type local meta mark set meta mark | 0x4000"


def plan_with(frame: Frame) -> Plan:
    return make_plan([service()], {WEB: [slice_of(endpoint("10.244.2.5"))]}, NODE, frame)


def test_nothing_that_a_user_names_is_in_the_text() -> None:
    odd = NamespacedName("namespace-of-user", "x" * 63)
    subject = service(odd, ports=(ServicePort("port-name", "TCP", 80),))
    text = ruleset.full(plan_of((subject, slice_of(endpoint("10.244.2.5"), of=odd)))).text
    assert not any(word in text for word in (odd.namespace, odd.name, "port-name"))


octets = st.integers(1, 6)


@st.composite
def states(draw: st.DrawFn) -> State:
    """A Service that often collides with others, and its endpoints."""
    number = draw(st.integers(0, 4))
    id_ = NamespacedName("default", f"s{number}")
    protocol = draw(st.sampled_from(("TCP", "UDP")))
    subject = service(
        id_,
        type="LoadBalancer",
        created=f"2026-01-0{draw(st.integers(1, 3))}T00:00:00Z",
        cluster_ips=(f"10.96.0.{number + 1}", f"fd00:96::{number + 1}"),
        ingress=tuple(draw(st.sets(st.sampled_from(("172.16.0.1", "172.16.0.2", "fd00:16::1")), max_size=2))),
        external_ips=tuple(draw(st.sets(st.sampled_from(("172.16.0.1", "203.0.113.1")), max_size=2))),
        external_traffic_policy=draw(st.sampled_from(("Cluster", "Local"))),
        internal_traffic_policy=draw(st.sampled_from(("Cluster", "Local"))),
        ports=(ServicePort("http", protocol, 80, draw(st.sampled_from((0, 30080)))),),
    )
    endpoints = [
        draw(st.sampled_from((endpoint, draining)))(address, draw(st.sampled_from(("n1", "n2"))))
        for octet in draw(st.sets(octets, max_size=4))
        for address in (f"10.244.1.{octet}", f"fd00:1::{octet}")
    ]
    ports = (EndpointPort("http", protocol, 8080),)
    return subject, slice_of(*endpoints, of=id_, name=f"s{number}-1", ports=ports)


@given(st.lists(st.lists(st.one_of(states(), st.integers(0, 4)), min_size=1, max_size=3), max_size=6))
def test_any_sequence_of_changes_ends_where_a_full_load_does(batches: list[list[State | int]]) -> None:
    """An integer removes that Service; everything else adds or changes one."""
    plan, current = Plan(FRAME), dict[NamespacedName, State]()
    kernel, chains = loaded(plan), ruleset.full(plan).chains
    for batch in batches:
        before = set(current)
        for step in batch:
            if isinstance(step, int):
                current.pop(NamespacedName("default", f"s{step}"), None)
            else:
                current[step[0].id] = step
        changed = [plan_service(subject, [found], NODE) for subject, found in current.values()]
        new = plan.replace([entry for entry in changed if entry is not None], before - set(current))
        if change := ruleset.diff(plan, new, chains):
            kernel.load(change.text)
            chains = change.chains
        plan = new
        fresh = plan_of(*current.values())
        assert plan == fresh
        assert kernel.elements() == loaded(fresh).elements()


@settings(max_examples=25)
@given(st.lists(states(), max_size=5), st.lists(states(), max_size=5), st.integers(1, 12))
def test_whatever_a_predecessor_left_is_mended_by_transactions_that_each_hold(
    former: list[State], wanted: list[State], limit: int
) -> None:
    kernel, plan = loaded(plan_of(*former)), plan_of(*wanted)
    mended = repair(asyncio.run(kernel.read()), plan, limit)
    assert mended is not None
    for part in mended.parts:
        kernel.load(part.text)
    if mended.sweep:
        kernel.load(mended.sweep)
    fresh = loaded(plan)
    assert kernel.elements() == fresh.elements()
    assert kernel.tables["ip"].chains == fresh.tables["ip"].chains
    again = repair(asyncio.run(kernel.read()), plan, limit)
    assert again is not None
    assert (again.parts, again.sweep) == ((), "")
