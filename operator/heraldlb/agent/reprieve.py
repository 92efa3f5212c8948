"""Telling a node whose agent alone is dead from a dead node, in the time that it takes to tell. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

GRACE: Final = 90.0
"""Seconds for which the API server must go on calling a lost node Ready before that is believed. The node
controller finds a dead node after 40 or 50 s without a word from its kubelet (`--node-monitor-grace-period` of
kube-controller-manager)."""

PERIOD: Final = 10.0
"""Seconds between two looks at it. A server that does not answer cannot vouch for anybody."""


class Reprieves:
    """Lost nodes for which the API server vouches. Times are seconds on a monotonic clock."""

    def __init__(self) -> None:
        self._vouched: dict[str, float] = {}

    def dead(
        self, now: float, lost: AbstractSet[str], ready: AbstractSet[str], *, answered: bool | None = None
    ) -> frozenset[str]:
        """The lost nodes that may be dead, for all that is known.

        `ready`: who is Ready by the mirror. `answered`: whether the API server, which fills it, answered just now;
        None where it was not asked.
        """
        vouched = {name: since for name, since in self._vouched.items() if name in lost & ready}
        spared = {name for name, since in vouched.items() if now - since >= GRACE}
        if answered:
            vouched = {name: vouched.get(name, now) for name in lost & ready}
        elif answered is False:
            # Once believed, a node that nobody hears is believed until somebody says otherwise.
            vouched = {name: vouched[name] for name in spared}
        self._vouched = vouched
        return frozenset(lost - spared)
