"""What this node announces, in the log: addresses that come or go together are one line, as after a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Final

from heraldlb.api.ranges import IPAddress

log = logging.getLogger(__name__)

SETTLE: Final = 0.5
"""Seconds for which changes are gathered. They bear the time of the last one."""

NAMED: Final = 50
"""Addresses that a line names; of the rest it says how many there are."""


class Journal:
    """Belongs to the running event loop."""

    def __init__(self) -> None:
        self._announced: dict[IPAddress, str] = {}
        self._withdrawn: dict[IPAddress, str | None] = {}
        self._writing: asyncio.TimerHandle | None = None

    def announced(self, address: IPAddress, interface: str) -> None:
        """This node answers for it, there."""
        self._withdrawn.pop(address, None)
        self._announced[address] = interface
        self._write_soon()

    def withdrawn(self, address: IPAddress, owner: str | None) -> None:
        """This node answers for it no more, but that one does, or nobody."""
        self._announced.pop(address, None)
        self._withdrawn[address] = owner
        self._write_soon()

    def write(self) -> None:
        """Write at once what was gathered."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        for line in lines(self._announced, self._withdrawn):
            log.info("%s", line)
        self._announced.clear()
        self._withdrawn.clear()

    def _write_soon(self) -> None:
        if self._writing is None:
            self._writing = asyncio.get_running_loop().call_later(SETTLE, self.write)


def lines(announced: Mapping[IPAddress, str], withdrawn: Mapping[IPAddress, str | None]) -> list[str]:
    """One line for each interface, and for each node that has taken over. Pure."""
    here = dict.fromkeys(announced.values())
    gone = dict.fromkeys(withdrawn.values())
    return [
        *(f"announcing {_listed(each for each in announced if announced[each] == at)} on {at}" for at in here),
        *(
            f"no longer announcing {_listed(each for each in withdrawn if withdrawn[each] == to)}; "
            f"now: {to or 'nobody'}"
            for to in gone
        ),
    ]


def _listed(addresses: Iterable[IPAddress]) -> str:
    every = [str(address) for address in addresses]
    rest = len(every) - NAMED
    return ", ".join(every[:NAMED]) + (f" and {rest} more" if rest > 0 else "")
