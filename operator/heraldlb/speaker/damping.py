"""How long a node is on probation: longer for each time it failed lately. No I/O."""

from __future__ import annotations

from heraldlb.speaker.constants import DAMPING_MEMORY, PROBATION_MAX


class Damping:
    """Remembers this node's own failures: that it was away, or cut off. Times are seconds on one clock."""

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self._failures: list[float] = []

    def failed(self, now: float) -> None:
        """Count one failure."""
        self._failures = [*self._recent(now), now]

    def probation(self, now: float) -> float:
        """Seconds that a probation which begins now lasts."""
        doubled = self._shortest * 2.0 ** min(max(0, len(self._recent(now)) - 1), 32)
        return max(self._shortest, min(doubled, PROBATION_MAX))

    def _recent(self, now: float) -> list[float]:
        return [at for at in self._failures if now - at < DAMPING_MEMORY][-32:]
