"""Rendezvous hashing with bounded loads: which node of a group each address of a group belongs to.

Every pair of an address and a node has a weight that looks random and is the same everywhere (highest random
weight). The pairs are taken from the heaviest down, each unless its address has a node or its node has its fill; so
the outcome depends on no order and on no history. A node that goes moves what it had, one that comes takes only its
share, and what else moves is what the bound pushes aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import blake2b
from operator import itemgetter
from typing import Final

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import LOAD_BOUND

_MASK: Final = 2**64 - 1
_REMEMBERED: Final = 65_536
"""Addresses whose hashes and favourites are kept in mind."""


# What happens to one group of nodes is no reason to share out the addresses of another anew.
@lru_cache(maxsize=16)
def share_out(addresses: tuple[IPAddress, ...], nodes: frozenset[str]) -> Mapping[IPAddress, str]:
    """The node of each address; none has more than LOAD_BOUND times the mean, rounded up. Some node is needed."""
    most, least = LOAD_BOUND
    bound = -(-most * len(addresses) // (least * len(nodes)))
    taken: dict[str, list[tuple[int, bytes, IPAddress]]] = {name: [] for name in sorted(nodes)}
    refused: dict[IPAddress, set[str]] = {}
    packed = [address.packed for address in addresses]
    for address, octets, (weight, name) in zip(addresses, packed, _favourites.among(nodes, packed), strict=True):
        taken[name].append((weight, octets, address))
    # A node keeps the heaviest of what asks for it; the others turn to their next.
    while full := [name for name, asking in taken.items() if len(asking) > bound]:
        waiting: list[tuple[bytes, IPAddress]] = []
        for name in full:
            taken[name].sort(reverse=True)
            for _, octets, address in taken[name][bound:]:
                refused.setdefault(address, set()).add(name)
                waiting.append((octets, address))
            del taken[name][bound:]
        for octets, address in waiting:
            weight, name = _heaviest(_hash(octets), _hashed(nodes - refused[address]))
            taken[name].append((weight, octets, address))
    return {address: name for name, asking in taken.items() for _, _, address in asking}


def favourite(octets: bytes, nodes: frozenset[str]) -> str:
    """The node that `octets` belong to, whatever belongs to whom besides: it keeps its node for as long as that is
    one of `nodes`. Some node is needed."""
    return _heaviest(_digest(octets), _hashed(nodes))[1]


@lru_cache(maxsize=_REMEMBERED)
def _hash(name: bytes) -> int:
    return _digest(name)


def _digest(octets: bytes) -> int:
    return int.from_bytes(blake2b(octets, digest_size=8).digest())


# Of equal weights the first counts, so that not even then an order matters.
@lru_cache(maxsize=1_024)
def _hashed(nodes: frozenset[str]) -> tuple[tuple[int, str], ...]:
    return tuple((_hash(name.encode()), name) for name in sorted(nodes))


def _heaviest(address: int, nodes: Iterable[tuple[int, str]]) -> tuple[int, str]:
    heaviest, found = -1, ""
    for node, name in nodes:
        # Spread the bits of both over all (as the finalizer of MurmurHash3): a hash of the two for each of ten
        # thousand addresses and a hundred nodes would hold up heartbeats.
        weight = (address ^ node) * 0xFF51AFD7ED558CCD & _MASK
        weight = (weight ^ weight >> 32) * 0xC4CEB9FE1A85EC53 & _MASK
        if weight > heaviest:
            heaviest, found = weight, name
    return heaviest, found


class _Favourites:
    """The heaviest node of each address, kept in mind: a node that comes or goes is a reason to look at that node
    only, and at the addresses whose favourite it was."""

    def __init__(self) -> None:
        self._found: dict[bytes, tuple[frozenset[str], int, str]] = {}

    def among(self, nodes: frozenset[str], addresses: Iterable[bytes]) -> Iterator[tuple[int, str]]:
        """The weight and the name of each address' favourite."""
        if len(self._found) > _REMEMBERED:
            self._found.clear()
        for address in addresses:
            before = self._found.get(address)
            if before is None or before[2] not in nodes:
                weight, name = _heaviest(_hash(address), _hashed(nodes))
            else:
                known, weight, name = before
                if known is not nodes and (new := nodes - known):
                    weight, name = max((weight, name), _heaviest(_hash(address), _hashed(new)), key=itemgetter(0))
            self._found[address] = nodes, weight, name
            yield weight, name


_favourites: Final = _Favourites()
