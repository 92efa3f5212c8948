"""The screen as text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from heraldlb.cli.kubectl.ages import age
from heraldlb.cli.kubectl.findings import Finding, Severity
from heraldlb.cli.kubectl.installation import Installation, Instance
from heraldlb.cli.kubectl.output import cell, plural
from heraldlb.cli.kubectl.pools.render import NO_POOL, pool_table
from heraldlb.cli.kubectl.services.render import coloured
from heraldlb.cli.kubectl.status.report import StatusReport, pools_of
from heraldlb.cli.kubectl.style import bad, doubtful, good, heading
from heraldlb.cli.kubectl.tables import table
from heraldlb.cli.kubectl.text import wrapped

LISTED_HANDOVERS = 5
"""Hand-overs that are shown; -o wide shows all that the API server still has."""

LISTED_FINDINGS = 12
"""Findings that are shown; -o wide shows all."""


def render(report: StatusReport, wide: bool, width: int) -> Iterator[str]:
    """Lines of `kubectl herald status`."""
    yield from _findings(report, wide, width)
    yield ""
    yield heading("Herald") + f" {', '.join(report.herald.versions)}".rstrip()
    yield from _herald(report, wide)
    yield ""
    yield heading("Pools")
    yield from pool_table(pools_of(report), wide, indent="  ") if report.pools else [f"  {doubtful(NO_POOL)}"]
    yield ""
    yield heading("Services")
    counts = ", ".join(f"{count} {coloured(state)}" for state, count in report.services.items())
    yield f"  {counts or 'none of type LoadBalancer'}"
    if report.announced_by:
        nodes = ", ".join(f"{count} on {node}" for node, count in report.announced_by.items())
        yield from wrapped(f"addresses announced: {nodes}", width)
    yield ""
    yield heading("Hand-overs")
    yield from _handovers(report, wide, width)


def _findings(report: StatusReport, wide: bool, width: int) -> Iterator[str]:
    wrong = sum(finding.severity is Severity.WRONG for finding in report.findings)
    if wrong:
        yield bad(f"{plural(wrong, 'thing is', 'things are')} wrong")
    else:
        yield good("Nothing is wrong.")
    shown = report.findings if wide else report.findings[:LISTED_FINDINGS]
    for finding in shown:
        yield from wrapped(f"{_mark(finding)} {finding.subject}: {finding.message}", width)
        yield from wrapped(f"    > {finding.remedy}", width)
    if len(shown) < len(report.findings):
        yield f"  and {len(report.findings) - len(shown)} more (-o wide)"


def _mark(finding: Finding) -> str:
    return bad("✗") if finding.severity is Severity.WRONG else doubtful("!")


def _herald(report: StatusReport, wide: bool) -> Iterator[str]:
    herald = report.herald
    if "pods" in report.unread:
        yield f"  {report.unread['pods']}"
        return
    yield f"  controller  {_readiness(herald.controllers)}{_leader(herald, report.now)}"
    yield f"  agents      {_readiness(herald.agents)}"
    if wide and (herald.controllers or herald.agents):
        rows = (_row(each, report.now) for each in (*herald.controllers, *herald.agents))
        yield from table(["POD", "NODE", "VERSION", "READY", "RESTARTS", "AGE"], rows, indent="  ")


def _readiness(pods: Iterable[Instance]) -> str:
    pods = tuple(pods)
    if not pods:
        return bad("none")
    ready = sum(each.ready for each in pods)
    words = f"{ready} of {len(pods)} ready"
    return good(words) if ready == len(pods) else bad(words)


def _leader(herald: Installation, now: float) -> str:
    leadership = herald.leadership
    if leadership is None or not leadership.holder or leadership.expired:
        return ", " + bad("none acts")
    return f", {leadership.holder} acts since {age(leadership.since, now)}"


def _row(pod: Instance, now: float) -> list[str]:
    ready = good("yes") if pod.ready else bad(pod.trouble.partition(":")[0] or "no")
    return [str(pod.pod), cell(pod.node), cell(pod.version), ready, str(pod.restarts), age(pod.started, now)]


def _handovers(report: StatusReport, wide: bool, width: int) -> Iterator[str]:
    if why := report.unread.get("events"):
        yield f"  {why}"
        return
    shown = report.handovers if wide else report.handovers[:LISTED_HANDOVERS]
    if not shown:
        yield "  none lately"
    for each in shown:
        yield from wrapped(f"{age(each.last, report.now) or '?':>6} ago  {each.service}: {each.note}", width)
    if len(shown) < len(report.handovers):
        yield f"  and {len(report.handovers) - len(shown)} older ones (-o wide)"
