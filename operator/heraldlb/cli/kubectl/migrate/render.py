"""A migration as text. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from heraldlb.cli.kubectl.fates import fate_cell, listed_addresses
from heraldlb.cli.kubectl.output import plural
from heraldlb.cli.kubectl.style import bad, doubtful, faint, good, heading
from heraldlb.cli.kubectl.tables import table
from heraldlb.cli.kubectl.text import wrapped
from heraldlb.migration.notes import Kind
from heraldlb.migration.proof import Unserved
from heraldlb.migration.report import MigrationReport
from heraldlb.planning.changes import Fate

_HEADINGS = {
    Kind.NOT_CARRIED: "Not carried over",
    Kind.CHANGED: "Carried over in other words",
    Kind.NOT_NEEDED: "Not needed any more",
}


def render(report: MigrationReport, wide: bool, width: int) -> Iterator[str]:
    """Lines of `kubectl herald migrate`."""
    yield heading(f"From {', '.join(report.origins)}") + f": {plural(len(report.objects), 'object')} for Herald"
    for title in report.ignored:
        yield faint(f"  {title} is no configuration that is known here")
    yield from _notes(report, width)
    yield from _services(report, wide)
    yield from _advice(report, width)
    yield from _steps(report, width)


def _notes(report: MigrationReport, width: int) -> Iterator[str]:
    for kind, title in _HEADINGS.items():
        notes = [note for note in report.notes if note.kind is kind]
        if not notes:
            continue
        yield ""
        yield heading(title) + f" ({len(notes)})"
        for place, about in groupby(notes, key=lambda note: (note.source, note.title)):
            source, object_title = place
            yield f"  {object_title}" + faint(f"  {source}")
            for note in about:
                line = f"line {note.line}, " if note.line else ""
                yield from wrapped(f"  {line}{note.path or 'all of it'}: {note.why}", width)


def _services(report: MigrationReport, wide: bool) -> Iterator[str]:
    yield ""
    yield heading("Services")
    if not report.proved:
        yield doubtful("  not looked at: nothing is proved; give them by -f, too, or leave --offline out")
        return
    yield f"  {_summary(report)}"
    shown = [change for change in report.services if wide or change.fate is not Fate.KEEPS or not change.satisfied]
    rows = [
        (change.service, change.before, change.after, fate_cell(change.fate), change.message) for change in shown
    ]
    rows += [(each.service, each.addresses, (), bad("not served"), _left(each)) for each in report.unserved]
    if rows:
        cells = [
            (str(name), listed_addresses(old), listed_addresses(new), word, why)
            for name, old, new, word, why in rows
        ]
        yield from table(["SERVICE", "BEFORE", "AFTER", "", "WHY"], cells, indent="  ")


def _summary(report: MigrationReport) -> str:
    holding = sum(bool(change.before) for change in report.services) + len(report.unserved)
    lost = sum(change.fate.breaks for change in report.services) + len(report.unserved)
    waiting = len(report.services) + len(report.unserved) - holding
    rest = f"; {waiting} without an address now" if waiting else ""
    if lost:
        return bad(f"{lost} of {plural(holding, 'Service')} with an address would not keep it") + rest
    return good(f"{plural(holding, 'Service')} with an address, and every one keeps it") + rest


def _left(unserved: Unserved) -> str:
    if not unserved.load_balancer_class:
        return "it has no spec.loadBalancerClass; leave --no-default-class out"
    name = unserved.load_balancer_class
    return f"its spec.loadBalancerClass is {name}: install for it, and say so here by --load-balancer-class {name}"


def _advice(report: MigrationReport, width: int) -> Iterator[str]:
    if report.aliased:
        yield ""
        yield faint(
            f"{plural(report.aliased, 'Service')} with annotations that are read as they are: nothing to do."
        )
    if report.advice:
        yield ""
        yield heading("Annotations of Services")
    for advice in report.advice:
        subject = f"{advice.service}: {advice.annotation} " if advice.annotation else f"{advice.service} "
        yield from wrapped(f"{subject}{advice.why}", width)
        if advice.command:
            yield f"    {advice.command}"


def _steps(report: MigrationReport, width: int) -> Iterator[str]:
    if not report.steps:
        return
    yield ""
    yield heading("What to do") + faint("  (docs/migrate.md)")
    if not report.keeps_all:
        yield bad("  First see to the Services above, and run this again.")
    for number, step in enumerate(report.steps, start=1):
        yield from wrapped(f"{number}. {step.what}", width)
        for command in step.commands:
            yield f"       {command}"
