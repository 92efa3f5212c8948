"""What to do when somebody else claims an address that this node announces (RFC 5227 section 2.4).

An address that clients depend on is not given up: as section 2.4(c) has it, the node keeps it, says so once in
a while, and has its operator told. Another agent is no stranger: for a moment during a hand-over two of them
claim one address, and the one that owns it repeats itself a little sooner. Who is not known as an agent may still
turn out to be one, so a stranger is told of a moment later.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import CLAIM_DOUBT, CONFLICT_QUIET, DEFEND_INTERVAL, RIVAL_INTERVAL


@dataclass(slots=True)
class _Record:
    defended: float = float("-inf")
    suspect: bytes | None = None
    """Who claims the address, since when, and is not told of yet."""
    suspected: float = float("-inf")
    stranger: bytes | None = None
    """Who was told of."""
    claimed: float = float("-inf")


class Defences:
    """One record for each owned address that was claimed; what hosts of the LAN send never adds more."""

    def __init__(self) -> None:
        self._records: dict[IPAddress, _Record] = {}

    def claimed(self, address: IPAddress, mac: bytes, *, by_agent: bool, now: float) -> bool:
        """React to a frame in which `mac` claims `address`, which this node owns. Returns whether to announce it
        again now."""
        record = self._records.setdefault(address, _Record())
        announce = now - record.defended >= (RIVAL_INTERVAL if by_agent else DEFEND_INTERVAL)
        if announce:
            record.defended = now
        if by_agent:
            return announce
        # Two strangers that take turns are told of once each turn of the first, not at every frame.
        if record.suspect is None and (record.stranger is None or (record.stranger != mac and announce)):
            record.suspect, record.suspected = mac, now
        record.claimed = now
        return announce

    def strangers(self, now: float, agents: Collection[bytes]) -> list[tuple[IPAddress, bytes]]:
        """Claims to tell of, since whoever made them is still not among the agents' hardware addresses."""
        found = []
        for address, record in self._records.items():
            suspect = record.suspect
            if suspect is not None and now - record.suspected >= CLAIM_DOUBT:
                record.suspect = None
                if suspect not in agents:
                    record.stranger = suspect
                    found.append((address, suspect))
        return found

    def over(self, now: float, agents: Collection[bytes]) -> list[IPAddress]:
        """Addresses whose conflict has just ended: nobody claimed them for a while, or it was an agent that did."""
        ended = [
            address
            for address, record in self._records.items()
            if record.stranger is not None and (now - record.claimed >= CONFLICT_QUIET or record.stranger in agents)
        ]
        for address in ended:
            del self._records[address]
        return ended

    def released(self, address: IPAddress) -> bool:
        """Forget an address this node no longer owns; whether a conflict over it ends thereby."""
        record = self._records.pop(address, None)
        return record is not None and record.stranger is not None
