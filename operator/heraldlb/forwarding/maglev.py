"""Maglev hashing (section 3.4 of its paper, NSDI 2016): a table that barely changes with its endpoints. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from heraldlb.forwarding.model import Backend

TABLE_SIZE: Final = 4_093
"""Slots, a prime as the permutations need it; that of IPVS (CONFIG_IP_VS_MH_TAB_INDEX). It is the same for any
number of endpoints: a table that grew with them would send nearly every client elsewhere when it does."""

Preference = tuple[int, int]
"""The order in which an endpoint would like to have slots: the first, and how many further the next one is."""


@lru_cache(maxsize=64)
def table(backends: tuple[Backend, ...], weights: tuple[int, ...]) -> tuple[Backend, ...]:
    """Who has which slot; weights are 1 or more.

    Shares are proportional to the weights within one slot while there are fewer endpoints than slots. They depend
    on addresses and ports alone, not on the order in which endpoints are given. When one of N endpoints goes, its
    slots move, and some of the others: 1 % of all for ten endpoints, 2 % for thirty, 3 % for a hundred.
    """
    entries = sorted(zip(backends, weights, strict=True), key=lambda entry: entry[0].key)
    preferences = [_preference(backend) for backend, _ in entries]
    return tuple(entries[number][0] for number in fill(preferences, [weight for _, weight in entries], TABLE_SIZE))


def fill(preferences: Sequence[Preference], weights: Sequence[int], size: int) -> list[int]:
    """Who, by number, has which of `size` slots, a prime: all take turns, each with the first slot of its own order
    that is free."""
    owners = [-1] * size
    positions = [offset for offset, _ in preferences]
    heaviest, savings = max(weights), [0] * len(weights)
    free = size
    while True:
        for number, weight in enumerate(weights):
            # The heaviest takes a slot in each round, one of half its weight in every other.
            savings[number] += weight
            if savings[number] < heaviest:
                continue
            savings[number] -= heaviest
            position, skip = positions[number], preferences[number][1]
            while owners[position] >= 0:
                position = (position + skip) % size
            owners[position] = number
            positions[number] = (position + skip) % size
            free -= 1
            if not free:
                return owners


def _preference(backend: Backend) -> Preference:
    identity = backend.address.packed + backend.port.to_bytes(4)
    digest = blake2b(identity, digest_size=16).digest()
    return int.from_bytes(digest[:8]) % TABLE_SIZE, int.from_bytes(digest[8:]) % (TABLE_SIZE - 1) + 1
