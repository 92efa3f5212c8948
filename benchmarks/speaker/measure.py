"""The benchmark's frame: its parts in turn, and their rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.speaker import failover, handover, latency, membership, shop, stability
from benchmarks.speaker.causes import CAUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from benchmarks.context import Context
    from benchmarks.rows import Row


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    trials: int = 50
    """Failures of each cause."""
    causes: Sequence[str] = tuple(CAUSES)
    partitions: int = 20
    changes: int = 3
    """Planned changes of each kind."""
    minutes: float = stability.DEFAULT_MINUTES
    """Of stability, in each condition."""


def run(context: Context) -> list[Row]:
    """Failover, heal, planned handover, ARP latency, membership at 100 nodes, stability.

    Raises LabError.
    """
    return measure(PARTS, Extent(), context)


def measure(parts: Sequence[str], extent: Extent, context: Context) -> list[Row]:
    """Some of the parts. Raises LabError."""
    return [row for part in parts for row in _PARTS[part](extent, context)]


def _failover(extent: Extent, context: Context) -> list[Row]:
    found = failover.run(extent.causes, extent.trials, extent.partitions, context.progress)
    context.samples["failover"] = failover.samples(found)
    return failover.rows(found)


def _latency(extent: Extent, context: Context) -> list[Row]:
    del extent
    found = latency.run(context.progress)
    for condition, by_subject in (("idle", found.idle), ("flooded", found.flooded)):
        context.samples.update({f"arp, {condition}, {name}": seconds for name, seconds in by_subject.items()})
    return latency.rows(found)


def _membership(extent: Extent, context: Context) -> list[Row]:
    del extent
    return membership.run(context)


def _product(extent: Extent, context: Context, *, stable: bool = True, changing: bool = True) -> list[Row]:
    """What needs all of Herald in a cluster. Stability first, so that no change made before moves anything."""
    rows: list[Row] = []
    with shop.opened(context.progress) as opened:
        if stable:
            watches = stability.run(opened, extent.minutes, context.progress)
            context.samples["stability"] = stability.samples(watches)
            rows += stability.rows(watches)
        if changing:
            changes = handover.run(opened, extent.changes, context.progress)
            context.samples["handover"] = handover.samples(changes)
            rows += handover.rows(changes)
    return rows


def _stability(extent: Extent, context: Context) -> list[Row]:
    return _product(extent, context, changing=False)


def _handover(extent: Extent, context: Context) -> list[Row]:
    return _product(extent, context, stable=False)


_PARTS: Final[Mapping[str, Callable[[Extent, Context], list[Row]]]] = {
    "failover": _failover,
    "arp": _latency,
    "membership": _membership,
    "product": _product,
    "stability": _stability,
    "handover": _handover,
}
PARTS: Final = ("failover", "arp", "membership", "product")
"""All there is; `product` is stability and handover in one cluster."""
BY_HAND: Final = tuple(name for name in _PARTS if name != "product")
"""The parts as they are measured one at a time."""
