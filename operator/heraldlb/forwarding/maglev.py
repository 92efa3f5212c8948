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


@lru_cache(maxsize=64)
def table(backends: tuple[Backend, ...], weights: tuple[int, ...]) -> tuple[Backend, ...]:
    """Who has which slot; weights are 1 or more.

    Shares are proportional to the weights within one slot while there are fewer endpoints than slots. They depend
    on addresses and ports alone, not on the order in which endpoints are given. When one of N endpoints goes, its
    slots move, and some of the others: 1 % of all for ten endpoints, 2 % for thirty, 3 % for a hundred.
    """
    return fill(sorted(zip(backends, weights, strict=True), key=lambda entry: entry[0].key), TABLE_SIZE)


def fill(entries: Sequence[tuple[Backend, int]], size: int) -> tuple[Backend, ...]:
    """The same for entries in order and a table of `size` slots, a prime."""
    slots: list[Backend | None] = [None] * size
    permutations = [_permutation(backend, size) for backend, _ in entries]
    positions = [offset for offset, _ in permutations]
    heaviest = max(weight for _, weight in entries)
    savings = [0] * len(entries)
    free = size
    while True:
        for number, (backend, weight) in enumerate(entries):
            # The heaviest takes a slot in each round, one of half its weight in every other.
            savings[number] += weight
            if savings[number] < heaviest:
                continue
            savings[number] -= heaviest
            position, skip = positions[number], permutations[number][1]
            while slots[position] is not None:
                position = (position + skip) % size
            slots[position] = backend
            positions[number] = (position + skip) % size
            free -= 1
            if not free:
                return tuple(slot for slot in slots if slot is not None)


def _permutation(backend: Backend, size: int) -> tuple[int, int]:
    """Offset and skip of the order in which an endpoint would like to have the slots."""
    identity = backend.address.packed + backend.port.to_bytes(4)
    digest = blake2b(identity, digest_size=16).digest()
    return int.from_bytes(digest[:8]) % size, int.from_bytes(digest[8:]) % (size - 1) + 1
