"""How full each pool is, from what the controller has written about it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from heraldlb.api.addresspool import AddressPool
from heraldlb.api.objects import Raw, entries, mapping, number, sequence, text
from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.cli.kubectl.snapshot import Snapshot, controller_view
from heraldlb.controller.cluster import WithStatus

READY: Final = "Ready"
"""The condition of a pool whose entries all count."""

_WRONG: Final[Mapping[str, str]] = {READY: "False", "Overlapping": "True", "Exhausted": "True"}
"""Conditions with the status that is worth telling."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Addresses of one family. `available` is what a Service that asks for none in particular may get."""

    family: Family
    capacity: int
    assigned: int
    available: int


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a pool."""

    kind: str
    """The type of the condition that says so."""
    message: str


@dataclass(frozen=True, slots=True)
class PoolReport:
    """One pool."""

    name: str
    assignment: str
    priority: int
    addresses: tuple[str, ...]
    usage: tuple[Usage, ...]
    """Of the families that it serves."""
    quarantined: tuple[str, ...]
    problems: tuple[Problem, ...]
    counted: bool
    """Whether the controller has seen it as it is now; without that there are no figures, or those from before."""
    created: str
    """RFC 3339."""


@dataclass(frozen=True, slots=True)
class PoolsReport:
    """Every pool, in the order in which they are tried."""

    pools: tuple[PoolReport, ...]
    now: float
    """Unix seconds."""

    @property
    def is_wrong(self) -> bool:
        """Whether a pool has an entry that cannot be used. That one is full is no fault of its own."""
        return any(problem.kind == READY for pool in self.pools for problem in pool.problems)


def pools_report(snapshot: Snapshot) -> PoolsReport:
    """The report of a snapshot with `pools`."""
    specs = {text(raw, "metadata", "name"): mapping(raw, "spec") for raw in snapshot.pools}
    view = controller_view(Snapshot(snapshot.now, pools=snapshot.pools))
    pools = sorted(view.pools.values(), key=lambda pool: pool.spec.order)
    return PoolsReport(tuple(_pool(pool, specs[pool.spec.name]) for pool in pools), snapshot.now)


def _pool(pool: WithStatus[AddressPool], spec: Raw) -> PoolReport:
    status = pool.status
    usage = (
        Usage(family, *(number(status, family.lower(), field) for field in ("capacity", "assigned", "available")))
        for family in FAMILIES
    )
    return PoolReport(
        name=pool.spec.name,
        assignment=pool.spec.assignment,
        priority=pool.spec.priority,
        addresses=tuple(map(str, sequence(spec, "addresses"))),
        usage=tuple(each for each in usage if each.capacity or each.assigned),
        quarantined=tuple(text(entry, "address") for entry in entries(status, "quarantined")),
        problems=tuple(_problems(status)),
        counted=number(status, "observedGeneration") >= pool.spec.generation,
        created=pool.spec.created,
    )


def _problems(status: Raw) -> list[Problem]:
    return [
        Problem(text(condition, "type"), text(condition, "message"))
        for condition in entries(status, "conditions")
        if _WRONG.get(text(condition, "type")) == text(condition, "status")
    ]
