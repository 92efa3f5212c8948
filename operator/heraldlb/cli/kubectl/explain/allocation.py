"""The first chapters: what a Service asks for, what each pool answers, and what follows. Pure.

Decided by the controller's own code, on what is held as the controller would adopt it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from heraldlb.allocation.allocator import Grant, Outcome, decide, offer
from heraldlb.allocation.book import BookedPool
from heraldlb.allocation.requests import Request
from heraldlb.api.objects import NamespacedName, text
from heraldlb.api.ranges import Family, IPAddress, family_of
from heraldlb.api.services import Service
from heraldlb.cli.kubectl.services.condition import assigned_condition
from heraldlb.controller.adoption import adopt, owned, request_in
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.cluster import Cluster
from heraldlb.controller.settings import ControllerSettings


@dataclass(frozen=True, slots=True)
class RequestChapter:
    """What the Service asks for."""

    type: str
    families: tuple[Family, ...]
    family_policy: str
    addresses: tuple[IPAddress, ...]
    """By name; empty: any."""
    pool: str
    """By name; empty: any."""
    sharing_key: str
    must_share: bool
    load_balancer_class: str
    """Empty: none."""
    served: bool
    """Whether Herald serves Services of that type and class."""
    problem: str
    """What is contradictory or unreadable in it."""


class Answer(StrEnum):
    """What a pool answers."""

    GAVE = "Gave"
    COULD = "Could"
    REFUSES = "Refuses"
    NOT_ASKED = "NotAsked"


@dataclass(frozen=True, slots=True)
class PoolAnswer:
    """One pool's, for one family."""

    pool: str
    answer: Answer
    reasons: tuple[str, ...]
    """Of a refusal."""
    message: str
    address: IPAddress | None = None
    """What it gave, or could give now."""


@dataclass(frozen=True, slots=True)
class FamilyWalk:
    """The pools in the order in which they are tried."""

    family: Family
    pools: tuple[PoolAnswer, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from the objects as they are now, or what the controller has said."""

    satisfied: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class AllocationChapter:
    """From the request to addresses."""

    walks: tuple[FamilyWalk, ...]
    """Empty where the request cannot be read, or is none of Herald's business."""
    decision: Decision | None
    """None: the Service is not Herald's."""
    said: Decision | None
    """The controller's condition; None: it has not said anything."""
    said_since: str
    """RFC 3339."""

    @property
    def agrees(self) -> bool:
        """Whether the controller has said what follows now. Just after a change it may not have yet."""
        return self.decision == self.said


def request_chapter(service: Service, cluster: Cluster, settings: ControllerSettings) -> RequestChapter:
    """What the Service asks for, as the controller reads it."""
    request = request_in(cluster, service, settings)
    return RequestChapter(
        type=service.type,
        families=request.families,
        family_policy=service.family_policy,
        addresses=request.addresses,
        pool=request.pool,
        sharing_key=request.sharing_key,
        must_share=request.must_share,
        load_balancer_class=service.load_balancer_class or "",
        served=owned(service, settings),
        problem=request.problem,
    )


def allocation_chapter(
    service: Service, cluster: Cluster, settings: ControllerSettings, now: float
) -> AllocationChapter:
    """What the pools answer and what follows. `now`: Unix seconds, for what is kept for a time."""
    condition = assigned_condition(service)
    said = None
    if condition:
        status, reason, message = (text(condition, field) for field in ("status", "reason", "message"))
        said = Decision(status == "True", reason, message)
    since = text(condition, "lastTransitionTime")
    if not owned(service, settings):
        return AllocationChapter((), None, said, since)
    assignments = Assignments()
    assignments.replace_pools(cluster.address_pools())
    adopt(assignments, cluster, settings, now)
    request = request_in(cluster, service, settings)
    outcome = decide(request, assignments.book, assignments.ledger)
    decision = Decision(outcome.satisfied, outcome.reason.value, outcome.message)
    walks = (
        ()
        if request.problem
        else tuple(_walk(request, family, outcome, assignments) for family in request.families)
    )
    return AllocationChapter(walks, decision, said, since)


def _walk(request: Request, family: Family, outcome: Outcome, assignments: Assignments) -> FamilyWalk:
    granted = next((grant for grant in outcome.grants if family_of(grant.address) == family), None)
    return FamilyWalk(
        family, tuple(_answer(booked, request, family, granted, assignments) for booked in assignments.book)
    )


def _answer(
    booked: BookedPool, request: Request, family: Family, granted: Grant | None, assignments: Assignments
) -> PoolAnswer:
    name = booked.pool.name
    if granted is not None and granted.pool == name:
        held = granted.address in assignments.ledger.held_by(request.uid)
        words = f"gave {granted.address}" if held else f"gives {granted.address}"
        return PoolAnswer(name, Answer.GAVE, (), words, granted.address)
    if request.pool and request.pool != name:
        return PoolAnswer(name, Answer.NOT_ASKED, (), f'the Service asks for pool "{request.pool}"')
    found = offer(booked, request, family, assignments.book, assignments.ledger)
    if isinstance(found, Grant):
        words = f"could give {found.address}; a Service keeps the address that it has"
        return PoolAnswer(name, Answer.COULD, (), words, found.address)
    reasons = tuple(dict.fromkeys(verdict.reason.value for verdict in found))
    return PoolAnswer(name, Answer.REFUSES, reasons, "; ".join(verdict.message for verdict in found))


def sharers(addresses: Iterable[IPAddress], cluster: Cluster, service: Service) -> tuple[NamespacedName, ...]:
    """Other Services that hold one of these addresses."""
    records = (cluster.record(address) for address in addresses)
    holders = {holder.service for record in records if record is not None for holder in record.holders}
    return tuple(sorted(holders - {service.id}))
