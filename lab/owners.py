"""Who answered for an address when, read from what a host on the LAN heard. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations, pairwise, product
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PAUSE: Final = 0.1
"""Seconds without an answer after which a host that answers again has begun anew. Longer than questions are apart,
so that one that was lost does not make two spells of one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to a question about one address."""

    time: float
    mac: str


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which something went on without a pause, in seconds of the answers' clock."""

    begun: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


def spells(answers: Iterable[Answer], pause: float = PAUSE) -> dict[str, list[Spell]]:
    """Of every host, the times in which it answered."""
    by_mac: dict[str, list[float]] = defaultdict(list)
    for answer in answers:
        by_mac[answer.mac].append(answer.time)
    return {mac: _spells(sorted(times), pause) for mac, times in by_mac.items()}


def contested(answers: Iterable[Answer], pause: float = PAUSE) -> list[Spell]:
    """The times in which two hosts answered for the address."""
    pairs = combinations(spells(answers, pause).values(), 2)
    overlaps = (
        Spell(max(mine.begun, other.begun), min(mine.ended, other.ended))
        for one, another in pairs
        for mine, other in product(one, another)
    )
    return [each for each in overlaps if each.seconds > 0]


def unanswered(answers: Iterable[Answer]) -> list[Spell]:
    """The times between one answer and the next, whoever gave them."""
    times = sorted(answer.time for answer in answers)
    return [Spell(earlier, later) for earlier, later in pairwise(times)]


def two_owners(answers: Iterable[Answer], pause: float = PAUSE) -> float:
    """The longest time, in seconds, in which two hosts answered for the address."""
    return max((each.seconds for each in contested(answers, pause)), default=0.0)


def moves(answers: Sequence[Answer]) -> int:
    """How often another host answered than the last time."""
    return sum(one.mac != other.mac for one, other in pairwise(answers))


def _spells(times: Sequence[float], pause: float) -> list[Spell]:
    breaks = [index for index, (one, other) in enumerate(pairwise(times), 1) if other - one > pause]
    return [Spell(times[begin], times[end - 1]) for begin, end in pairwise([0, *breaks, len(times)])]
