"""What `status`, `services` and `pools` say, from objects alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
import pytest

from heraldlb.cli.kubectl.findings import Finding, Severity
from heraldlb.cli.kubectl.output import UNBOUNDED
from heraldlb.cli.kubectl.pools.render import bar
from heraldlb.cli.kubectl.pools.render import render as pools_lines
from heraldlb.cli.kubectl.pools.report import Usage, pools_report
from heraldlb.cli.kubectl.services.render import render as services_lines
from heraldlb.cli.kubectl.services.report import State, services_report
from heraldlb.cli.kubectl.status.render import render as status_lines
from heraldlb.cli.kubectl.status.report import StatusReport, status_report
from tests.unit.cli.objects import (
    HERALD,
    WEB,
    WORKING,
    assigned,
    condition,
    event,
    lease,
    node,
    pod,
    pool,
    record,
    service,
    snapshot,
)

NO_NODE = condition("Announced", "False", "NoEligibleNode", "no node can announce it")
CLAIM = condition("Conflict", "True", "AddressConflict", "02:bb claims it, too")
REFUSED = assigned("no IPv4 address: none is left", "PoolExhausted", good=False)


def wrong(report: StatusReport) -> list[Finding]:
    return [each for each in report.findings if each.severity is Severity.WRONG]


def said(report: StatusReport) -> list[tuple[str, str]]:
    """Severity and subject of what was found."""
    return [(str(each.severity), each.subject) for each in report.findings]


@pytest.mark.parametrize(
    ("found", "held", "state", "reason"),
    [
        (WEB, record("192.168.1.240", "lan", "web", node="n1"), State.ANNOUNCED, "AddressAssigned"),
        (WEB, record("192.168.1.240", "lan", "web", conditions=[NO_NODE]), State.SILENT, "NoEligibleNode"),
        (WEB, record("192.168.1.240", "lan", "web"), State.SILENT, ""),
        (WEB, None, State.SILENT, ""),
        (
            WEB,
            record("192.168.1.240", "lan", "web", node="n1", conditions=[CLAIM]),
            State.CONTESTED,
            "AddressConflict",
        ),
        (service("web", said=REFUSED), None, State.REFUSED, "PoolExhausted"),
        (
            service("web", "192.168.1.240", said=REFUSED),
            record("192.168.1.240", "lan", "web", node="n1"),
            State.UNMET,
            "PoolExhausted",
        ),
        (service("web"), None, State.PENDING, ""),
        (service("web", loadBalancerClass="example.com/lb"), None, State.FOREIGN, ""),
    ],
)
def test_the_state_of_a_service_is_what_needs_somebody_first(
    found: dict[str, Any], held: dict[str, Any] | None, state: State, reason: str
) -> None:
    [report] = services_report(snapshot(services=(found,), records=(held,) if held else ())).services
    assert (report.state, report.reason) == (state, reason)
    assert report.message


def test_services_are_listed_by_name_and_what_is_wrong_by_urgency() -> None:
    waiting, odd = service("b", said=REFUSED), service("a", "192.168.1.241")
    report = services_report(replace(WORKING, services=(WEB, waiting, odd)))
    assert [each.service.name for each in report.services] == ["a", "b", "web"]
    assert [(each.service.name, each.state) for each in report.wrong] == [("b", State.REFUSED), ("a", State.SILENT)]
    assert services_report(replace(WORKING, services=(WEB,)), "elsewhere").services == ()


def test_a_table_can_be_cut_by_columns_and_holds_no_blank_cell() -> None:
    report = services_report(replace(WORKING, services=(WEB, service("b", said=REFUSED))))
    head, *rows = [click.unstyle(line) for line in services_lines(report, False, UNBOUNDED)]
    assert head.split() == ["NAMESPACE", "NAME", "STATE", "ADDRESSES", "NODE", "REASON", "AGE"]
    assert [row.split() for row in rows] == [
        ["shop", "b", "Refused", "-", "-", "PoolExhausted", "1h"],
        ["shop", "web", "Announced", "192.168.1.240", "n2", "-", "1h"],
    ]
    assert {row.index(cell) for row, cell in zip(rows, ("Refused", "Announced"), strict=True)} == {
        head.index("STATE")
    }


def counts(capacity: int, assigned_: int, available: int) -> dict[str, int]:
    return {"capacity": capacity, "assigned": assigned_, "available": available}


def test_pools_come_in_the_order_in_which_they_are_tried_each_family_with_its_use() -> None:
    status = {"observedGeneration": 1, "ipv4": counts(10, 2, 5), "ipv6": counts(2**53 - 1, 0, 2**53 - 2)}
    late = pool("late", "10.0.0.1", priority=200)
    report = pools_report(snapshot(pools=(late, pool("lan", "192.168.1.240/29", status=status))))
    lines = [click.unstyle(line).split() for line in pools_lines(report, False, UNBOUNDED)][1:]
    assert lines == [
        ["lan", "Automatic", "IPv4", "██████████··········", "2", "of", "10", "5", "-", "1h"],
        ["IPv6", "····················", "0", "of", "9.0e15", "9.0e15"],
        ["late", "Automatic", "-", "not", "counted", "yet", "-", "-", "-", "1h"],
    ]


@pytest.mark.parametrize(
    ("assigned_", "available", "filled"), [(0, 256, 0), (1, 255, 1), (128, 128, 10), (100, 0, 20), (256, 0, 20)]
)
def test_a_bar_shows_the_first_address_and_what_is_set_apart(assigned_: int, available: int, filled: int) -> None:
    assert click.unstyle(bar(Usage("IPv4", 256, assigned_, available))) == "█" * filled + "·" * (20 - filled)


def test_a_pool_with_an_entry_that_cannot_be_used_is_wrong_and_a_full_one_worth_a_look() -> None:
    broken = condition("Ready", "False", "InvalidEntry", 'spec.addresses[1]: "x" is no address')
    full = condition("Exhausted", "True", "PoolExhausted", "no IPv4 address is left")
    found = replace(WORKING, pools=(pool("bad", "x", status={"conditions": [broken]}),))
    assert said(status_report(found)) == [("Wrong", "pool bad")]
    assert pools_report(found).is_wrong
    found = replace(WORKING, pools=(pool("full", "10.0.0.1", status={"conditions": [full]}),))
    assert said(status_report(found)) == [("Notice", "pool full")]
    assert not pools_report(found).is_wrong


def test_nothing_is_wrong_with_a_healthy_cluster() -> None:
    moved = event("HandedOver", "web", "192.168.1.240 is announced by n2 on eth0, taken over from n1")
    report = status_report(replace(WORKING, events=(moved,)))
    assert report.findings == ()
    assert not report.is_wrong
    assert (
        click.unstyle("\n".join(status_lines(report, False, UNBOUNDED)))
        == """\
Nothing is wrong.

Herald 0.1.0
  controller  1 of 1 ready, herald-controller-1 acts since 1h
  agents      3 of 3 ready

Pools
  POOL    ASSIGNMENT    FAMILY    USED                           FREE    QUARANTINED    AGE
  lan     Automatic     IPv4      ██··················  1 of 10  9       -              1h

Services
  1 Announced
  addresses announced: 1 on n2

Hand-overs
      1h ago  shop/web: 192.168.1.240 is announced by n2 on eth0, taken over from n1"""
    )


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"pods": ()}, [("Wrong", "controller"), ("Wrong", "agent")]),
        ({"leases": ()}, [("Wrong", "controller")]),
        ({"leases": (lease(""),)}, [("Wrong", "controller")]),
        ({"leases": (lease("c", "2026-01-01T00:59:00Z"),)}, [("Wrong", "controller")]),
        ({"leases": (lease("c", "2026-01-01T00:59:40Z"),)}, []),
        ({"pods": (*HERALD["pods"], pod("controller", "c2", "n2", ready=False))}, [("Notice", "controller")]),
        ({"pods": (*HERALD["pods"], pod("agent", "a", "n1", ready=False, waiting="X"))}, [("Wrong", "agent")]),
        ({"pods": (*HERALD["pods"], pod("agent", "a", "n1", version="0.2.0"))}, [("Notice", "versions")]),
        ({"nodes": (*HERALD["nodes"], node("n4"))}, [("Notice", "agent")]),
        ({"pools": ()}, [("Wrong", "pools")]),
        (
            {
                "announcements": (
                    {
                        "metadata": {"name": "edge", "resourceVersion": "1"},
                        "status": {"conditions": [condition("Ready", "False", "NoEligibleNode")]},
                    },
                )
            },
            [("Wrong", "l2announcement edge")],
        ),
        ({"unread": {"events": "forbidden"}}, [("Notice", "events")]),
    ],
    ids=[
        "nothing runs",
        "no Lease",
        "nobody holds the Lease",
        "the Lease has expired",
        "clocks differ",
        "one controller of two is down",
        "an agent is down",
        "two versions",
        "a node without an agent",
        "no pool",
        "a policy that selects no node",
        "a kind that may not be read",
    ],
)
def test_what_is_wrong_is_found(changed: dict[str, Any], found: list[tuple[str, str]]) -> None:
    report = status_report(replace(WORKING, **changed))
    assert said(report) == found
    assert report.is_wrong is any(severity == "Wrong" for severity, _ in found)


def test_services_that_wait_for_one_reason_are_one_finding() -> None:
    waiting = tuple(service(f"s{number}", said=REFUSED) for number in range(1000))
    [finding] = wrong(status_report(replace(WORKING, services=waiting, records=())))
    assert finding.subject == "1000 Services"
    assert "shop/s0" in finding.message
    assert "995 more" in finding.message
    assert finding.remedy == "kubectl herald explain shop/s0"


def test_what_is_wrong_comes_before_what_is_worth_a_look() -> None:
    report = status_report(replace(WORKING, nodes=(*HERALD["nodes"], node("n4")), pools=()))
    assert said(report) == [("Wrong", "pools"), ("Notice", "agent")]


def test_hand_overs_come_latest_first_and_repeated_ones_count_from_their_last_time() -> None:
    series = {"count": 3, "lastObservedTime": "2026-01-01T00:50:00Z"}
    moved = (
        event("HandedOver", "b", "once", "2026-01-01T00:30:00Z"),
        event("HandedOver", "a", "often", series=series),
    )
    report = status_report(replace(WORKING, events=moved))
    assert [(each.service.name, each.count) for each in report.handovers] == [("a", 3), ("b", 1)]


def test_pods_of_others_that_use_the_same_labels_are_none_of_ours() -> None:
    stranger = pod("agent", "datadog-agent", "n1", ready=False)
    stranger["spec"]["containers"][0]["args"] = ["agent", "--log-level=info"]
    stranger["spec"]["containers"][0]["env"] = [{"name": "DD_API_KEY", "value": "x"}]
    sidecar = pod("agent", "herald-agent-n1", "n1", ready=False)
    sidecar["spec"]["containers"][0]["name"] = "other"
    assert status_report(replace(WORKING, pods=(*HERALD["pods"], stranger, sidecar))).findings == ()
