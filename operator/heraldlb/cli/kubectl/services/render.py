"""Services as a table. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from heraldlb.cli.kubectl.ages import age
from heraldlb.cli.kubectl.output import cell
from heraldlb.cli.kubectl.services.report import WRONG, ServiceReport, ServicesReport, State
from heraldlb.cli.kubectl.style import bad, doubtful, faint, good
from heraldlb.cli.kubectl.tables import table

NONE = "There is no Service of type LoadBalancer."


def render(report: ServicesReport, wide: bool, width: int) -> Iterator[str]:
    """Lines of `kubectl herald services`."""
    if not report.services:
        yield NONE
        return
    head = ["NAMESPACE", "NAME", "STATE", "ADDRESSES", "NODE", "REASON", "AGE"]
    extra = ["POOL", "INTERFACE", "ANNOUNCED", "PORTS", "MESSAGE"] if wide else []
    yield from table([*head, *extra], (_row(each, report.now, wide) for each in report.services))


def _row(report: ServiceReport, now: float, wide: bool) -> list[str]:
    addresses = report.addresses
    row = [
        report.service.namespace,
        report.service.name,
        coloured(report.state),
        cell(",".join(str(each.address) for each in addresses)),
        cell(",".join(dict.fromkeys(each.node for each in addresses if each.node))),
        cell(report.reason if report.state in WRONG else ""),
        age(report.created, now),
    ]
    if not wide:
        return row
    return [
        *row,
        cell(",".join(dict.fromkeys(each.pool for each in addresses if each.pool))),
        cell(",".join(dict.fromkeys(each.interface for each in addresses if each.interface))),
        cell(",".join(age(each.since, now) for each in addresses if each.since)),
        cell(",".join(report.ports)),
        cell(report.message if report.state in WRONG else ""),
    ]


def coloured(state: State) -> str:
    """The state, in a colour that says how it is."""
    match state:
        case State.ANNOUNCED:
            return good(state)
        case State.PENDING:
            return doubtful(state)
        case State.FOREIGN:
            return faint(state)
        case _:
            return bad(state)
