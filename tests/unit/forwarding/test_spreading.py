"""Schedulers in plans and rules."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from heraldlb.api.endpoints import Endpoint
from heraldlb.api.group import NODE_WEIGHTS_ANNOTATION, SCHEDULER_ANNOTATION
from heraldlb.forwarding import ruleset, tables
from heraldlb.forwarding.maglev import TABLE_SIZE
from heraldlb.forwarding.model import Pick, Plan, ServicePlan, VirtualServer
from heraldlb.forwarding.plan import NO_LOADS, make_plan, plan_service
from heraldlb.forwarding.schedulers import Scheduler
from tests.unit.forwarding.builders import FRAME, NODE, WEB, backends, endpoint, frontend, service, slice_of

CLUSTER_IP, VIP = frontend("10.96.0.1", 80), frontend("172.16.0.1", 80)
HERE, ELSEWHERE, THIRD = endpoint("10.244.1.5", "n1"), endpoint("10.244.2.5", "n2"), endpoint("10.244.3.5", "n3")
ONE, TWO, THREE = backends("10.244.1.5", "10.244.2.5", "10.244.3.5")


def web(scheduler: str, weights: str = "", **fields: Any) -> Any:
    annotations = {SCHEDULER_ANNOTATION: scheduler, NODE_WEIGHTS_ANNOTATION: weights}
    return service(type="LoadBalancer", ingress=("172.16.0.1",), annotations=annotations, **fields)


def planned(scheduler: str, weights: str = "", *endpoints: Endpoint, **more: Any) -> ServicePlan:
    found = slice_of(*(endpoints or (HERE, ELSEWHERE, THIRD)))
    plan = plan_service(web(scheduler, weights), [found], more.pop("node", NODE), **more)
    assert plan is not None
    return plan


def server(*args: Any, **more: Any) -> VirtualServer:
    return planned(*args, **more).servers[VIP]


@pytest.mark.parametrize("scheduler", [each for each in Scheduler if not each.weighs and not each.counts])
def test_weights_do_not_matter_to_those_that_ignore_them(scheduler: Scheduler) -> None:
    assert server(scheduler, "n1=7,n2=0").backends == (ONE, TWO, THREE)


@pytest.mark.parametrize("scheduler", ["weighted", "wrr", "sh", "dh"])
def test_weights_are_slots(scheduler: str) -> None:
    assert Counter(server(scheduler, "n1=6,n2=2,n3=4").backends) == {ONE: 3, TWO: 1, THREE: 2}
    assert set(server(scheduler, "n1=0").backends) == {TWO, THREE}


def test_weight_0_ends_no_connection() -> None:
    """What is quiesced is spared when conntrack is cleaned up."""
    for scheduler in ("weighted", "maglev", "wlc"):
        assert planned(scheduler, "n2=0").quiesced == {TWO}
        assert planned(scheduler, "n2=1").quiesced == set()


def test_maglev_fills_a_table_and_needs_none_for_a_single_endpoint() -> None:
    assert len(server("maglev", "n1=2").backends) == TABLE_SIZE
    assert server("maglev", "", HERE).backends == (ONE,)


@pytest.mark.parametrize("scheduler", ["maglev", "wrr", "wlc"])
def test_of_very_many_endpoints_none_is_left_out(scheduler: str) -> None:
    many = [endpoint(f"10.{number // 250}.{number % 250}.1", f"n{number % 7}") for number in range(5_000)]
    assert len(set(server(scheduler, "n1=100,n2=7,n3=13", *many).backends)) == len(many)


def test_least_connections_goes_by_the_connections_to_the_same_protocol() -> None:
    counts = {("TCP", ONE): 90, ("UDP", TWO): 900}
    slots = Counter(server("lc", loads=counts).backends)
    assert slots[ONE] < slots[TWO] == slots[THREE]
    assert Counter(server("lc", "n1=50").backends)[ONE] == Counter(server("lc").backends)[ONE]
    assert Counter(server("wlc", "n1=2").backends)[ONE] == 2 * Counter(server("wlc", "n1=2").backends)[TWO]


def test_the_services_weights_win_over_the_labels_of_nodes() -> None:
    node = replace(NODE, weights={"n1": 5, "n2": 3})
    assert Counter(server("wrr", "n1=2", node=node).backends) == {ONE: 2, TWO: 3, THREE: 1}


def test_the_default_is_for_services_that_name_none_or_one_that_is_refused() -> None:
    node = replace(NODE, scheduler=Scheduler.ROUND_ROBIN)
    assert server("", node=node).pick is Pick.TURN
    assert server("random", node=node).pick is Pick.RANDOM
    refused = planned("lblc", node=node)
    assert refused.servers[VIP].pick is Pick.TURN
    (objection,) = refused.objections
    assert "lblc" in objection.message


def test_both_lists_of_a_local_policy_are_spread() -> None:
    here = [endpoint(f"10.244.1.{number}", "n1") for number in (5, 6)]
    subject = web("maglev", external_traffic_policy="Local")
    plan = plan_service(subject, [slice_of(*here, ELSEWHERE)], NODE)
    assert plan is not None
    assert plan.servers[VIP].local_backends is not None
    assert set(plan.servers[VIP].local_backends) == set(backends("10.244.1.5", "10.244.1.6"))
    assert len(plan.servers[VIP].local_backends) == TABLE_SIZE
    assert len(plan.local_endpoints) == 2


@pytest.mark.parametrize("scheduler", Scheduler)
def test_every_node_comes_to_the_same_slots_from_the_same_objects_in_any_order(scheduler: Scheduler) -> None:
    found = [slice_of(each, name=f"web-{each.node_name}") for each in (HERE, ELSEWHERE, THIRD)]
    plans = [
        plan_service(web(scheduler, weights), slices, replace(NODE, name=node))
        for node, weights, slices in (
            ("n1", "n1=3,n2=2", found),
            ("n2", "n2=2,n1=3", found[::-1]),
            ("n9", "n1=3, n2=2", [found[1], found[0], found[2]]),
        )
    ]
    assert len({plan.servers[VIP].backends for plan in plans if plan is not None}) == 1


def chains(scheduler: str, *endpoints: Endpoint, **fields: Any) -> dict[str, str]:
    """The picking rules for IPv4, TCP, by chain."""
    plan = make_plan([web(scheduler, **fields)], {WEB: [slice_of(*endpoints)]}, NODE, replace(FRAME, seed=0xABC))
    found = tables.read(ruleset.full(plan).text)["ip"].chains
    return {
        name: rule.partition("tcp dport . ")[2].partition(" map")[0]
        for name, chain in found.items()
        for rule in chain.rules
        if "dnat ip to" in rule and "l4proto tcp" in rule
    }


@pytest.mark.parametrize(
    ("scheduler", "name", "slot"),
    [
        ("random", "external-2", "numgen random mod 2"),
        ("weighted", "external-2", "numgen random mod 2"),
        ("sh", "external-sh-2", "jhash ip saddr mod 2 seed 0xabc"),
        ("dh", "external-dh-2", "jhash ip daddr mod 2 seed 0xabc"),
        ("maglev", "external-mh-4093", "jhash ip saddr . tcp sport mod 4093 seed 0xabc"),
        ("lc", "external-32", "numgen random mod 32"),
        ("rr", "external-rr-2-tcp-80-ac100001", "numgen inc mod 2"),
    ],
)
def test_the_rule_of_a_scheduler(scheduler: str, name: str, slot: str) -> None:
    assert chains(scheduler, HERE, ELSEWHERE)[name] == slot


@pytest.mark.parametrize("scheduler", Scheduler)
def test_of_a_single_endpoint_nothing_is_hashed_since_nft_takes_no_modulus_of_1(scheduler: Scheduler) -> None:
    assert chains(scheduler, HERE) == {
        "internal-1": "numgen random mod 1",
        "external-1": "numgen random mod 1",
    }


def test_the_local_list_has_slots_of_its_own_under_every_scheduler() -> None:
    two = [endpoint(f"10.244.1.{number}", "n1") for number in (5, 6)]
    rules = chains("sh", *two, external_traffic_policy="Local")
    assert rules["local-sh-2"] == "jhash ip saddr mod 2 seed 0xabc offset 16777216"


def test_round_robin_counts_turns_for_each_frontend_alone() -> None:
    rules = chains("rr", HERE, ELSEWHERE)
    assert set(rules) == {"internal-rr-2-tcp-80-a600001", "external-rr-2-tcp-80-ac100001"}


@pytest.mark.parametrize("scheduler", Scheduler)
def test_with_session_affinity_new_clients_are_scheduled_and_hashed_where_chance_would_decide(
    scheduler: Scheduler,
) -> None:
    sticky = chains(scheduler, HERE, ELSEWHERE, session_affinity_seconds=60)
    assert {name: slot for name, slot in sticky.items() if name.startswith("sticky-")} == {
        f"sticky-{name}": re.sub(r"numgen random (mod \d+)", r"jhash ip saddr \1 seed 0xabc", slot)
        for name, slot in chains(scheduler, HERE, ELSEWHERE).items()
    }


def test_an_endpoint_that_goes_rewrites_only_slots_that_move() -> None:
    def plan_of(*endpoints: Endpoint) -> Plan:
        return make_plan([web("maglev")], {WEB: [slice_of(*endpoints)]}, NODE, FRAME)

    old, new = plan_of(HERE, ELSEWHERE, THIRD), plan_of(HERE, THIRD)
    change = ruleset.diff(old, new, ruleset.full(old).chains)
    assert change is not None
    # Two frontends, each slot deleted and added.
    assert change.elements < 2 * 2 * TABLE_SIZE * (1 / 3 + 0.02)


def test_who_uses_no_scheduler_costs_no_more() -> None:
    plan = plan_service(service(), [slice_of(HERE, ELSEWHERE)], replace(NODE, weights={"n1": 5}), loads=NO_LOADS)
    assert plan is not None
    assert plan.servers[CLUSTER_IP].backends == (ONE, TWO)
    assert plan.servers[CLUSTER_IP].pick is Pick.RANDOM
