"""Least connections, approximately: slots of a random choice that follow how many connections are open. Pure.

nftables cannot look for the smallest of several counters, so the counters are read every few seconds, and the
busier an endpoint is, the fewer slots it has until the next time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from heraldlb.api.services import Protocol
from heraldlb.forwarding.model import Backend
from heraldlb.forwarding.slots import MAX_SLOTS, apportion

Loads = Mapping[tuple[Protocol, Backend], int]
"""Open connections that this node has sent to each endpoint; none where an endpoint is missing."""

SLOTS_EACH: Final = 16
"""Slots for an endpoint of average weight: how finely its share can be set."""

LEAST, MOST = 1 / 4, 4.0
"""Bounds for the share of an endpoint, in fair shares. Without them, all that comes until the next count would go
to the endpoint that has just started."""

SLACK: Final = 2
"""Connections by which a count may differ without any slot being moved; and so is an eighth of it."""


def least_connections(
    backends: Sequence[Backend], weights: Sequence[int], connections: Sequence[int]
) -> tuple[Backend, ...]:
    """Slots in inverse proportion to the square of the connections for each unit of weight. Weights are 1 or more.

    The square, since with the count itself an endpoint whose connections last four times as long would come to have
    twice as many open, instead of 1.6 times. Nobody gets none. A slot stays with the endpoint that has it when all
    are equally busy, unless that one has too many: so a small change of the counts moves few slots.
    """
    size = max(len(backends), min(MAX_SLOTS, SLOTS_EACH * len(backends)))
    mean = sum(connections) / sum(weights)
    shares = [
        weight * min(MOST, max(LEAST, ((mean + 1) / (count / weight + 1)) ** 2))
        for weight, count in zip(weights, connections, strict=True)
    ]
    fair, wanted = apportion(weights, size), apportion(shares, size)
    receivers = (
        backend for backend, least, most in zip(backends, fair, wanted, strict=True) for _ in range(most - least)
    )
    slots: list[Backend] = []
    for backend, most, least in zip(backends, fair, wanted, strict=True):
        kept = min(most, least)
        slots += [backend] * kept
        slots += [next(receivers) for _ in range(most - kept)]
    return tuple(slots)


def settled(before: Loads, now: Loads) -> Loads:
    """The counts to act on, from those acted on `before`: half-way to `now`, but where hardly anything has changed.

    Half-way, since where connections are shorter than the time between two counts, those of the last time are what
    the slots of that time made of them, and to answer with the opposite would go on for ever.
    """
    return {
        endpoint: known
        if abs(count - (known := before.get(endpoint, 0))) <= max(SLACK, known // 8)
        else (known + count) // 2
        for endpoint, count in now.items()
    }
