"""Weights as slots: an endpoint of weight 3 has three of them. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import gcd
from typing import Final

from heraldlb.forwarding.model import Backend

MAX_SLOTS: Final = 1_024
"""Of one frontend, about 95 bytes of kernel memory each. Weights that would take more are rounded."""


def usable(backends: Sequence[Backend], weights: Sequence[int]) -> tuple[tuple[Backend, ...], tuple[int, ...]]:
    """Those whose weight is not 0, and their weights; all with weight 1 where every weight is 0."""
    kept = [(backend, weight) for backend, weight in zip(backends, weights, strict=True) if weight]
    if not kept:
        return tuple(backends), (1,) * len(backends)
    return tuple(backend for backend, _ in kept), tuple(weight for _, weight in kept)


def interleave(backends: Sequence[Backend], weights: Sequence[int]) -> tuple[Backend, ...]:
    """One slot for each unit of weight, an endpoint's slots as far apart as can be. Weights are 1 or more.

    Each endpoint's slots lie evenly on a circle, those of equal weight staggered. So round robin over them sends
    nobody a burst, and equal weights give every endpoint one slot, in order.
    """
    units = _reduced(weights)
    peers: defaultdict[int, list[int]] = defaultdict(list)
    for number, weight in enumerate(units):
        peers[weight].append(number)
    turns = [
        ((2 * (turn * len(numbers) + place) + 1) / (2 * weight * len(numbers)), number)
        for weight, numbers in peers.items()
        for place, number in enumerate(numbers)
        for turn in range(weight)
    ]
    return tuple(backends[number] for _, number in sorted(turns))


def apportion(shares: Sequence[float], seats: int) -> list[int]:
    """Whole seats for shares by largest remainders; everybody gets one, so there have to be enough of them."""
    total = sum(shares)
    quotas = [share * seats / total for share in shares]
    given = [max(1, int(quota)) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda number: (given[number] - quotas[number], number))
    for number in by_remainder[: max(0, seats - sum(given))]:
        given[number] += 1
    while sum(given) > seats:
        rich = (number for number, seat in enumerate(given) if seat > 1)
        given[max(rich, key=lambda number: given[number] - quotas[number])] -= 1
    return given


def _reduced(weights: Sequence[int]) -> list[int]:
    divisor = gcd(*weights)
    units = [weight // divisor for weight in weights]
    if sum(units) <= MAX_SLOTS:
        return units
    rounded = apportion(weights, max(MAX_SLOTS, len(weights)))
    divisor = gcd(*rounded)
    return [weight // divisor for weight in rounded]
