"""One screen on all of Herald. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from heraldlb.cli.kubectl.findings import Finding, Severity, findings
from heraldlb.cli.kubectl.happenings import Happened, happenings
from heraldlb.cli.kubectl.installation import Installation, installation
from heraldlb.cli.kubectl.pools.report import PoolReport, PoolsReport, pools_report
from heraldlb.cli.kubectl.services.report import State, services_report
from heraldlb.cli.kubectl.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What is wrong first."""

    findings: tuple[Finding, ...]
    herald: Installation
    pools: tuple[PoolReport, ...]
    services: Mapping[State, int]
    """How many are in each state that any is in."""
    announced_by: Mapping[str, int]
    """How many addresses each node announces."""
    handovers: tuple[Happened, ...]
    """Addresses that moved from one node to another lately, the latest first."""
    unread: Mapping[str, str]
    """What these credentials may not read, and so is not told."""
    now: float
    """Unix seconds."""

    @property
    def is_wrong(self) -> bool:
        """Whether anything is."""
        return any(finding.severity is Severity.WRONG for finding in self.findings)


def status_report(snapshot: Snapshot) -> StatusReport:
    """The report of a snapshot with every kind but `slices` and `namespaces`."""
    herald, pools, services = installation(snapshot), pools_report(snapshot), services_report(snapshot)
    counted = Counter(each.state for each in services.services)
    owners = {address.address: address.node for each in services.services for address in each.addresses}
    return StatusReport(
        findings=findings(snapshot, herald, pools, services),
        herald=herald,
        pools=pools.pools,
        services={state: counted[state] for state in State if counted[state]},
        announced_by=dict(sorted(Counter(node for node in owners.values() if node).items())),
        handovers=happenings(snapshot.events),
        unread=snapshot.unread,
        now=snapshot.now,
    )


def pools_of(report: StatusReport) -> PoolsReport:
    """The part that `pools` shows."""
    return PoolsReport(report.pools, report.now)
