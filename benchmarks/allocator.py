"""The pure allocator by itself: no API server, no process but this one. Quick, for whoever works on it."""

from __future__ import annotations

import gc
import time
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.rows import Row, Sense
from heraldlb.allocation.requests import Request
from heraldlb.api.addresspool import parse_pool
from heraldlb.api.objects import NamespacedName
from heraldlb.api.serviceaddress import HeldPort, Holder
from heraldlb.cli.interpreter import GC_ALLOCATIONS
from heraldlb.controller.assignments import Assignments

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.context import Context
    from heraldlb.api.ranges import Family

_BURST: Final = 10_000
_BURSTS: Final = 5
_BATCH: Final = 50
"""Decisions measured together, with this many more assigned at the end than at the beginning."""
_ROUNDS: Final = 100
_MICROSECOND: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Setting:
    """So many Services hold an address of one pool when a further one asks."""

    name: str
    pool: str
    family: Family
    assigned: int


_SETTINGS: Final = (
    Setting("100", "10.200.0.0/16", "IPv4", 100),
    Setting("1000", "10.200.0.0/16", "IPv4", 1_000),
    Setting("10000", "10.200.0.0/16", "IPv4", 10_000),
    Setting("60000", "10.200.0.0/16", "IPv4", 60_000),
    Setting("ipv4_24", "10.200.0.0/24", "IPv4", 100),
    Setting("ipv6_64", "fd00:200::/64", "IPv6", 100),
    Setting("ipv6_32", "fd00:200::/32", "IPv6", 100),
)
_RATIOS: Final = (("60000", "100"), ("ipv6_64", "ipv4_24"), ("ipv6_32", "ipv4_24"))
_FLAT: Final = 1.5


def run(context: Context) -> list[Row]:
    """How many decisions a second the allocator makes, and what one costs as more and more is assigned.

    As the controller decides: entered in the ledger, the Service's request already read, garbage collected as
    seldom as there. 10,000 Services fill part
    of a /16; then the cost of one more decision by the number assigned, and in IPv6 pools of any size.
    """
    context.progress("the allocator alone ...")
    with _collecting_seldom():
        rates = [_BURST / _burst() for _ in range(_BURSTS)]
        costs = _costs()
    context.samples["allocator_decisions_per_s"] = rates
    context.samples.update({f"allocator_decision_s_{name}": batches for name, batches in costs.items()})
    typical = {name: median(batches) for name, batches in costs.items()}
    return [
        Row("allocate.decisions_per_s", round(median(rates)), "/s", 50_000, Sense.AT_LEAST),
        *(
            Row(f"allocate.decision_{name}_us", round(cost / _MICROSECOND, 2), "us")
            for name, cost in typical.items()
        ),
        *(
            Row(f"allocate.cost_ratio_{much}_to_{little}", round(typical[much] / typical[little], 2), "", _FLAT)
            for much, little in _RATIOS
        ),
    ]


def requests_of(count: int, family: Family, name: str) -> list[Request]:
    """Requests of so many Services, named after `name`, for any address of the family."""
    services = (NamespacedName("default", f"{name}-{number:05}") for number in range(count))
    ports = (HeldPort("TCP", 80),)
    return [Request(Holder(service, f"uid-{service.name}", ports), families=(family,)) for service in services]


def assignments_of(pool: str) -> Assignments:
    """Nothing assigned yet, with one pool of this CIDR or range."""
    made = Assignments()
    made.replace_pools([parse_pool({"metadata": {"name": "bench"}, "spec": {"addresses": [pool]}})])
    return made


def decide(assignments: Assignments, requests: Iterable[Request]) -> float:
    """Seconds of processor time for all, which a busy machine hardly lengthens. Raises ValueError on a refusal."""
    begun = time.process_time()
    for request in requests:
        outcome = assignments.decide(request).outcome
        if not outcome.satisfied:
            raise ValueError(outcome.message)
    return time.process_time() - begun


@contextmanager
def _collecting_seldom() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(GC_ALLOCATIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _burst() -> float:
    return decide(assignments_of("10.200.0.0/16"), requests_of(_BURST, "IPv4", "burst"))


def _costs() -> dict[str, list[float]]:
    """Seconds for one decision, batch by batch; the settings take turns, so that drift meets all alike."""
    prepared: list[tuple[Setting, Assignments, list[Request]]] = []
    for setting in _SETTINGS:
        assignments = assignments_of(setting.pool)
        decide(assignments, requests_of(setting.assigned, setting.family, "present"))
        prepared.append((setting, assignments, requests_of(_BATCH, setting.family, "further")))
    costs: dict[str, list[float]] = {setting.name: [] for setting in _SETTINGS}
    for _ in range(_ROUNDS):
        for setting, assignments, requests in prepared:
            costs[setting.name].append(decide(assignments, requests) / _BATCH)
            undo(assignments, requests)
    return costs


def undo(assignments: Assignments, requests: Iterable[Request]) -> None:
    """Take the Services off the addresses that they were given."""
    now = time.time()
    for request in requests:
        assignments.leave(request.uid, tuple(assignments.ledger.held_by(request.uid)), now)
