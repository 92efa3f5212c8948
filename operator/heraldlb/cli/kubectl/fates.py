"""What becomes of Services, in cells of a table. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from heraldlb.api.ranges import IPAddress
from heraldlb.cli.kubectl.style import bad, doubtful, good
from heraldlb.planning.changes import Fate

_COLOURS = {Fate.KEEPS: good, Fate.GETS: good, Fate.MOVES: bad, Fate.LOSES: bad, Fate.WAITS: doubtful}


def fate_cell(fate: Fate) -> str:
    """The word, in its colour."""
    return _COLOURS[fate](fate.value)


def listed_addresses(addresses: Iterable[IPAddress]) -> str:
    """With commas; `-` where there are none."""
    return ",".join(map(str, addresses)) or "-"
