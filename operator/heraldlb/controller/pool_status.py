"""An AddressPool's status as it should be. Pure."""

from __future__ import annotations

from typing import Any

from heraldlb.allocation.book import BookedPool, PoolBook
from heraldlb.allocation.ledger import Ledger
from heraldlb.allocation.quarantine import Quarantine
from heraldlb.api.conditions import Condition, merge
from heraldlb.api.objects import Raw, entries, sequence, text
from heraldlb.api.ranges import FAMILIES, Family, IPAddress, RangeError, parse_address
from heraldlb.api.reasons import Reason
from heraldlb.api.times import parse_time, written

COUNT_LIMIT = 2**53 - 1
"""Counts are capped at the largest integer that every JSON reader holds exactly; an IPv6 /64 is larger."""


QUARANTINED_LIMIT = 256
"""Quarantined addresses that a status lists, by its schema. What is not listed does not outlast a restart."""


def pool_status(booked: BookedPool, book: PoolBook, ledger: Ledger, before: Raw, now: str) -> dict[str, Any]:
    """The whole status. `now` is RFC 3339."""
    pool = booked.pool
    counts = {family: _counts(booked, family, ledger) for family in FAMILIES}
    conditions = [_ready(booked), _overlapping(booked, book), _exhausted(booked, counts)]
    status: dict[str, Any] = {
        "observedGeneration": pool.generation,
        "conditions": merge(sequence(before, "conditions"), conditions, now),
        "assigned": sum(count["assigned"] for count in counts.values()),
        "ipv4": counts["IPv4"],
        "ipv6": counts["IPv6"],
    }
    quarantined = _quarantined(booked, book, ledger)
    if quarantined or "quarantined" in before:
        # Merging takes nothing out of a status: that nothing is quarantined any more must be said.
        status["quarantined"] = quarantined
    return status


def parse_quarantined(status: Raw) -> list[tuple[IPAddress, Quarantine]]:
    """The quarantined addresses that a pool's status lists; an entry that cannot be read is left out."""
    found = []
    for entry in entries(status, "quarantined"):
        try:
            address = parse_address(text(entry, "address"))
        except RangeError:
            continue
        since, last_seen = parse_time(text(entry, "since")), parse_time(text(entry, "lastSeen"))
        found.append((address, Quarantine(text(entry, "macAddress"), since or 0.0, last_seen)))
    return found


def _quarantined(booked: BookedPool, book: PoolBook, ledger: Ledger) -> list[dict[str, str]]:
    owned = [address for address in ledger.quarantined if book.owner(address) is booked]
    ordered = sorted(owned, key=lambda address: (address.version, int(address)))
    return [_quarantine_body(address, ledger.quarantined[address]) for address in ordered[:QUARANTINED_LIMIT]]


def _quarantine_body(address: IPAddress, quarantine: Quarantine) -> dict[str, str]:
    body = {"address": str(address), "since": written(quarantine.since)}
    if quarantine.mac:
        body["macAddress"] = quarantine.mac
    if quarantine.last_seen is not None:
        body["lastSeen"] = written(quarantine.last_seen)
    return body


def _counts(booked: BookedPool, family: Family, ledger: Ledger) -> dict[str, int]:
    return {
        "capacity": min(booked.capacity(family), COUNT_LIMIT),
        "assigned": ledger.assigned(booked.pool.name, family),
        "available": min(booked.available(family, ledger.taken(family)), COUNT_LIMIT),
    }


def _ready(booked: BookedPool) -> Condition:
    pool = booked.pool
    if pool.problems:
        message = "; ".join(pool.problems)
        served = "; the other entries serve" if booked.served else ""
        return Condition("Ready", False, Reason.INVALID_ENTRY, message + served, pool.generation)
    if not booked.served:
        message = "spec.excluded leaves no address of spec.addresses: take something out of it"
        return Condition("Ready", False, Reason.INVALID_ENTRY, message, pool.generation)
    return Condition("Ready", True, Reason.POOL_READY, "every entry serves", pool.generation)


def _overlapping(booked: BookedPool, book: PoolBook) -> Condition:
    pool = booked.pool
    if others := book.overlaps(pool.name):
        names = ", ".join(f'"{other.name}"' for other in others)
        message = (
            f"shares addresses with the older pool {names}; both serve, and a shared address counts"
            " for the pool with the lower priority number, then the first name"
        )
        return Condition("Overlapping", True, Reason.POOLS_OVERLAP, message, pool.generation)
    return Condition(
        "Overlapping", False, Reason.NO_OVERLAP, "no older pool has any of its addresses", pool.generation
    )


def _exhausted(booked: BookedPool, counts: dict[Family, dict[str, int]]) -> Condition:
    pool = booked.pool
    full = [family for family in FAMILIES if booked.has(family) and counts[family]["available"] == 0]
    if full:
        message = f"no {' or '.join(full)} address is left: add addresses, or another pool"
        return Condition("Exhausted", True, Reason.POOL_EXHAUSTED, message, pool.generation)
    message = "addresses of every family it serves are available"
    return Condition("Exhausted", False, Reason.ADDRESSES_AVAILABLE, message, pool.generation)
