"""What becomes of each Service's addresses, said in one word and a reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from heraldlb.allocation.allocator import Outcome
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress


class Fate(StrEnum):
    """What becomes of a Service's addresses."""

    KEEPS = "keeps"
    GETS = "gets"
    MOVES = "moves"
    LOSES = "loses"
    WAITS = "waits"

    @property
    def breaks(self) -> bool:
        """Whether clients that know an address of the Service are turned away."""
        return self in (Fate.MOVES, Fate.LOSES)


@dataclass(frozen=True, slots=True)
class Change:
    """One Service before and after."""

    service: NamespacedName
    fate: Fate
    before: tuple[IPAddress, ...]
    after: tuple[IPAddress, ...]
    pools: tuple[str, ...]
    """The pools of the addresses after, in their order."""
    satisfied: bool
    """Whether it has everything that it asks for."""
    message: str
    """What its condition will say."""


def change_of(service: NamespacedName, before: tuple[IPAddress, ...], outcome: Outcome) -> Change:
    """From what a Service has now and what would be decided."""
    after = tuple(grant.address for grant in outcome.grants)
    pools = tuple(grant.pool for grant in outcome.grants)
    return Change(service, fate_of(before, after), before, after, pools, outcome.satisfied, outcome.message)


def fate_of(before: tuple[IPAddress, ...], after: tuple[IPAddress, ...]) -> Fate:
    """In one word; the order of addresses does not matter."""
    gone, new = set(before) - set(after), set(after) - set(before)
    if gone:
        return Fate.MOVES if new else Fate.LOSES
    if new:
        return Fate.GETS
    return Fate.KEEPS if after else Fate.WAITS
