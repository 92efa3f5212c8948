"""What this node has to tell its peers about single addresses, in datagrams of bounded size and some copies. No
I/O."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import CLAIM_COPIES_AFTER, CLAIMS_PER_MESSAGE

TermOf = Callable[[IPAddress], int | None]
"""The term of an address, or None where there is nothing to tell of it."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What one datagram tells one peer."""

    peer: str
    claims: Mapping[IPAddress, int] = field(default_factory=dict)
    """Addresses that the sender owns, each with its term."""
    ceded: Mapping[IPAddress, int] = field(default_factory=dict)
    """Addresses that the sender answers for and does not take to be its own, each with its term."""


@dataclass(frozen=True, slots=True, order=True)
class _Copy:
    due: float
    number: int
    peer: str = field(compare=False)
    ceding: bool = field(compare=False)
    addresses: tuple[IPAddress, ...] = field(compare=False)
    sent: int = field(compare=False, default=0)


class Letters:
    """The letters under way. What is no longer true when a copy is due is left out of it."""

    def __init__(self) -> None:
        self._fresh: dict[tuple[str, bool], dict[IPAddress, None]] = {}
        self._queue: list[_Copy] = []
        self._numbers = count()

    def claim(self, peer: str, addresses: Iterable[IPAddress]) -> None:
        """Tell the peer that these are this node's."""
        self._add(peer, False, addresses)

    def cede(self, peer: str, addresses: Iterable[IPAddress]) -> None:
        """Ask the peer to take these over, if they are its own."""
        self._add(peer, True, addresses)

    def due(self, now: float, claimed: TermOf, ceded: TermOf) -> Iterator[Letter]:
        """The letters to send now, with the terms of what is still claimed or ceded then."""
        for (peer, ceding), found in self._fresh.items():
            addresses = tuple(found)
            for start in range(0, len(addresses), CLAIMS_PER_MESSAGE):
                part = addresses[start : start + CLAIMS_PER_MESSAGE]
                heapq.heappush(self._queue, _Copy(now, next(self._numbers), peer, ceding, part))
        self._fresh = {}
        while self._queue and self._queue[0].due <= now:
            copy = heapq.heappop(self._queue)
            if copy.sent + 1 < len(CLAIM_COPIES_AFTER):
                gap = CLAIM_COPIES_AFTER[copy.sent + 1] - CLAIM_COPIES_AFTER[copy.sent]
                again = _Copy(now + gap, next(self._numbers), copy.peer, copy.ceding, copy.addresses, copy.sent + 1)
                heapq.heappush(self._queue, again)
            term_of = ceded if copy.ceding else claimed
            if terms := {each: term for each in copy.addresses if (term := term_of(each)) is not None}:
                yield Letter(copy.peer, ceded=terms) if copy.ceding else Letter(copy.peer, claims=terms)

    def next_due(self) -> float | None:
        """When `due` has something, or None; fresh letters are due at once."""
        if self._fresh:
            return float("-inf")
        return self._queue[0].due if self._queue else None

    def clear(self) -> None:
        """Tell nobody anything."""
        self._fresh = {}
        self._queue = []

    def _add(self, peer: str, ceding: bool, addresses: Iterable[IPAddress]) -> None:
        fresh = dict.fromkeys(addresses)
        if fresh:
            self._fresh.setdefault((peer, ceding), {}).update(fresh)
