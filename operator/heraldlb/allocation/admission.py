"""Whether a pool would serve a request at all, and the words for each way in which it does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heraldlb.allocation.book import BookedPool
from heraldlb.allocation.ledger import Ledger
from heraldlb.allocation.requests import Request
from heraldlb.api.group import ADDRESS_POOL_ANNOTATION
from heraldlb.api.ranges import Family, IPAddress, family_of
from heraldlb.api.reasons import Reason

LISTED_POOLS = 20
"""How many pools a message walks through; the rest are counted."""

# How near each reason comes to an address. Of several pools' reasons, the nearest is the one worth acting on.
_NEARNESS = (
    Reason.ADDRESS_NOT_IN_ANY_POOL,
    Reason.NAMESPACE_NOT_ALLOWED,
    Reason.SERVICE_NOT_SELECTED,
    Reason.FAMILY_UNAVAILABLE,
    Reason.POOL_ON_REQUEST_ONLY,
    Reason.POOL_PAUSED,
    Reason.SHARING_REFUSED,
    Reason.QUOTA_EXCEEDED,
    Reason.POOL_EXHAUSTED,
    Reason.ADDRESS_QUARANTINED,
    Reason.ADDRESS_RESERVED,
    Reason.ADDRESS_IN_USE,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why one pool does not serve."""

    pool: str
    reason: Reason
    message: str

    def __str__(self) -> str:
        return f'pool "{self.pool}": {self.message}' if self.pool else self.message

    @classmethod
    def exhausted(cls, booked: BookedPool, family: Family, ledger: Ledger) -> Verdict:
        """Every address of the family is held, or kept from being given."""
        resting = booked.overlap(family, ledger.resting(family))
        quarantined = sum(1 for address in quarantined_in(booked, ledger, family) if is_idle(address, ledger))
        total = booked.capacity(family)
        if total == 1 and not resting and not quarantined:
            message = f"its one {family} address is assigned"
        elif not resting and not quarantined:
            message = f"all {total} {family} addresses are assigned"
        else:
            counts = {
                "assigned": total - resting - quarantined,
                "reserved": resting,
                "quarantined": quarantined,
            }
            listed = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
            message = f"none of {total} {family} addresses is free: {listed}"
        return cls(booked.pool.name, Reason.POOL_EXHAUSTED, message)

    @classmethod
    def lacks(cls, booked: BookedPool, address: IPAddress) -> Verdict:
        """The pool is not the one to give that address."""
        if address in booked:
            message = f"{address} belongs to a pool with a lower priority number"
        else:
            listed = ", ".join(str(entry) for entry in booked.pool.ranges[:3])
            more = ", …" if len(booked.pool.ranges) > 3 else ""
            message = f"does not contain it ({listed}{more})"
        return cls(booked.pool.name, Reason.ADDRESS_NOT_IN_ANY_POOL, message)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request got no address of one family."""

    reason: Reason
    message: str
    verdicts: tuple[Verdict, ...] = ()
    """What the pools said, one by one, if any was asked."""

    @classmethod
    def walk(cls, subject: str, verdicts: Sequence[Verdict], reason: Reason | None = None) -> Refusal:
        """A refusal that goes through every pool; its reason is the one that came nearest, unless given."""
        nearest = max(verdicts, key=lambda verdict: _nearness(verdict.reason))
        listed = "; ".join(map(str, verdicts[:LISTED_POOLS]))
        more = f"; and {len(verdicts) - LISTED_POOLS} more pools" if len(verdicts) > LISTED_POOLS else ""
        return cls(reason or nearest.reason, f"{subject}: {listed}{more}", tuple(verdicts))


def quarantined_in(booked: BookedPool, ledger: Ledger, family: Family) -> list[IPAddress]:
    """The pool's quarantined addresses of the family, held or not."""
    return [address for address in ledger.quarantined if family_of(address) == family and address in booked]


def is_idle(address: IPAddress, ledger: Ledger) -> bool:
    """Whether nobody holds the address and it is kept for nobody."""
    return address not in ledger and not ledger.reservations(address)


def refuse(family: Family, reason: Reason, why: str) -> Refusal:
    """A refusal that no pool is to blame for."""
    return Refusal(reason, f"no {family} address: {why}")


def admit(
    booked: BookedPool, request: Request, family: Family, ledger: Ledger, *, asked_for: bool
) -> Verdict | None:
    """Why the pool would not serve the request, however many addresses were free; None where it would."""
    pool = booked.pool
    service = request.service
    if not pool.admits_namespace(service.namespace, request.namespace_labels):
        return Verdict(
            pool.name, Reason.NAMESPACE_NOT_ALLOWED, f'does not serve the namespace "{service.namespace}"'
        )
    if not pool.service_selector.matches(request.labels):
        return Verdict(
            pool.name, Reason.SERVICE_NOT_SELECTED, "its serviceSelector does not match the Service's labels"
        )
    if not booked.has(family):
        return Verdict(pool.name, Reason.FAMILY_UNAVAILABLE, f"has no {family} addresses")
    if pool.assignment == "OnRequest" and not asked_for:
        return Verdict(
            pool.name, Reason.POOL_ON_REQUEST_ONLY, f"serves only on request; ask with {ADDRESS_POOL_ANNOTATION}"
        )
    if pool.assignment == "Paused":
        return Verdict(pool.name, Reason.POOL_PAUSED, "is paused and gives nothing new")
    return None


def within_quota(
    booked: BookedPool, request: Request, ledger: Ledger, *, joining: IPAddress | None = None
) -> Verdict | None:
    """Why one more address of the pool would exceed the namespace's quota; joining one it holds does not."""
    limit, namespace = booked.pool.max_per_namespace, request.service.namespace
    if limit is None:
        return None
    if joining is not None and any(held.service.namespace == namespace for held in ledger.holdings(joining)):
        return None
    if ledger.in_namespace(booked.pool.name, namespace) - _about_to_leave(booked, request, ledger) < limit:
        return None
    return Verdict(
        booked.pool.name,
        Reason.QUOTA_EXCEEDED,
        f'the namespace "{namespace}" holds {limit} of its addresses, which is maxPerNamespace',
    )


def _about_to_leave(booked: BookedPool, request: Request, ledger: Ledger) -> int:
    """Addresses of the pool that another shall replace, and that nobody else of the namespace holds."""
    return sum(
        ledger.is_withheld(address)
        and ledger.pool_of(address) == booked.pool.name
        and all(held.service.namespace != request.service.namespace for held in ledger.others(address, request.uid))
        for address in ledger.held_by(request.uid)
    )


def _nearness(reason: Reason) -> int:
    return _NEARNESS.index(reason) if reason in _NEARNESS else len(_NEARNESS)
