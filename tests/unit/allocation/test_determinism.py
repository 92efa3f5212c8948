"""Same pools, Services and holdings, same outcome: whatever the order of events that led to them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from heraldlb.allocation.allocator import Outcome, decide, holding_of
from heraldlb.allocation.book import PoolBook
from heraldlb.allocation.ledger import Ledger
from heraldlb.allocation.requests import Request, request_of
from heraldlb.api.addresspool import AddressPool
from heraldlb.api.ranges import IPAddress
from heraldlb.api.services import parse_service
from heraldlb.controller.assignments import Assignments
from tests.unit.allocation.build import pool, service
from tests.unit.allocation.histories import (
    NAMES,
    NAMESPACES,
    POOLS,
    ApplyPool,
    ApplyService,
    apply_pool,
    apply_service,
)

SECONDS = [f"2026-01-01T00:00:0{second}Z" for second in range(3)]

Held = list[tuple[IPAddress, str, Request]]


def parsed_pool(step: ApplyPool) -> AddressPool:
    rest = {key: value for key, value in step.spec.items() if key != "addresses"}
    return pool(step.name, *step.spec["addresses"], **rest)


def parsed_request(step: ApplyService, created: str) -> Request:
    raw = service(step.name, namespace=step.namespace, created=created, annotations=step.wishes, **step.spec)
    return request_of(parse_service(raw), {})


# One that serves everybody, the address for which sharers ask included, and any others.
pools = st.lists(apply_pool, max_size=len(POOLS), unique_by=lambda step: step.name).map(
    lambda steps: [pool("0", "10.0.0.1", "10.0.0.5"), *map(parsed_pool, steps)]
)
# Many who share one address, so that those who may not can be told of several who stand in the way.
sharer = st.builds(
    ApplyService,
    st.sampled_from(NAMES),
    st.sampled_from(NAMESPACES),
    st.just({"heraldlb.io/sharing-key": "k", "heraldlb.io/addresses": "10.0.0.1"}),
    st.sampled_from([80, 81, 443]).map(lambda port: {"ports": [{"port": port, "protocol": "TCP"}]}),
)
requests = st.lists(
    st.builds(parsed_request, st.one_of(apply_service, sharer), st.sampled_from(SECONDS)),
    min_size=1,
    max_size=2 * len(NAMESPACES) * 3,
    unique_by=lambda request: request.service,
)


def served(book: list[AddressPool], asking: list[Request]) -> Assignments:
    """What comes of these Services, decided in this order."""
    assignments = Assignments()
    assignments.replace_pools(book)
    for request in asking:
        assignments.decide(request)
    return assignments


def held(assignments: Assignments, asking: list[Request]) -> Held:
    ledger = assignments.ledger
    return [
        (address, ledger.pool_of(address), request) for request in asking for address in ledger.held_by(request.uid)
    ]


def outcomes(book: list[AddressPool], ledger: Ledger, asking: list[Request]) -> dict[str, Outcome]:
    """What each would be told, messages included, if it alone were decided now."""
    return {request.uid: decide(request, PoolBook(book), ledger) for request in asking}


def oldest_first(asking: list[Request]) -> list[Request]:
    return sorted(asking, key=lambda request: request.age)


@given(pools, requests, st.data())
def test_the_order_of_pools_does_not_matter(book: list[AddressPool], asking: list[Request], data: Any) -> None:
    shuffled = data.draw(st.permutations(book))
    ledger = served(book, oldest_first(asking)).ledger
    assert outcomes(shuffled, ledger, asking) == outcomes(book, ledger, asking)


@given(pools, requests, st.data())
def test_how_holdings_came_about_does_not_matter(book: list[AddressPool], asking: list[Request], data: Any) -> None:
    """The ledger is filled in another order, with detours: entries for others, made and taken back."""
    assignments = served(book, oldest_first(asking))
    entries = held(assignments, asking)
    holders = [(address, request) for address, _, request in entries]
    strays = [
        (address, name, request)
        for address, _, _ in entries
        for request in asking
        for name in POOLS
        if (address, request) not in holders
    ]
    detours = data.draw(st.lists(st.sampled_from(strays), max_size=12)) if strays else []
    ledger = Ledger()
    for address, name, request in data.draw(st.permutations([*entries, *detours])):
        ledger.put(address, name, holding_of(request))
        if (address, request) not in holders:
            ledger.drop(address, request.uid)
    for address, name, request in entries:
        # On the terms that count: a detour may have left the name of its pool behind.
        ledger.put(address, name, holding_of(request))
    assert outcomes(book, ledger, asking) == outcomes(book, assignments.ledger, asking)


@given(pools, requests, st.data())
def test_in_whatever_order_services_come_the_oldest_is_served_first(
    book: list[AddressPool], asking: list[Request], data: Any
) -> None:
    """All wait before there is a pool; then the pools come, and those who wait are served as they are listed."""
    alike = []
    for order in (asking, data.draw(st.permutations(asking))):
        assignments, by_service = Assignments(), {request.service: request for request in asking}
        for request in order:
            assignments.decide(request)
        assignments.replace_pools(data.draw(st.permutations(book)))
        due = assignments.waiting()
        assert due == [request.service for request in oldest_first([by_service[key] for key in due])]
        for key in due:
            assignments.decide(by_service[key])
        alike.append((held(assignments, asking), outcomes(book, assignments.ledger, asking)))
    assert alike[0] == alike[1]


@given(pools, requests, st.data())
def test_a_controller_that_starts_explains_everything_in_the_same_words(
    book: list[AddressPool], asking: list[Request], data: Any
) -> None:
    """Holdings are taken over in the order of age, whatever the order in which they were listed."""
    before = served(book, oldest_first(asking))
    after = Assignments()
    after.replace_pools(data.draw(st.permutations(book)))
    for address, name, request in data.draw(st.permutations(held(before, asking))):
        assert after.adopt(request, address, name)
    assert outcomes(book, after.ledger, asking) == outcomes(book, before.ledger, asking)
