"""What to do when somebody else claims an address that this node announces (RFC 5227 section 2.4).

An address that clients depend on is not given up: as section 2.4(c) has it, the node keeps it, says so once in
a while, and has its operator told. Another agent is no stranger: for a moment during a hand-over two of them
claim one address, and the one that owns it repeats itself a little sooner.
"""

from __future__ import annotations

from dataclasses import dataclass

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import CONFLICT_QUIET, DEFEND_INTERVAL, RIVAL_INTERVAL


@dataclass(slots=True)
class _Record:
    defended: float = float("-inf")
    stranger: bytes | None = None
    claimed: float = float("-inf")


@dataclass(frozen=True, slots=True)
class Defence:
    """The reaction to one claim."""

    announce: bool
    """Whether to announce the address again now."""
    report: bool
    """Whether this stranger is news."""


class Defences:
    """One record for each owned address that was claimed; what hosts of the LAN send never adds more."""

    def __init__(self) -> None:
        self._records: dict[IPAddress, _Record] = {}

    def claimed(self, address: IPAddress, mac: bytes, *, by_agent: bool, now: float) -> Defence:
        """React to a frame in which `mac` claims `address`, which this node owns."""
        record = self._records.setdefault(address, _Record())
        announce = now - record.defended >= (RIVAL_INTERVAL if by_agent else DEFEND_INTERVAL)
        if announce:
            record.defended = now
        if by_agent:
            return Defence(announce, report=False)
        # Two strangers that take turns are reported once each turn of the first, not at every frame.
        report = record.stranger is None or (record.stranger != mac and announce)
        if report:
            record.stranger = mac
        record.claimed = now
        return Defence(announce, report)

    def over(self, now: float) -> list[IPAddress]:
        """Addresses whose conflict has just ended, because nobody claimed them for a while."""
        ended = [
            a for a, r in self._records.items() if r.stranger is not None and now - r.claimed >= CONFLICT_QUIET
        ]
        for address in ended:
            del self._records[address]
        return ended

    def released(self, address: IPAddress) -> bool:
        """Forget an address this node no longer owns; whether a conflict over it ends thereby."""
        record = self._records.pop(address, None)
        return record is not None and record.stranger is not None
