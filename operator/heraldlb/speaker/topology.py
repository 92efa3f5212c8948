"""Who lives in a large cluster, from what every node says of the few it hears.

As in a link-state routing protocol, each node tells all others whom it hears, and every node finds for itself who
is connected to it. So all beyond a cut are gone as soon as those at its edge no longer hear them, however many they
are, and a node that nobody hears lives no more, whatever was last known of it. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple


class Version(NamedTuple):
    """Which state of a node: newer ones of an incarnation have a greater `since`."""

    incarnation: int
    since: int


def connected(start: Iterable[str], hears: Mapping[str, Collection[bytes]], names: Mapping[bytes, str]) -> set[str]:
    """Those that are heard by `start`, by those, and so on, `start` included.

    `hears` lists for each name the ids of those it hears; `names` gives the name of an id. Unknown ids are skipped.
    """
    found = set(start)
    waiting = list(found)
    while waiting:
        for each in hears[waiting.pop()]:
            name = names.get(each)
            if name is not None and name not in found:
                found.add(name)
                waiting.append(name)
    return found


def digest(versions: Iterable[tuple[bytes, Version]]) -> int:
    """A number of 64 bits that two views share if, as good as certainly, they hold the same versions of the same
    nodes, whatever the order."""
    mixed = 0
    for node, version in versions:
        mixed ^= _mix(node, version)
    return mixed


@lru_cache(maxsize=8_192)
def _mix(node: bytes, version: Version) -> int:
    octets = node + version.incarnation.to_bytes(8, "big") + version.since.to_bytes(8, "big")
    return int.from_bytes(blake2b(octets, digest_size=8).digest(), "big")
