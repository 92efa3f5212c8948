"""What the kernel has of ours, as far as it is compared with what it should have. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from heraldlb.api.ranges import Family
from heraldlb.forwarding.elements import Key


@dataclass(frozen=True, slots=True)
class Learned:
    """An element that rules added, such as a client's backend under session affinity."""

    key: Key
    value: str
    timeout: int
    """Milliseconds that it stays without being renewed."""
    expires: int
    """Milliseconds that are left of them."""


@dataclass(frozen=True, slots=True)
class Table:
    """One family's table. The rules themselves are not read: the fingerprints say what they are."""

    fingerprint: str
    """Of the frame; empty where it is not ours."""
    chains: Mapping[str, str] = field(default_factory=dict)
    """The fingerprint of each chain's rules; empty for those of the frame."""
    rules: Mapping[str, int] = field(default_factory=dict)
    """How many rules each chain has."""
    elements: Mapping[Key, str] = field(default_factory=dict)
    """As `elements` writes them, each with its value. Of the maps and sets that only we fill."""
    learned: tuple[Learned, ...] = ()


@dataclass(frozen=True, slots=True)
class Names:
    """What a table consists of."""

    chains: frozenset[str] = frozenset()
    maps: frozenset[str] = frozenset()
    sets: frozenset[str] = frozenset()
    """Those that are no maps."""


Tables = dict[Family, Table]
"""Without an entry for a family whose table does not exist."""
