"""Which Services have connections that survive, and what others are told."""

from __future__ import annotations

from typing import Any

import pytest

from heraldlb.api.endpoints import Endpoint
from heraldlb.api.group import CONNECTION_SURVIVAL_ANNOTATION, NODE_WEIGHTS_ANNOTATION, SCHEDULER_ANNOTATION
from heraldlb.api.reasons import Reason
from heraldlb.api.services import Service, ServicePort
from heraldlb.forwarding.model import ServicePlan
from heraldlb.forwarding.node import NodeView
from heraldlb.forwarding.plan import plan_service
from tests.unit.forwarding.builders import draining, endpoint, frontend, service, slice_of

VIP = frontend("172.16.0.1", 80)
HERE, THERE = endpoint("10.244.1.5", "n1"), endpoint("10.244.2.5", "n2")


def subject(wish: str | None = "true", **fields: Any) -> Service:
    annotations = {CONNECTION_SURVIVAL_ANNOTATION: wish} if wish is not None else {}
    annotations |= fields.pop("annotations", {})
    return service(**{"type": "LoadBalancer", "ingress": ("172.16.0.1",), "annotations": annotations, **fields})


def planned(asks: Service, *endpoints: Endpoint, default: bool = False, lost: str = "") -> ServicePlan:
    found = plan_service(asks, [slice_of(*endpoints)], NodeView("n1", connection_survival=default), {lost})
    assert found is not None
    return found


def complaints(plan: ServicePlan) -> str:
    assert {each.reason for each in plan.objections} <= {Reason.CONNECTION_SURVIVAL_REFUSED}
    return "\n".join(each.message for each in plan.objections)


def eligible(plan: ServicePlan) -> dict[str, bool]:
    return {str(each.backend.address): each.eligible for each in plan.survivors[VIP]}


def test_only_the_load_balancers_addresses_have_it() -> None:
    plan = planned(
        subject(external_ips=("203.0.113.1",), ports=(ServicePort("http", "TCP", 80, 30080),)), HERE, THERE
    )
    assert set(plan.survivors) == {VIP}
    assert [each.node for each in plan.survivors[VIP]] == ["n1", "n2"]
    assert complaints(plan) == ""


@pytest.mark.parametrize(
    ("wish", "default", "granted"),
    [
        (None, False, False),
        (None, True, True),
        ("true", False, True),
        (" TRUE ", False, True),
        ("false", True, False),
        ("yes", False, False),
        ("yes", True, True),
    ],
)
def test_what_a_service_says_counts_before_the_clusters_default(
    wish: str | None, default: bool, granted: bool
) -> None:
    plan = planned(subject(wish), HERE, default=default)
    assert bool(plan.survivors) is granted
    assert ('"yes" is neither' in complaints(plan)) is (wish == "yes")


@pytest.mark.parametrize(
    ("asks", "stray", "why"),
    [
        (subject(session_affinity_seconds=60), False, "sessionAffinity ClientIP"),
        (subject(external_traffic_policy="Local"), False, "externalTrafficPolicy Local"),
        (subject(), True, "10.9.9.9 is on no node"),
    ],
)
def test_what_cannot_be_combined_is_said_and_forwarded_as_without(asks: Service, stray: bool, why: str) -> None:
    endpoints = [HERE, endpoint("10.9.9.9", "")] if stray else [HERE]
    plan = planned(asks, *endpoints)
    assert why in complaints(plan)
    assert not plan.survivors
    assert plan.servers[VIP]


def test_a_default_that_a_service_cannot_follow_is_no_fault_of_its() -> None:
    plan = planned(subject(None, session_affinity_seconds=60), HERE, default=True)
    assert (plan.survivors, plan.objections) == ({}, ())


def test_sctp_goes_without_and_the_other_ports_have_it() -> None:
    plan = planned(subject(ports=(ServicePort("http", "TCP", 80), ServicePort("s", "SCTP", 81))), HERE)
    assert set(plan.survivors) == {VIP}
    assert "port 81 of SCTP" in complaints(plan)


def test_endpoints_that_end_are_not_ready_or_on_lost_nodes_get_nothing_new_while_others_can_serve() -> None:
    unready = endpoint("10.244.3.5", "n3", ready=False, serving=False)
    ending = draining("10.244.4.5", "n4")
    plan = planned(subject(), HERE, THERE, unready, ending, lost="n2")
    assert [key for key, value in eligible(plan).items() if value] == ["10.244.1.5"]
    assert [key for key, value in eligible(planned(subject(), unready, ending)).items() if value] == ["10.244.4.5"]
    assert [key for key, value in eligible(planned(subject(), THERE, lost="n2")).items() if value] == ["10.244.2.5"]


def test_hints_do_not_narrow_what_nodes_must_choose_alike() -> None:
    hinted = [
        endpoint("10.244.1.5", "n1", node_hints=frozenset({"n1"})),
        endpoint("10.244.2.5", "n2", node_hints=frozenset({"n2"})),
    ]
    assert eligible(planned(subject(), *hinted)) == {"10.244.1.5": True, "10.244.2.5": True}


def test_weights_of_a_scheduler_that_has_them_count_and_weight_0_keeps_a_place() -> None:
    weights = {SCHEDULER_ANNOTATION: "weighted", NODE_WEIGHTS_ANNOTATION: "n1=0,n2=3"}
    plan = planned(subject(annotations=weights), HERE, THERE)
    assert [(each.weight, each.eligible) for each in plan.survivors[VIP]] == [(1, False), (3, True)]
