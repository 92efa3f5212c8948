"""Which peers are gone without a goodbye: dead with their nodes, as far as anybody can tell at once. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from heraldlb.speaker.standing import Standing

_UNKNOWING = frozenset({Standing.JOINING, Standing.ISOLATED})


@dataclass(frozen=True, slots=True)
class Outlook:
    """The peers as this node sees them."""

    alive: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()
    """Those that lived, and then fell silent. Not one that said goodbye, as an agent does for an upgrade, nor one
    never heard, as on a node that runs no agent. Empty while this node joins or is isolated: then it may be itself
    that was away or is cut off."""


class Losses:
    """Remembers who lived."""

    def __init__(self) -> None:
        self._lived: AbstractSet[str] = frozenset()
        self.count = 0
        """Times a peer was lost."""
        self._outlook = Outlook()

    def update(
        self, standing: Standing, peers: AbstractSet[str], alive: AbstractSet[str], departed: AbstractSet[str]
    ) -> Outlook:
        """Take in who lives of `peers`, and who said goodbye last."""
        self._lived = ((self._lived | alive) & peers) - (departed - alive)
        lost = frozenset() if standing in _UNKNOWING else frozenset(self._lived - alive)
        self.count += len(lost - self._outlook.lost)
        self._outlook = Outlook(frozenset(alive), lost)
        return self._outlook
