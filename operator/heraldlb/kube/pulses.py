"""Whether watches are alive, kind by kind: when the API server was heard last, and when it was tried. No clock.

A watch is *silent* when the server has said nothing to it for longer than a server that is there ever does: what is
known may be old, as while the API server is away. It is *stalled* when nobody has even tried to hear: something is
wrong with this process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

K = TypeVar("K")

SILENCE: Final = 150.0
"""Seconds. A watch that says nothing for 90 s is begun anew; that the server takes it on is a word, too."""


@dataclass(slots=True)
class _Pulse:
    heard: float
    tried: float


class Pulses(Generic[K]):
    """Times are of one monotonic clock, in seconds; `now` is the time of the call. Usable from several threads."""

    def __init__(self, kinds: Iterable[K] = (), now: float = 0.0) -> None:
        """All count as heard now."""
        self._pulses = {kind: _Pulse(now, now) for kind in kinds}

    def heard(self, kind: K, now: float) -> None:
        """The server answered a list, took a watch, or said something in one."""
        self._pulses[kind].heard = now

    def tried(self, kind: K, now: float) -> None:
        """The server was asked; it may be away."""
        self._pulses[kind].tried = now

    def silent(self, now: float) -> dict[K, float]:
        """The kinds that were not heard of for too long, and for how long in seconds."""
        return {kind: now - each.heard for kind, each in self._pulses.items() if now - each.heard > SILENCE}

    def stalled(self, now: float) -> dict[K, float]:
        """The kinds of which nobody has even tried to hear for too long, and for how long in seconds."""
        signs = {kind: max(each.heard, each.tried) for kind, each in self._pulses.items()}
        return {kind: now - sign for kind, sign in signs.items() if now - sign > SILENCE}
