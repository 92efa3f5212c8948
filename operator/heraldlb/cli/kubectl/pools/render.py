"""Pools as a table. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from heraldlb.cli.kubectl.ages import age
from heraldlb.cli.kubectl.output import cell
from heraldlb.cli.kubectl.pools.report import PoolReport, PoolsReport, Usage
from heraldlb.cli.kubectl.style import bad, doubtful, good
from heraldlb.cli.kubectl.tables import table

BAR = 20
"""Characters of a usage bar."""

NEARLY_FULL = 0.85
"""Use from which on a bar warns."""

NO_POOL = "There is no AddressPool: create one that lists addresses of your network which nobody else uses."


def render(report: PoolsReport, wide: bool, width: int) -> Iterator[str]:
    """Lines of `kubectl herald pools`."""
    if not report.pools:
        yield doubtful(NO_POOL)
        return
    yield from pool_table(report, wide)
    for pool in report.pools:
        for problem in pool.problems:
            yield f'{doubtful("!")} pool "{pool.name}": {problem.message}'


def pool_table(report: PoolsReport, wide: bool = False, indent: str = "") -> list[str]:
    """One line a pool and family."""
    head = ["POOL", "ASSIGNMENT", "FAMILY", "USED", "", "FREE", "QUARANTINED", "AGE"]
    extra = ["PRIORITY", "ADDRESSES"] if wide else []
    rows = []
    for pool in report.pools:
        own = [str(pool.priority), ", ".join(pool.addresses)] if wide else []
        for index, usage in enumerate(pool.usage or (None,)):
            name, assignment = (pool.name, pool.assignment) if index == 0 else ("", "")
            last = [cell(str(len(pool.quarantined)) if pool.quarantined else ""), age(pool.created, report.now)]
            figures = _figures(pool, usage)
            rows.append(
                [name, assignment, *figures, *(last if index == 0 else ["", ""]), *(own if index == 0 else [])]
            )
    return table([*head, *extra], rows, indent=indent)


def _figures(pool: PoolReport, usage: Usage | None) -> list[str]:
    if usage is None:
        return ["-", "" if pool.counted else doubtful("not counted yet"), "-", "-"]
    used = f"{usage.assigned} of {_large(usage.capacity)}"
    return [usage.family, bar(usage), used, _large(usage.available)]


def bar(usage: Usage) -> str:
    """`█████···············`: what is not available counts as used."""
    share = 1 - usage.available / usage.capacity if usage.capacity else 1.0
    filled = min(BAR, max(round(share * BAR), 1 if usage.assigned else 0))
    colour = bad if not usage.available else doubtful if share >= NEARLY_FULL else good
    return colour("█" * filled) + "·" * (BAR - filled)


def _large(count: int) -> str:
    """Exact up to a million; an IPv6 pool has more than anybody reads."""
    return str(count) if count < 1_000_000 else f"{count:.1e}".replace("e+", "e")
