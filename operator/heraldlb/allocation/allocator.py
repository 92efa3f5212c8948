"""The decision: which addresses a Service shall hold, and the whole story where it is not what was asked.

Make before break: what a Service holds stays until what replaces it is found. The one exception is a Service
whose own edit breaks the rules of sharing, which are never bent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from heraldlb.allocation.admission import Refusal, Verdict, admit, refuse, within_quota
from heraldlb.allocation.book import BookedPool, PoolBook, is_anycast
from heraldlb.allocation.ledger import Holding, Ledger
from heraldlb.allocation.obstacles import obstacle
from heraldlb.allocation.requests import Request
from heraldlb.allocation.sharing import blocker
from heraldlb.api.ranges import Family, IPAddress, address_at, family_of
from heraldlb.api.reasons import Reason


@dataclass(frozen=True, slots=True)
class Grant:
    """An address for a Service, and the pool it comes from."""

    address: IPAddress
    pool: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the Service shall hold from now on.

    `satisfied`: the request is met, and the condition is True. `waiting`: ask again when an address or a pool
    comes, also where the request is met in part (`PreferDualStack` with one family).
    """

    grants: tuple[Grant, ...]
    reason: Reason
    message: str
    satisfied: bool
    waiting: bool


def offer(
    booked: BookedPool, request: Request, family: Family, book: PoolBook, ledger: Ledger
) -> Grant | tuple[Verdict, ...]:
    """What one pool by itself answers: the address that the Service would get, beside what it holds, or why none.

    Whether the Service asks for another pool is left out of account.
    """
    if (wanted := request.wanted(family)) is not None:
        answer = _offer_named(booked, request, wanted, book, ledger)
        return answer if isinstance(answer, Grant) else (answer,)
    result = _serve_from([booked], request, family, book, ledger)
    return result if isinstance(result, Grant) else result.verdicts


def holding_of(request: Request) -> Holding:
    """The terms on which the request would hold an address."""
    return Holding(request.service, request.uid, request.ports, request.sharing_key, request.backend)


def decide(request: Request, book: PoolBook, ledger: Ledger) -> Outcome:
    """Decide one request. Pure and deterministic: same arguments, same outcome."""
    kept = _kept(request, book, ledger)
    if problem := request.problem or _contradiction(request, book):
        return _refused(request, kept, [Refusal(Reason.INVALID_REQUEST, problem)])
    found: dict[Family, Grant] = {}
    refusals: list[Refusal] = []
    for family in request.families:
        result = _serve(request, family, kept.get(family), book, ledger)
        if isinstance(result, Grant):
            found[family] = result
        else:
            refusals.append(result)
    if not refusals:
        grants = _in_order(request, found)
        return Outcome(grants, Reason.ADDRESS_ASSIGNED, _listed(grants), True, False)
    held = kept if request.require_all else kept | found
    unmet_wish = any(family in kept or request.wanted(family) for family in request.families if family not in found)
    if request.require_all or not found or unmet_wish:
        return _refused(request, held, refusals)
    grants = _in_order(request, held)
    message = "; ".join((_listed(grants), *(refusal.message for refusal in refusals)))
    return Outcome(grants, Reason.ADDRESS_ASSIGNED, message, True, True)


def _kept(request: Request, book: PoolBook, ledger: Ledger) -> dict[Family, Grant]:
    """What the Service holds and may go on holding, by family."""
    kept: dict[Family, Grant] = {}
    held = ledger.held_by(request.uid)
    if not held:
        return kept
    terms = holding_of(request)
    for address in sorted(held, key=lambda address: address not in request.shown):
        family = family_of(address)
        if family not in request.families or family in kept:
            continue
        edited = ledger.holding(address, request.uid) != terms
        if edited and blocker(terms, ledger.others(address, request.uid)):
            continue
        if (keeper := book.keeper(address, ledger.pool_of(address))) is not None:
            kept[family] = Grant(address, keeper.pool.name)
    return kept


def _contradiction(request: Request, book: PoolBook) -> str:
    booked = book.get(request.pool) if request.pool else None
    if booked is None:
        return ""
    strays = [str(address) for address in request.addresses if address not in booked]
    if not strays:
        return ""
    return f'{", ".join(strays)} is asked for, and pool "{request.pool}", which does not contain it'


def _serve(request: Request, family: Family, kept: Grant | None, book: PoolBook, ledger: Ledger) -> Grant | Refusal:
    if (wanted := request.wanted(family)) is not None:
        if kept is not None and kept.address == wanted:
            return kept
        return _serve_named(request, wanted, book, ledger)
    wished = book.get(request.pool) if request.pool else None
    fitting = kept is not None and (not request.pool or (wished is not None and kept.address in wished))
    if kept is not None and fitting and not ledger.is_withheld(kept.address):
        return kept
    if not len(book):
        return refuse(
            family, Reason.NO_POOL, "there is no AddressPool; create one that lists addresses of your network"
        )
    if request.pool and wished is None:
        names = ", ".join(booked.pool.name for booked in book)
        return refuse(family, Reason.POOL_NOT_FOUND, f'there is no pool "{request.pool}"; there are: {names}')
    result = _serve_from([wished] if wished is not None else list(book), request, family, book, ledger)
    if isinstance(result, Refusal) and kept is not None and fitting:
        message = f"{kept.address} is {ledger.quarantined[kept.address]}; {result.message}"
        return Refusal(Reason.ADDRESS_QUARANTINED, message)
    return result


def _serve_from(
    pools: list[BookedPool], request: Request, family: Family, book: PoolBook, ledger: Ledger
) -> Grant | Refusal:
    verdicts = [admit(booked, request, family, ledger, asked_for=bool(request.pool)) for booked in pools]
    admitted = [booked for booked, verdict in zip(pools, verdicts, strict=True) if verdict is None]
    if request.sharing_key:
        shared = _share(request, family, admitted, book, ledger)
        if shared is not None:
            return shared
    if (returned := _returned(request, family, admitted, book, ledger)) is not None:
        return returned
    exhausted: dict[str, Verdict] = {}
    for booked in admitted:
        if verdict := within_quota(booked, request, ledger):
            exhausted[booked.pool.name] = verdict
        elif (free := lowest_free(booked, family, book, ledger)) is not None:
            return Grant(free, booked.pool.name)
        else:
            exhausted[booked.pool.name] = Verdict.exhausted(booked, family, ledger)
    walk = [verdict or exhausted[booked.pool.name] for booked, verdict in zip(pools, verdicts, strict=True)]
    return Refusal.walk(f"no {family} address", walk)


def lowest_free(booked: BookedPool, family: Family, book: PoolBook, ledger: Ledger) -> IPAddress | None:
    """The first address of the pool, in listed order, that is not taken and that no pool before it claims."""
    taken = ledger.taken(family)
    for served in booked.served:
        if served.family != family:
            continue
        cursor = served.first
        while (value := taken.first_gap(cursor, served.last)) is not None:
            owner, run_end = book.owner_of_run(family, value)
            if owner is not booked:
                # An earlier pool owns a whole run of addresses: continue behind it.
                cursor = run_end + 1
            elif is_anycast(family, value):
                cursor = value + 1
            else:
                return address_at(family, value)
    return None


def _returned(
    request: Request, family: Family, pools: list[BookedPool], book: PoolBook, ledger: Ledger
) -> Grant | None:
    """The address kept for a Service of this name that one of the pools may give; of several, the last released."""
    for address, _ in ledger.reserved_for(request.service):
        owner = book.owner(address)
        if (
            family_of(address) == family
            and owner in pools
            and obstacle(holding_of(request), address, owner, ledger) is None
            and within_quota(owner, request, ledger) is None
        ):
            return Grant(address, owner.pool.name)
    return None


def _share(
    request: Request, family: Family, pools: Iterable[BookedPool], book: PoolBook, ledger: Ledger
) -> Grant | Refusal | None:
    """An address held under the request's sharing key that it may join; a refusal only if it must share."""
    terms = holding_of(request)
    # Where an address is in no pool any more, its holders will leave it: where the first goes, the others follow.
    candidates = [
        address
        for address in ledger.under_key(request.sharing_key)
        if family_of(address) == family
        and not ledger.is_withheld(address)
        and book.keeper(address, ledger.pool_of(address)) is not None
    ]
    blocked = []
    for booked in pools:
        for address in candidates:
            if book.owner(address) is not booked:
                continue
            if found := obstacle(terms, address, booked, ledger):
                blocked.append(Verdict(booked.pool.name, found.reason, f"{address} is {found.message}"))
            elif verdict := within_quota(booked, request, ledger, joining=address):
                blocked.append(verdict)
            else:
                return Grant(address, booked.pool.name)
    if request.must_share and candidates:
        return Refusal.walk(
            f'no {family} address to share under the key "{request.sharing_key}"',
            blocked or [Verdict("", Reason.SHARING_REFUSED, "no pool that may serve this Service holds one")],
            Reason.SHARING_REFUSED,
        )
    return None


def _serve_named(request: Request, wanted: IPAddress, book: PoolBook, ledger: Ledger) -> Grant | Refusal:
    owner = book.owner(wanted)
    walk: list[Verdict] = []
    for booked in book:
        answer = _offer_named(booked, request, wanted, book, ledger)
        if isinstance(answer, Grant):
            return answer
        walk.insert(0 if booked is owner else len(walk), answer)
    if not walk:
        return Refusal(Reason.NO_POOL, f"{wanted} cannot be given: there is no AddressPool")
    reason = walk[0].reason if owner is not None else Reason.ADDRESS_NOT_IN_ANY_POOL
    return Refusal.walk(f"{wanted} cannot be given", walk, reason)


def _offer_named(
    booked: BookedPool, request: Request, wanted: IPAddress, book: PoolBook, ledger: Ledger
) -> Grant | Verdict:
    if booked is not book.owner(wanted):
        return Verdict.lacks(booked, wanted)
    verdict = admit(booked, request, family_of(wanted), ledger, asked_for=True)
    if verdict is None and (found := obstacle(holding_of(request), wanted, booked, ledger)):
        verdict = Verdict(booked.pool.name, found.reason, found.message)
    verdict = verdict or within_quota(booked, request, ledger, joining=wanted)
    return verdict or Grant(wanted, booked.pool.name)


def _refused(request: Request, held: dict[Family, Grant], refusals: list[Refusal]) -> Outcome:
    message = "; ".join(refusal.message for refusal in refusals)
    if held:
        message = f"{message}; the Service keeps {_listed(_in_order(request, held))}"
    reason = refusals[0].reason
    if request.require_all and len(request.families) > len(refusals) and reason is not Reason.INVALID_REQUEST:
        reason = Reason.FAMILY_UNAVAILABLE
        message = f"RequireDualStack needs an address of both families; {message}"
    # What is wrong with the request itself no pool can mend.
    return Outcome(_in_order(request, held), reason, message, False, waiting=not request.problem)


def _in_order(request: Request, grants: dict[Family, Grant]) -> tuple[Grant, ...]:
    return tuple(grants[family] for family in request.families if family in grants)


def _listed(grants: tuple[Grant, ...]) -> str:
    return ", ".join(f'{grant.address} from pool "{grant.pool}"' for grant in grants)
