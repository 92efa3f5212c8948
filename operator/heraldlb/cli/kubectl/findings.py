"""What is wrong in a cluster, and what is worth a look, as far as objects tell. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from heraldlb.api.objects import Raw, entries, text
from heraldlb.cli.kubectl.installation import Component, Installation, Instance
from heraldlb.cli.kubectl.output import plural
from heraldlb.cli.kubectl.pools.report import READY, PoolsReport
from heraldlb.cli.kubectl.services.condition import condition_of
from heraldlb.cli.kubectl.services.report import MEANINGS, ServiceReport, ServicesReport, State
from heraldlb.cli.kubectl.snapshot import Snapshot

LISTED = 5
"""Names that a message lists; of more it gives the number."""


class Severity(StrEnum):
    """How much it matters."""

    WRONG = "Wrong"
    NOTICE = "Notice"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing."""

    severity: Severity
    subject: str
    """What it is about, in a word or two."""
    message: str
    remedy: str
    """What to do, or what to run to learn more."""


def findings(
    snapshot: Snapshot, herald: Installation, pools: PoolsReport, services: ServicesReport
) -> tuple[Finding, ...]:
    """Everything that a snapshot tells, what is wrong first."""
    found = [
        *of_controllers(snapshot, herald),
        *of_agents(snapshot, herald),
        *of_versions(herald),
        *of_pools(pools),
        *of_quarantines(pools),
        *of_announcements(snapshot),
        *of_services(services),
        *(
            Finding(Severity.NOTICE, kind, why, "ask for the right to read it")
            for kind, why in snapshot.unread.items()
        ),
    ]
    return by_severity(found)


def by_severity(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """What is wrong first, otherwise in their order."""
    return tuple(sorted(found, key=lambda finding: list(Severity).index(finding.severity)))


def listed(names: list[str]) -> str:
    """`a, b, c and 7 more`."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def of_controllers(snapshot: Snapshot, herald: Installation) -> Iterator[Finding]:
    """Whether one acts, and which are not ready."""
    if "pods" in snapshot.unread:
        return
    if not herald.controllers:
        message = "no pod of it is in this cluster: nobody gives addresses to new Services"
        yield Finding(Severity.WRONG, "controller", message, "install the chart, or look at its Deployment")
        return
    for pod in herald.controllers:
        if not pod.ready:
            others = any(each.ready for each in herald.controllers)
            yield _not_ready(pod, Severity.NOTICE if others else Severity.WRONG)
    leadership = herald.leadership
    if "leases" not in snapshot.unread and (leadership is None or not leadership.holder or leadership.expired):
        message = "no replica acts: Services keep what they have, and no new ones are served"
        yield Finding(Severity.WRONG, "controller", message, _logs(herald.controllers[0]))


def of_agents(snapshot: Snapshot, herald: Installation) -> Iterator[Finding]:
    """Which are not ready, and which nodes have none."""
    if "pods" in snapshot.unread:
        return
    if not herald.agents:
        message = "no pod of it is in this cluster: nobody announces addresses"
        yield Finding(Severity.WRONG, "agent", message, "install the chart, or look at its DaemonSet")
        return
    for pod in herald.agents:
        if not pod.ready:
            yield _not_ready(pod, Severity.WRONG)
    names = sorted(text(node, "metadata", "name") for node in snapshot.nodes)
    if bare := [name for name in names if herald.agent_on(name) is None]:
        message = f"{plural(len(bare), 'node')} without one, which announce nothing: {listed(bare)}"
        yield Finding(Severity.NOTICE, "agent", message, "if that is not meant: the DaemonSet's tolerations")


def of_versions(herald: Installation) -> Iterator[Finding]:
    """Whether controllers and agents agree."""
    if len(herald.versions) > 1:
        message = f"versions {', '.join(herald.versions)} run side by side"
        remedy = "if no upgrade is under way: kubectl rollout status of the DaemonSet and the Deployment"
        yield Finding(Severity.NOTICE, "versions", message, remedy)


def _not_ready(pod: Instance, severity: Severity) -> Finding:
    where = f" on {pod.node}" if pod.node else ""
    return Finding(
        severity,
        pod.component.value,
        f"{pod.pod}{where} is not ready: {pod.trouble or 'no reason given'}",
        _logs(pod),
    )


def _logs(pod: Instance) -> str:
    component = Component(pod.component)
    return f"kubectl logs -n {pod.pod.namespace} {pod.pod.name} -c {component}"


def of_pools(report: PoolsReport) -> Iterator[Finding]:
    """What the controller says of them."""
    if not report.pools:
        message = "there is no AddressPool, so there is nothing to give"
        remedy = "create one that lists addresses of your network which nobody else uses"
        yield Finding(Severity.WRONG, "pools", message, remedy)
    for pool in report.pools:
        subject = f"pool {pool.name}"
        for problem in pool.problems:
            severity = Severity.WRONG if problem.kind == READY else Severity.NOTICE
            yield Finding(severity, subject, problem.message, f"kubectl describe addresspool {pool.name}")


def of_quarantines(report: PoolsReport) -> Iterator[Finding]:
    """Addresses that nobody is given, since other hosts have them."""
    for pool in report.pools:
        if pool.quarantined:
            message = f"other hosts answer for {listed(list(pool.quarantined))}"
            remedy = f"kubectl describe addresspool {pool.name}"
            yield Finding(Severity.NOTICE, f"pool {pool.name}", message, remedy)


def of_announcements(snapshot: Snapshot) -> Iterator[Finding]:
    """What the controller says of L2Announcements."""
    for raw in snapshot.announcements:
        ready: Raw = condition_of(entries(raw, "status", "conditions"), "Ready")
        if text(ready, "status") == "False":
            name = text(raw, "metadata", "name")
            remedy = f"kubectl describe l2announcement {name}"
            yield Finding(Severity.WRONG, f"l2announcement {name}", text(ready, "message"), remedy)


def of_services(report: ServicesReport) -> Iterator[Finding]:
    """One for all Services of one state and reason: of a thousand that wait, the cause is one."""
    groups: dict[tuple[State, str], list[ServiceReport]] = {}
    for each in report.wrong:
        groups.setdefault((each.state, each.reason), []).append(each)
    for (state, reason), members in groups.items():
        names = [str(each.service) for each in members]
        subject = names[0] if len(names) == 1 else plural(len(names), "Service")
        words = members[0].message if len(names) == 1 else f"each {MEANINGS[state]}: {listed(names)}"
        label = f"{state}{f' ({reason})' if reason else ''}: {words}"
        yield Finding(Severity.WRONG, subject, label, f"kubectl herald explain {names[0]}")
