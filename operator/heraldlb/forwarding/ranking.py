"""Who serves which slot of a frontend, and who may know its older connections: rendezvous hashing (highest random
weight, Thaler and Ravishankar 1998). Pure.

A connection's slot is a hash of its client, the same on every node. For each slot all endpoints have an order of
their own, which depends on nothing but their addresses, ports and weights. So an endpoint that goes takes its own
slots along and no others, and one that comes takes slots and moves none between others. And whoever had a slot
before is near the top of its order still: nobody has to remember.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_128
from itertools import islice
from math import log
from sys import byteorder
from typing import Final, NamedTuple

from heraldlb.forwarding.model import Backend, Candidate

SLOTS: Final = 4_093
"""As many as Maglev's table has: a share is even within 2 % for three endpoints and within 9 % for thirty, by one
standard deviation."""

RING: Final = 3
"""Nodes that may know a connection."""


class Seat(NamedTuple):
    """One slot."""

    backend: Backend | None
    """Where new connections go; None: no endpoint takes any."""
    ring: tuple[str, ...]
    """The nodes that may know a connection of this slot, the one of `backend` first; at most RING of them."""


@dataclass(frozen=True, slots=True)
class Seating:
    """Every slot's seat. Few endpoints have few orders, so that most slots share their seat with others."""

    kinds: tuple[Seat, ...]
    places: array[int]
    """For each slot, which of `kinds` is its seat."""

    def __iter__(self) -> Iterator[Seat]:
        """Slot by slot."""
        return map(self.kinds.__getitem__, self.places)


@lru_cache(maxsize=1024)
def seats(candidates: tuple[Candidate, ...], slots: int = SLOTS) -> Seating:
    """Every slot's seat; none without candidates. The order in which candidates are given does not matter.

    Next to the node that gets new connections come the best terminating endpoint's, which had the slot until its
    own end began, and then the best others', which had it before an endpoint was added, or lost readiness.
    """
    ranked = sorted(candidates, key=lambda candidate: candidate.backend.key)
    weighted = len({each.weight for each in ranked}) > 1
    columns = [_column(candidate, slots, weighted=weighted) for candidate in ranked]
    everyone = range(len(ranked))
    known: dict[tuple[int, ...], int] = {}
    kinds: dict[Seat, int] = {}
    places = array("H")
    for scores in zip(*columns, strict=True):
        order = tuple(sorted(everyone, key=scores.__getitem__, reverse=True))
        if (kind := known.get(order)) is None:
            kind = known[order] = kinds.setdefault(_seat([ranked[each] for each in order]), len(kinds))
        places.append(kind)
    return Seating(tuple(kinds), places)


def _seat(order: Sequence[Candidate]) -> Seat:
    first = next((each for each in order if each.eligible), order[0])
    leaving = next((each for each in order if each.terminating), first)
    nodes = dict.fromkeys((first.node, leaving.node, *(each.node for each in order)))
    return Seat(first.backend if first.eligible else None, tuple(islice(nodes, RING)))


def _column(candidate: Candidate, slots: int, *, weighted: bool) -> Sequence[float]:
    scores = _scores(candidate.backend, slots)
    if not weighted:
        return scores
    # Grows with the score, so that endpoints of equal weight keep their order (the logarithmic method).
    return [-candidate.weight / log((score + 1) / (_SPAN + 1)) for score in scores]


_SPAN: Final = 1 << 64


@lru_cache(maxsize=256)
def _scores(backend: Backend, slots: int) -> array[int]:
    identity = backend.address.packed + backend.port.to_bytes(2)
    scores = array("Q", shake_128(identity).digest(slots * 8))
    if byteorder == "big":
        scores.byteswap()
    return scores
