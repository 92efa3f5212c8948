"""Whom a node of a large cluster exchanges heartbeats with: the nearest live node on either side of a ring.

The ring is the order of the nodes' `node_id`, the same everywhere. A neighbour that falls silent is not waited for:
long before it is given up, the node asks further and further on its side until somebody answers, so that however
many die at once the survivors stay linked. The dead between a node and its neighbours are asked in turn, which is
how a cut that heals is noticed. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from typing import Final

from heraldlb.speaker.constants import SEEK_DEAD, SEEK_FACTOR, TURNOVER
from heraldlb.speaker.messages import node_id

# A silent neighbour and the one behind it.
_NEAREST: Final = 2


@dataclass(frozen=True, slots=True)
class Choice:
    """Of one side in one round."""

    neighbour: str | None
    """The nearest node that answers."""
    asked: tuple[str, ...]
    """Nodes before it, or as far as this round goes."""


class Side:
    """The other nodes in one direction round the ring, the nearest first."""

    def __init__(self, order: Iterable[str]) -> None:
        self._order = tuple(order)
        self._reach = _NEAREST
        self._turn = 0

    def choose(self, alive: Container[str], answers: Callable[[str], bool], dead: int) -> Choice:
        """Take one step. `alive` are those believed to live, `dead` is how many of the others are asked."""
        neighbour = None
        silent: list[str] = []
        lost: list[str] = []
        for name in self._order:
            if answers(name):
                neighbour = name
                break
            if name not in alive:
                lost.append(name)
            elif len(silent) < self._reach:
                silent.append(name)
            else:
                break
        self._reach = _NEAREST if neighbour is not None else min(self._reach * SEEK_FACTOR, len(self._order))
        return Choice(neighbour, (*silent, *self._in_turn(lost, dead)))

    def _in_turn(self, names: list[str], count: int) -> Iterable[str]:
        if not names:
            return ()
        self._turn += count
        return {names[(self._turn + n) % len(names)] for n in range(min(count, len(names)))}


class Ring:
    """The ring as seen from one node, and the neighbours it has there."""

    def __init__(self) -> None:
        self._sides: tuple[Side, ...] = ()
        self._until: dict[str, float] = {}
        self._before: frozenset[str] = frozenset()
        self.asked: frozenset[str] = frozenset()
        """Who was asked in the last round whether it lives."""
        self.pacemaker: str | None = None
        """The neighbour before this node, with whose rounds it keeps time. None for the first in order, which keeps
        its own: so time is handed down a chain, and no beat can run round the ring."""

    def arrange(self, me: str, names: Iterable[str]) -> None:
        """Set the nodes; neighbours that stay are kept."""
        ordered = sorted({me, *names}, key=lambda name: (node_id(name), name))
        at = ordered.index(me)
        onwards = ordered[at + 1 :] + ordered[:at]
        self._sides = (Side(onwards), Side(reversed(onwards)))
        self._before = frozenset(ordered[:at])
        self.pacemaker = None
        self._until = {name: until for name, until in self._until.items() if name in ordered}

    @property
    def neighbours(self) -> Iterable[str]:
        """Those heard now: the nearest, and for TURNOVER seconds those that were."""
        return self._until.keys()

    def choose(self, now: float, alive: Container[str], answers: Callable[[str], bool]) -> None:
        """Find neighbours for one more round."""
        dead = 1 if self._until else SEEK_DEAD
        asked: set[str] = set()
        choice = Choice(None, ())
        for side in self._sides:
            choice = side.choose(alive, answers, dead)
            asked.update(choice.asked)
            if choice.neighbour is not None:
                self._until[choice.neighbour] = now + TURNOVER
        self.pacemaker = choice.neighbour if choice.neighbour in self._before else None
        self._until = {name: until for name, until in self._until.items() if now < until}
        self.asked = frozenset(asked)

    def give_up(self, name: str) -> None:
        """Have this neighbour no more."""
        self._until.pop(name, None)
        if self.pacemaker == name:
            self.pacemaker = None

    def forget(self) -> None:
        """Have no neighbours."""
        self._until.clear()
        self.pacemaker = None
