"""What an examination found. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from heraldlb.cli.kubectl.doctor.check import Check
from heraldlb.cli.kubectl.doctor.checks.catalogue import CHECKS
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.findings import Finding, Severity, by_severity


@dataclass(frozen=True, slots=True)
class Unchecked:
    """What could not be looked at, wholly or on some nodes."""

    why: str
    checks: tuple[str, ...]
    """The titles of the checks that lack it."""


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What is wrong first."""

    findings: tuple[Finding, ...]
    fine: tuple[str, ...]
    """What was checked wholly, and nothing found."""
    unchecked: tuple[Unchecked, ...]
    nodes: Mapping[str, str]
    """Nodes whose agents were asked, with the versions that those said they are."""
    now: float
    """Unix seconds."""

    @property
    def is_wrong(self) -> bool:
        """Whether anything is."""
        return any(finding.severity is Severity.WRONG for finding in self.findings)


def doctor_report(seen: Seen, checks: Iterable[Check] = CHECKS) -> DoctorReport:
    """Makes the checks; where only one node is looked at, those that concern it."""
    found: list[Finding] = []
    fine: list[str] = []
    lacking: dict[str, list[str]] = {}
    for check in checks:
        if seen.node and not check.of_nodes:
            continue
        findings, missing = tuple(check.find(seen)), check.lacking(seen)
        found += findings
        for why in missing:
            lacking.setdefault(why, []).append(check.title)
        if not findings and not missing:
            detail = check.told(seen) if check.told is not None else ""
            fine.append(f"{check.title} ({detail})" if detail else check.title)
    return DoctorReport(
        findings=by_severity(found),
        fine=tuple(fine),
        unchecked=tuple(Unchecked(why, tuple(titles)) for why, titles in lacking.items()),
        nodes={facts.node: facts.version for facts in seen.facts},
        now=seen.snapshot.now,
    )
