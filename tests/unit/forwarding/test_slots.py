"""Weights as slots."""

from __future__ import annotations

from collections import Counter
from math import ceil, floor

from hypothesis import given
from hypothesis import strategies as st

from heraldlb.forwarding.slots import MAX_SLOTS, apportion, interleave, usable
from tests.unit.forwarding.builders import backends

A, B, C, D, E = ALL = backends(*(f"10.244.1.{number}" for number in range(1, 6)))


def test_equal_weights_are_one_slot_each_in_order() -> None:
    assert interleave(ALL, [7] * 5) == ALL


def test_the_slots_of_a_heavy_endpoint_lie_between_those_of_the_others() -> None:
    assert interleave((A, B, C), (4, 1, 1)) == (A, B, A, A, C, A)
    assert interleave(ALL, (4, 1, 1, 1, 1)) == (A, B, A, C, A, D, A, E)


@given(st.lists(st.integers(1, 100), min_size=1, max_size=5))
def test_slots_are_in_proportion_to_weights_and_lowest_terms(weights: list[int]) -> None:
    counts = Counter(interleave(ALL[: len(weights)], weights))
    assert all(
        counts[one] * weights[j] == counts[other] * weights[i]
        for i, one in enumerate(ALL[: len(weights)])
        for j, other in enumerate(ALL[: len(weights)])
    )
    assert interleave(ALL[: len(weights)], [3 * weight for weight in weights]) == interleave(
        ALL[: len(weights)], weights
    )


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_any_stretch_of_the_round_holds_each_endpoints_share_but_for_two_turns(weights: list[int]) -> None:
    round_ = interleave(ALL[: len(weights)], weights)
    for length in range(1, len(round_)):
        for start in range(len(round_)):
            stretch = Counter((round_ * 2)[start : start + length])
            for backend, weight in zip(ALL, weights, strict=False):
                fair = length * weight / sum(weights)
                assert floor(fair) - 2 <= stretch[backend] <= ceil(fair) + 2


def test_weights_that_would_take_too_many_slots_are_rounded() -> None:
    many = backends(*(f"10.244.1.{number}" for number in range(1, 101)))
    slots = interleave(many, [*([97] * 50), *([31] * 50)])
    counts = Counter(slots)
    assert len(slots) <= MAX_SLOTS
    assert len(counts) == 100
    assert 97 / 31 * 0.75 < counts[many[0]] / counts[many[99]] < 97 / 31 * 1.25


def test_weight_0_is_left_out_while_another_has_more() -> None:
    assert usable((A, B, C), (0, 2, 0)) == ((B,), (2,))
    assert usable((A, B), (0, 0)) == ((A, B), (1, 1))
    assert usable((), ()) == ((), ())


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=40), st.integers(0, 200))
def test_seats_are_all_given_and_everybody_has_one(shares: list[float], more: int) -> None:
    seats = apportion(shares, len(shares) + more)
    assert sum(seats) == len(shares) + more
    assert min(seats) >= 1
    # Whoever has more than the one that everybody gets has no more than his share, rounded up.
    total = sum(shares)
    assert all(
        seat == 1 or seat <= ceil(share * sum(seats) / total + 1e-9)
        for seat, share in zip(seats, shares, strict=True)
    )
