"""Which node had each address last, other than this one: who may know connections that this one does not. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final

from heraldlb.api.ranges import IPAddress

LIMIT: Final = 86_400.0
"""Seconds after a takeover for which the former owner is asked: a download may take hours, a session a working
day. All that it costs is an entry in a map, and one more hop for packets that nobody knows; so a day is not too
long, and it bounds how long connections go on to depend on two nodes."""


class Formers:
    """Fed with who owns what; times are seconds on a clock of the caller's that never goes back.

    Whoever owns an address now counts, too, so that nothing is left to be done at the moment of a takeover.
    """

    def __init__(self, me: str, limit: float = LIMIT) -> None:
        self._me = me
        self._limit = limit
        self._last: dict[IPAddress, str] = {}
        self._taken: dict[IPAddress, float] = {}

    def owners_changed(self, owners: Mapping[IPAddress, str | None], now: float) -> None:
        """These are all addresses, and who owns them; None: nobody does."""
        self._last = {address: node for address, node in self._last.items() if address in owners}
        self._taken = {address: since for address, since in self._taken.items() if owners.get(address) == self._me}
        for address, owner in owners.items():
            if owner == self._me:
                self._taken.setdefault(address, now)
            elif owner is not None:
                self._last[address] = owner

    def lost(self, nodes: Container[str]) -> None:
        """What these knew is gone, also if they come back."""
        self._last = {address: node for address, node in self._last.items() if node not in nodes}

    def known(self, now: float) -> dict[IPAddress, str]:
        """The node to ask about connections to each address."""
        return {
            address: node
            for address, node in self._last.items()
            if address not in self._taken or now < self._taken[address] + self._limit
        }

    def next_expiry(self, now: float) -> float | None:
        """When one is over next, or None."""
        ends = (since + self._limit for address, since in self._taken.items() if address in self._last)
        return min((end for end in ends if end > now), default=None)
