"""Which scheduler and weights a Service asks for: its annotations, read. Pure.

The names are those of IPVS (ipvsadm(8)), so that people find what they know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from heraldlb.api.group import NODE_WEIGHTS_ANNOTATION, SCHEDULER_ANNOTATION, WEIGHT_LABEL
from heraldlb.api.nodes import Node
from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.api.services import Service
from heraldlb.forwarding.model import Objection

MAX_WEIGHT: Final = 100
QUOTED: Final = 60
"""Characters of what a user wrote that a message quotes."""


class Scheduler(StrEnum):
    """How the connections of a Service are spread over its endpoints."""

    RANDOM = "random"
    ROUND_ROBIN = "rr"
    WEIGHTED_RANDOM = "weighted"
    WEIGHTED_ROUND_ROBIN = "wrr"
    SOURCE_HASH = "sh"
    DESTINATION_HASH = "dh"
    MAGLEV = "maglev"
    LEAST_CONNECTIONS = "lc"
    WEIGHTED_LEAST_CONNECTIONS = "wlc"

    @property
    def weighs(self) -> bool:
        """Whether the weights of nodes count."""
        return self not in _WEIGHTLESS

    @property
    def counts(self) -> bool:
        """Whether open connections are counted for it."""
        return self in _COUNTING


_WEIGHTLESS: Final = frozenset({Scheduler.RANDOM, Scheduler.ROUND_ROBIN, Scheduler.LEAST_CONNECTIONS})
_COUNTING: Final = frozenset({Scheduler.LEAST_CONNECTIONS, Scheduler.WEIGHTED_LEAST_CONNECTIONS})

ALIASES: Final[Mapping[str, Scheduler]] = MappingProxyType({"mh": Scheduler.MAGLEV})

_ONE_BY_ONE: Final = "compares the endpoints' connections for each new one, which nftables cannot; write wlc"
_LOCALITY: Final = "is for caches behind many destination addresses, which a Service has not; write maglev or dh"
_OVERFLOW: Final = (
    "fills one endpoint before the next, which nftables cannot; write weighted and heraldlb.io/node-weights"
)
UNAVAILABLE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "lblc": _LOCALITY,
        "lblcr": _LOCALITY,
        "sed": _ONE_BY_ONE,
        "nq": _ONE_BY_ONE,
        "fo": _OVERFLOW,
        "ovf": _OVERFLOW,
    }
)
"""Schedulers of IPVS that nftables could only pretend to have: why, and what to write instead."""


class SchedulingError(ValueError):
    """A name or weight that cannot be used; the message says why and what to write instead."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the annotations of a Service ask for."""

    scheduler: Scheduler | None = None
    """None: the cluster's default."""
    weights: Mapping[str, int] = field(default_factory=dict)
    """By node; they win over the nodes' labels."""
    objections: tuple[Objection, ...] = ()


_NONE: Final = Wishes()


def wishes_of(service: Service) -> Wishes:
    """What the Service asks for; what cannot be used counts as not written, and is objected to."""
    scheduler = service.annotations.get(SCHEDULER_ANNOTATION)
    weights = service.annotations.get(NODE_WEIGHTS_ANNOTATION)
    return _NONE if scheduler is None and weights is None else _read(scheduler or "", weights or "")


def scheduler_named(name: str) -> Scheduler:
    """The scheduler of that name or alias. Raises SchedulingError."""
    wanted = name.strip().lower()
    if wanted in ALIASES:
        return ALIASES[wanted]
    try:
        return Scheduler(wanted)
    except ValueError:
        pass
    why = UNAVAILABLE.get(wanted, f"is not known; write one of {', '.join(Scheduler)}")
    raise SchedulingError(f'"{name.strip()[:QUOTED]}" {why}')


def weights_of(nodes: Iterable[Node]) -> tuple[dict[str, int], dict[NamespacedName, Objection]]:
    """By the nodes' names, where it is not 1, and what is objected to. A label that is no weight counts as 1."""
    weights: dict[str, int] = {}
    objections: dict[NamespacedName, Objection] = {}
    for node in nodes:
        try:
            if (weight := labelled_weight(node.labels)) != 1:
                weights[node.name] = weight
        except SchedulingError as error:
            message = f"label {WEIGHT_LABEL}: {error}; it counts as 1"
            objections[NamespacedName("", node.name)] = Objection(Reason.INVALID_NODE_WEIGHT, message)
    return weights, objections


def labelled_weight(labels: Mapping[str, str]) -> int:
    """The weight that a node's label says; 1 where there is none. Raises SchedulingError."""
    text = labels.get(WEIGHT_LABEL)
    return 1 if text is None else _weight(text)


@lru_cache(maxsize=256)
def _read(scheduler_text: str, weights_text: str) -> Wishes:
    objections: list[Objection] = []
    scheduler: Scheduler | None = None
    weights: dict[str, int] = {}
    if scheduler_text.strip():
        try:
            scheduler = scheduler_named(scheduler_text)
        except SchedulingError as error:
            objections.append(Objection(Reason.SCHEDULER_REFUSED, f"{SCHEDULER_ANNOTATION}: {error}"))
    bad: list[str] = []
    for entry in filter(None, map(str.strip, weights_text.split(","))):
        node, _, text = entry.partition("=")
        try:
            weights[node.strip()] = _weight(text)
        except SchedulingError:
            bad.append(entry)
            weights[node.strip()] = 1
    if bad:
        others = f", and so do {len(bad) - 1} more" if bad[1:] else ""
        message = (
            f'{NODE_WEIGHTS_ANNOTATION}: "{bad[0][:QUOTED]}" is not NODE=WEIGHT with a weight from 0 to'
            f" {MAX_WEIGHT}, as in node-1=3,node-2=1; it counts as 1{others}"
        )
        objections.append(Objection(Reason.INVALID_WEIGHT, message))
    return Wishes(scheduler, MappingProxyType(weights), tuple(objections))


def _weight(text: str) -> int:
    digits = text.strip()
    if digits.isascii() and digits.isdigit() and len(digits) <= 3 and int(digits) <= MAX_WEIGHT:
        return int(digits)
    raise SchedulingError(f'"{digits[:QUOTED]}" is not a weight; write a number from 0 to {MAX_WEIGHT}')
