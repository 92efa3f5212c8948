"""Rendezvous hashing with bounded loads: which node of a group each address of a group belongs to.

Every pair of an address and a node has a weight that looks random and is the same everywhere (highest random
weight). The pairs are taken from the heaviest down, each unless its address has a node or its node has its fill; so
the outcome depends on no order and on no history. A node that goes moves what it had, one that comes takes only its
share, and what else moves is what the bound pushes aside."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import LOAD_BOUND

_MASK: Final = 2**64 - 1


# What happens to one group of nodes is no reason to share out the addresses of another anew.
@lru_cache(maxsize=16)
def share_out(addresses: tuple[IPAddress, ...], nodes: frozenset[str]) -> Mapping[IPAddress, str]:
    """The node of each address; none has more than LOAD_BOUND times the mean, rounded up. Some node is needed."""
    # Of equal weights the first counts, so that not even then an order matters.
    hashed = [(_hash(name.encode()), name) for name in sorted(nodes)]
    most, least = LOAD_BOUND
    bound = -(-most * len(addresses) // (least * len(hashed)))
    taken: dict[str, list[tuple[int, bytes, IPAddress]]] = {name: [] for _, name in hashed}
    refused: dict[IPAddress, set[str]] = {}
    waiting = list(addresses)
    while waiting:
        for address in waiting:
            packed = address.packed
            weight, name = _heaviest(_hash(packed), hashed, refused.get(address, ()))
            taken[name].append((weight, packed, address))
        # A node keeps the heaviest of what asks for it; the others turn to their next.
        waiting = []
        for name, asking in taken.items():
            if len(asking) > bound:
                asking.sort(reverse=True)
                for _, _, address in asking[bound:]:
                    refused.setdefault(address, set()).add(name)
                    waiting.append(address)
                del asking[bound:]
    return {address: name for name, asking in taken.items() for _, _, address in asking}


@lru_cache(maxsize=65_536)
def _hash(name: bytes) -> int:
    return int.from_bytes(blake2b(name, digest_size=8).digest())


def _heaviest(address: int, nodes: Iterable[tuple[int, str]], but: Collection[str]) -> tuple[int, str]:
    heaviest, found = -1, ""
    for node, name in nodes:
        # Spread the bits of both over all (as the finalizer of MurmurHash3): a hash of the two for each of ten
        # thousand addresses and a hundred nodes would hold up heartbeats.
        weight = (address ^ node) * 0xFF51AFD7ED558CCD & _MASK
        weight = (weight ^ weight >> 32) * 0xC4CEB9FE1A85EC53 & _MASK
        if weight > heaviest and name not in but:
            heaviest, found = weight, name
    return heaviest, found
