"""Quarantine: addresses that a host outside the cluster was seen to answer for are not given to anybody new."""

from __future__ import annotations

from dataclasses import dataclass

from heraldlb.api.times import written

QUARANTINE_PERIOD = 600.0
"""Seconds after the last sighting for which an address stays quarantined while no Service holds it: only an address
that is announced is watched, so nobody would see the stranger go. Hosts remember a neighbour for less."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """Who was seen to answer for an address, and when."""

    mac: str
    since: float
    """Unix seconds of the first sighting."""
    last_seen: float | None = None
    """Unix seconds of the last sighting; None while agents still see it."""
    withheld: bool = False
    """The stranger was there before any node announced the address, so none does, and nobody knows it yet: a holder
    that did not ask for this very address is to have another."""

    @property
    def end(self) -> float | None:
        """When it ends, in Unix seconds; None: when the agents say so."""
        return None if self.last_seen is None else self.last_seen + QUARANTINE_PERIOD

    def __str__(self) -> str:
        who = f"{self.mac} answers" if self.mac else "another host answers"
        return (
            f"quarantined: {who} for it on the network since {written(self.since)};"
            " take the address off that host, or out of the pool (spec.excluded)"
        )
