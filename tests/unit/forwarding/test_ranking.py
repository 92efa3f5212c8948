"""Who serves a slot and who may know its connections: balance, least movement, the same on every node."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldlb.forwarding.model import Backend, Candidate
from heraldlb.forwarding.ranking import RING, SLOTS, seats


def candidate(number: int, node: str = "", **fields: object) -> Candidate:
    backend = Backend(ip_address(0x0AF40000 + number), 8080)
    return replace(Candidate(backend, node or f"node-{number}"), **fields)  # type: ignore[arg-type]


def crowd(count: int) -> tuple[Candidate, ...]:
    return tuple(map(candidate, range(1, count + 1)))


def holders(candidates: tuple[Candidate, ...]) -> list[Backend | None]:
    return [seat.backend for seat in seats(candidates)]


@st.composite
def endpoints(draw: st.DrawFn, fewest: int = 1) -> list[Candidate]:
    """Some endpoints, several on a node, in every state."""
    return [
        candidate(
            number,
            f"node-{draw(st.integers(1, 4))}",
            weight=draw(st.sampled_from((1, 1, 3))),
            eligible=draw(st.booleans()),
            terminating=draw(st.booleans()),
        )
        for number in draw(st.sets(st.integers(1, 60), min_size=fewest, max_size=8))
    ]


@given(endpoints(), st.randoms())
def test_the_order_in_which_endpoints_are_given_does_not_matter(given: list[Candidate], chance: object) -> None:
    shuffled = list(given)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert seats(tuple(given), 97) == seats(tuple(shuffled), 97)


@given(endpoints())
def test_only_eligible_endpoints_get_connections_and_their_node_is_first(given: list[Candidate]) -> None:
    nodes = {each.backend: each.node for each in given}
    eligible = {each.backend for each in given if each.eligible}
    for backend, ring in seats(tuple(given), 97):
        assert (backend in eligible) if eligible else backend is None
        assert len(set(ring)) == len(ring) == min(RING, len(set(nodes.values())))
        assert backend is None or ring[0] == nodes[backend]


@given(endpoints(), st.integers(100, 120))
def test_an_endpoint_that_comes_takes_slots_and_moves_none_between_others(
    given: list[Candidate], number: int
) -> None:
    given = [replace(each, eligible=True) for each in given]
    comer = candidate(number)
    before, after = (seats(tuple(each), 97) for each in (given, [*given, comer]))
    for was, becomes in zip(before, after, strict=True):
        assert becomes.backend in (was.backend, comer.backend)
        # Whoever had it is asked for what is older.
        assert was.ring[0] in becomes.ring


@given(endpoints(fewest=2), st.data())
def test_an_endpoint_that_ends_gives_up_its_own_slots_and_is_asked_until_it_is_gone(
    given: list[Candidate], data: st.DataObject
) -> None:
    given = [replace(each, eligible=True, terminating=False) for each in given]
    goer = data.draw(st.sampled_from(given))
    staying = [each for each in given if each != goer]
    leaving = replace(goer, eligible=False, terminating=True)
    before, between, after = (seats(tuple(each), 97) for each in (given, [*staying, leaving], staying))
    for was, becomes, ends in zip(before, between, after, strict=True):
        assert goer.node in becomes.ring
        assert becomes.backend == ends.backend
        assert was.backend in (goer.backend, becomes.backend)


def test_all_that_end_at_once_are_asked_for_what_they_had_whoever_comes_instead() -> None:
    """As a rolling update that replaces many pods: of the new ones several may be ranked before the old."""
    old, new = crowd(10), tuple(candidate(number) for number in range(50, 70))
    nodes = {each.backend: each.node for each in old}
    leaving = tuple(replace(each, eligible=False, terminating=True) for each in old)
    for was, becomes in zip(seats(old), seats((*leaving, *new)), strict=True):
        assert was.backend is not None
        assert nodes[was.backend] in becomes.ring


@pytest.mark.parametrize("count", [2, 3, 30])
def test_slots_are_even(count: int) -> None:
    shares = Counter(holders(crowd(count))).values()
    mean = SLOTS / count
    assert len(shares) == count
    # Five standard deviations of a binomial share.
    assert all(abs(share - mean) < 5 * (mean * (1 - 1 / count)) ** 0.5 for share in shares)


def test_shares_follow_weights_and_endpoints_of_one_weight_keep_their_order() -> None:
    light, heavy = crowd(4), tuple(replace(each, weight=3) for each in crowd(2))
    before, after = holders(light), holders((*heavy, *light[2:]))
    shares = Counter(after)
    for each, expected in zip(light, (3 / 8, 3 / 8, 1 / 8, 1 / 8), strict=True):
        assert shares[each.backend] / SLOTS == pytest.approx(expected, abs=0.04)
    moved = [(was, becomes) for was, becomes in zip(before, after, strict=True) if was != becomes]
    assert {becomes for _, becomes in moved} == {each.backend for each in heavy}
    assert {was for was, _ in moved} == {each.backend for each in light[2:]}


def test_it_is_the_same_in_every_release() -> None:
    """Agents of two versions, as during an upgrade, must agree."""
    found = [[int(node[-1]) for node in seat.ring] for seat in seats(crowd(5), 97)]
    assert found[:4] == [[3, 5, 1], [2, 1, 5], [4, 2, 1], [5, 2, 3]]
