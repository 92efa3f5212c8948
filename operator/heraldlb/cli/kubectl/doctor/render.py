"""The examination as text. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from heraldlb.cli.kubectl.doctor.report import DoctorReport
from heraldlb.cli.kubectl.findings import Finding, Severity
from heraldlb.cli.kubectl.output import plural
from heraldlb.cli.kubectl.style import bad, doubtful, good, heading
from heraldlb.cli.kubectl.text import wrapped


def render(report: DoctorReport, wide: bool, width: int) -> Iterator[str]:
    """Lines of `kubectl herald doctor`."""
    yield from _findings(report, width)
    if report.fine:
        yield ""
        yield heading("Checked, and fine")
        yield from _list(report.fine, wide, width)
    if report.unchecked:
        yield ""
        yield heading("Not checked")
        for each in report.unchecked:
            yield from wrapped(f"- {each.why}", width)
            yield from wrapped(f"    so, in whole or in part: {', '.join(each.checks)}", width)


def _findings(report: DoctorReport, width: int) -> Iterator[str]:
    wrong = sum(finding.severity is Severity.WRONG for finding in report.findings)
    if wrong:
        yield bad(f"{plural(wrong, 'thing is', 'things are')} wrong")
    else:
        yield good("Nothing is wrong") + (", as far as could be checked." if report.unchecked else ".")
    for finding in report.findings:
        yield from wrapped(f"{_mark(finding)} {finding.subject}: {finding.message}", width)
        yield from wrapped(f"    > {finding.remedy}", width)


def _list(titles: tuple[str, ...], wide: bool, width: int) -> Iterator[str]:
    if wide:
        for title in titles:
            yield from wrapped(f"{good('✓')} {title}", width)
    else:
        yield from wrapped("; ".join(titles), width)


def _mark(finding: Finding) -> str:
    return bad("✗") if finding.severity is Severity.WRONG else doubtful("!")
