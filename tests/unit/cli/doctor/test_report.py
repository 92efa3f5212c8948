"""The examination as a whole: what is found, what is fine, and what nobody could look at."""

from __future__ import annotations

from dataclasses import replace

import click
import pytest

from heraldlb.cli.kubectl.doctor.checks.catalogue import CHECKS
from heraldlb.cli.kubectl.doctor.render import render
from heraldlb.cli.kubectl.doctor.report import DoctorReport, Unchecked, doctor_report
from heraldlb.cli.kubectl.doctor.rights import Right, needed
from heraldlb.cli.kubectl.doctor.seen import Beside, Surveyed
from heraldlb.cli.kubectl.findings import Finding, Severity
from heraldlb.cli.kubectl.output import UNBOUNDED
from heraldlb.examination.survey import Question, Survey, Trouble
from tests.unit.cli.doctor.site import HEALTHY, facts, stored, told
from tests.unit.cli.objects import HERALD, lease, pod


def why_unchecked(report: DoctorReport) -> set[str]:
    return {each.why for each in report.unchecked}


def lines(report: DoctorReport, *, wide: bool = False, width: int = UNBOUNDED) -> str:
    return click.unstyle("\n".join(render(report, wide, width)))


def test_of_a_healthy_site_everything_is_checked_and_fine() -> None:
    report = doctor_report(HEALTHY)
    assert (report.findings, report.unchecked, report.is_wrong) == ((), (), False)
    assert len(report.fine) == len(CHECKS)
    assert "hosts that have addresses of a pool (9 addresses probed, of which no Service has one)" in report.fine
    assert "DHCP servers (asked on eth0 of n1)" in report.fine
    assert report.nodes == {"n1": "0.1.0", "n2": "0.1.0", "n3": "0.1.0"}


def test_what_is_wrong_comes_first() -> None:
    broken = told(facts("n1", version="0.0.9"), facts("n3", kernel="4.19.0"))
    found = doctor_report(broken).findings
    assert [each.severity for each in found] == [Severity.WRONG, Severity.NOTICE]
    assert [each.subject for each in found] == ["kernels", "node n1"]
    assert doctor_report(broken).is_wrong
    assert not doctor_report(told(facts("n1", version="0.0.9"))).is_wrong, "a notice is nothing wrong"


def test_a_node_that_could_not_be_asked_is_told_and_leaves_checks_open() -> None:
    examined = {name: HEALTHY.examined[name] for name in ("n1", "n2")}
    report = doctor_report(replace(HEALTHY, examined=examined, unasked={"n3": "it is silent"}))
    assert [(each.subject, each.message) for each in report.findings] == [
        ("node n3", "its agent could not be asked: it is silent")
    ]
    assert why_unchecked(report) == {"n3: it is silent"}
    [unchecked] = report.unchecked
    assert {"MTU", "carrier", "DHCP servers", "heartbeats between agents"} <= set(unchecked.checks)
    assert set(report.fine) & set(unchecked.checks) == set()


def test_an_agent_that_is_not_ready_is_told_once() -> None:
    down = stored(pods=(*HERALD["pods"][:3], pod("agent", "herald-agent-n3", "n3", ready=False)))
    report = doctor_report(replace(down, unasked={"n3": "it is silent"}))
    assert [each.subject for each in report.findings] == ["agent"]


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (replace(HEALTHY, examined={}), "no agent runs in this cluster"),
        (replace(HEALTHY, probes=False), "nothing was asked of the network (--no-probe)"),
        (replace(HEALTHY, unsurveyed={"n1": "busy"}), "n1: busy"),
        (
            replace(
                HEALTHY,
                surveyed={"n1": Surveyed(Question(), Survey(troubles=(Trouble("eth1", "it is down"),)))},
            ),
            "n1, eth1: it is down",
        ),
        (replace(HEALTHY, server=None), "the API server's answers bear no date"),
        (replace(HEALTHY, beside=Beside(unread="these may not")), "these may not"),
        (stored(unread={"nodes": "not for you"}), "not for you"),
    ],
    ids=["agents", "asked for", "busy", "link", "date", "workloads", "nodes"],
)
def test_what_could_not_be_looked_at_is_never_called_fine(seen: object, why: str) -> None:
    report = doctor_report(seen)  # type: ignore[arg-type]
    [unchecked] = [each for each in report.unchecked if each.why == why]
    assert unchecked.checks
    assert not [title for title in report.fine if title.partition(" (")[0] in unchecked.checks]


def test_of_one_node_only_what_concerns_it_is_looked_at() -> None:
    pool = replace(HEALTHY.snapshot, pools=())
    one = replace(HEALTHY, snapshot=pool, node="n1", examined={"n1": HEALTHY.examined["n1"]})
    report = doctor_report(one)
    assert (report.findings, report.unchecked) == ((), ())
    assert "carrier" in report.fine
    assert "the controller" not in report.fine


def test_heralds_own_words_are_repeated() -> None:
    gone = stored(leases=(lease(""),), pods=HERALD["pods"][:3])
    found = [(each.subject, each.message) for each in doctor_report(gone).findings]
    assert ("controller", "no replica acts: Services keep what they have, and no new ones are served") in found
    assert ("agent", "1 node without one, which announce nothing: n3") in found


def test_what_credentials_lack_is_told_as_kubectl_asks_for_it() -> None:
    denied = (Right("list", "nodes", purpose="nodes"), needed(["herald"], probes=True)[-1])
    found = doctor_report(replace(HEALTHY, denied=denied)).findings
    assert [(each.message, each.remedy) for each in found] == [
        (
            "these credentials may not list nodes, which would tell nodes",
            "ask for the right: kubectl auth can-i list nodes -A",
        ),
        (
            "these credentials may not create pods/proxy in herald, which would tell what answers on the network",
            "ask for the right: kubectl auth can-i create pods --subresource=proxy -n herald",
        ),
    ]


def test_without_probing_no_right_to_probe_is_needed() -> None:
    assert {right.verb for right in needed(["herald"], probes=False)} == {"list", "get"}
    assert len(needed(["herald", "herald"], probes=True)) == len(needed(["herald"], probes=False)) + 1


REPORT = DoctorReport(
    findings=(
        Finding(Severity.WRONG, "pool lan", "other hosts have addresses of it", "take them off"),
        Finding(Severity.NOTICE, "MTU", "differs", "set it"),
    ),
    fine=("carrier", "clocks"),
    unchecked=(Unchecked("n3: it is silent", ("MTU", "IPv6")),),
    nodes={"n1": "0.1.0"},
    now=0.0,
)


def test_the_screen_has_findings_with_their_fix_then_what_is_fine_then_what_was_not_checked() -> None:
    assert (
        lines(REPORT)
        == """\
1 thing is wrong
  ✗ pool lan: other hosts have addresses of it
      > take them off
  ! MTU: differs
      > set it

Checked, and fine
  carrier; clocks

Not checked
  - n3: it is silent
      so, in whole or in part: MTU, IPv6"""
    )
    assert "  ✓ carrier\n  ✓ clocks\n" in lines(REPORT, wide=True)
    assert max(map(len, lines(REPORT, width=40).splitlines())) <= 40


def test_nothing_wrong_is_said_with_the_reservation_that_it_deserves() -> None:
    assert lines(replace(REPORT, findings=())).startswith("Nothing is wrong, as far as could be checked.\n")
    assert lines(replace(REPORT, findings=(), unchecked=())).startswith("Nothing is wrong.\n")
