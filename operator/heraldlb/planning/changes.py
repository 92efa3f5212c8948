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
    before: tuple[IPAddress, ...]
    after: tuple[IPAddress, ...]
    pools: tuple[str, ...]
    """The pools of the addresses after, in their order."""
    message: str
    """What its condition will say."""
    satisfied: bool
    """Whether it has everything that it asks for."""

    @property
    def fate(self) -> Fate:
        """In one word."""
        if set(self.before) - set(self.after):
            return Fate.MOVES if set(self.after) - set(self.before) else Fate.LOSES
        if set(self.after) - set(self.before):
            return Fate.GETS
        return Fate.KEEPS if self.after else Fate.WAITS


def change_of(service: NamespacedName, before: tuple[IPAddress, ...], outcome: Outcome) -> Change:
    """From what a Service has now and what would be decided."""
    return Change(
        service,
        before,
        tuple(grant.address for grant in outcome.grants),
        tuple(grant.pool for grant in outcome.grants),
        outcome.message,
        outcome.satisfied,
    )
