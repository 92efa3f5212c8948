"""A plan as text. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from heraldlb.cli.kubectl.fates import fate_cell, listed_addresses
from heraldlb.cli.kubectl.output import plural
from heraldlb.cli.kubectl.plan.reach import Reach, ReachChange
from heraldlb.cli.kubectl.plan.report import PlanReport, PoolOutlook
from heraldlb.cli.kubectl.style import bad, doubtful, good, heading
from heraldlb.cli.kubectl.tables import table
from heraldlb.cli.kubectl.text import wrapped
from heraldlb.planning.changes import Change, Fate

NODES_LISTED = 8
"""How many nodes a line names; the rest are counted."""


def render(report: PlanReport, wide: bool, width: int) -> Iterator[str]:
    """Lines of `kubectl herald plan`."""
    yield from _edits(report, width)
    yield ""
    yield heading("Services")
    yield from _services(report.services, wide)
    if report.reach:
        yield ""
        yield heading("Announcing")
        yield from _announcing(report.reach, width)
    for why in report.unread.values():
        yield doubtful(f"! {why}")


def _edits(report: PlanReport, width: int) -> Iterator[str]:
    pools = {pool.name: pool for pool in report.pools}
    for edit in report.edits:
        yield heading(f"{edit.kind} {edit.name}") + f": {bad('refused') if edit.refused else edit.action}"
        if edit.refused:
            yield from wrapped(edit.refused, width)
        elif edit.kind == "AddressPool" and edit.name in pools:
            yield from _pool(pools[edit.name], width)
        elif edit.kind == "L2Announcement" and edit.name in report.announcements:
            yield from wrapped(f"! {report.announcements[edit.name]}", width)


def _pool(pool: PoolOutlook, width: int) -> Iterator[str]:
    for family, capacity in pool.capacity.items():
        figures = f"{pool.assigned[family]} assigned, {pool.available[family]} free"
        yield f"  {family}: {plural(capacity, 'address', 'addresses')}, {figures}"
    for problem in pool.problems:
        yield from wrapped(f"! {problem}", width)


def _services(services: Iterable[Change], wide: bool) -> Iterator[str]:
    listed = list(services)
    counts = Counter(change.fate for change in listed)
    summary = ", ".join(f"{counts[fate]} {_said(fate, counts[fate])}" for fate in Fate if counts[fate])
    yield f"  {summary}" if listed else "  there is none of type LoadBalancer"
    order = {fate: place for place, fate in enumerate((Fate.LOSES, Fate.MOVES, Fate.WAITS, Fate.GETS, Fate.KEEPS))}
    shown = [each for each in listed if wide or each.fate is not Fate.KEEPS or not each.satisfied]
    rows = [
        [
            str(each.service),
            listed_addresses(each.before),
            listed_addresses(each.after),
            fate_cell(each.fate),
            each.message,
        ]
        for each in sorted(shown, key=lambda each: (order[each.fate], each.service))
    ]
    if rows:
        yield from table(["SERVICE", "BEFORE", "AFTER", "", "WHY"], rows, indent="  ")
    elif listed:
        yield "  " + good("nothing changes for any of them")


def _said(fate: Fate, count: int) -> str:
    """`1 keeps`, `2 keep`."""
    return fate.value if count == 1 else fate.value.removesuffix("s")


def _announcing(changes: Iterable[ReachChange], width: int) -> Iterator[str]:
    for change in changes:
        services = ", ".join(map(str, change.services))
        yield f"  {change.address} ({services})"
        if change.before is not None:
            yield from wrapped(f"  before: {_reach(change.before)}", width)
        line = f"  after:  {_reach(change.after)}"
        yield from wrapped(bad(line) if change.silenced or not change.after.nodes else line, width)


def _reach(reach: Reach) -> str:
    nodes = ", ".join(reach.nodes[:NODES_LISTED])
    if more := len(reach.nodes) - NODES_LISTED:
        nodes += f" and {more} more" if more > 0 else ""
    parts = [f"from {nodes}" if nodes else "by no node"]
    if reach.interfaces.include:
        parts.append(f"on {', '.join(reach.interfaces.include)}")
    if reach.interfaces.exclude:
        parts.append(f"not on {', '.join(reach.interfaces.exclude)}")
    if reach.per_client:
        parts.append("shared by clients")
    if reach.policies:
        parts.append(f"({', '.join(reach.policies)})")
    return " ".join(parts)
