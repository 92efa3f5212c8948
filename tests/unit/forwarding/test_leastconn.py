"""Least connections by slots that follow the counts."""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldlb.forwarding.leastconn import LEAST, MOST, SLOTS_EACH, Loads, least_connections, settled
from heraldlb.forwarding.model import Backend
from heraldlb.forwarding.slots import MAX_SLOTS
from tests.unit.forwarding.builders import backends

A, B, C, D, E = ALL = backends(*(f"10.244.1.{number}" for number in range(1, 6)))
EVEN = (1,) * 5


def shares(connections: tuple[int, ...], weights: tuple[int, ...] = EVEN) -> list[int]:
    counts = Counter(least_connections(ALL, weights, connections))
    return [counts[backend] for backend in ALL]


def test_who_is_equally_busy_gets_equally_many() -> None:
    assert shares((0,) * 5) == shares((70,) * 5) == [SLOTS_EACH] * 5


def test_the_busier_gets_less_and_the_one_that_has_just_started_more_but_not_all() -> None:
    assert shares((90, 60, 60, 60, 30)) == sorted(shares((90, 60, 60, 60, 30)))
    *others, started = shares((1_000, 1_000, 1_000, 1_000, 0))
    assert 3 * max(others) < started < 2 * sum(others)


def test_weights_say_how_busy_is_equally_busy() -> None:
    assert shares((30, 10, 10, 10, 10), (3, 1, 1, 1, 1)) == shares((0,) * 5, (3, 1, 1, 1, 1))
    assert shares((10,) * 5, (3, 1, 1, 1, 1))[0] > shares((30, 10, 10, 10, 10), (3, 1, 1, 1, 1))[0]


@given(st.lists(st.tuples(st.integers(1, 100), st.integers(0, 100_000)), min_size=1, max_size=60))
def test_nobody_is_left_out_and_shares_stay_within_bounds(endpoints: list[tuple[int, int]]) -> None:
    many = backends(*(f"10.244.2.{number}" for number in range(1, len(endpoints) + 1)))
    weights, connections = zip(*endpoints, strict=True)
    slots = least_connections(many, weights, connections)
    counts = Counter(slots)
    assert set(counts) == set(many)
    assert len(slots) == min(MAX_SLOTS, SLOTS_EACH * len(many))
    for backend, weight in zip(many, weights, strict=True):
        fair = len(slots) * weight / sum(weights)
        assert counts[backend] <= max(1, fair * MOST / LEAST + 1)


def test_a_small_change_of_the_counts_moves_few_slots() -> None:
    before = least_connections(ALL, EVEN, (40, 50, 60, 50, 40))
    after = least_connections(ALL, EVEN, (44, 50, 57, 50, 40))
    assert sum(one != other for one, other in zip(before, after, strict=True)) <= 8


def test_counts_that_hardly_change_change_nothing_and_others_are_followed_half_way() -> None:
    before = {("TCP", A): 100, ("TCP", B): 3, ("TCP", C): 100}
    now = {("TCP", A): 110, ("TCP", B): 5, ("TCP", C): 120, ("TCP", D): 1, ("TCP", E): 10}
    expected = {("TCP", A): 100, ("TCP", B): 3, ("TCP", C): 110, ("TCP", D): 0, ("TCP", E): 5}
    assert settled(before, now) == expected


def busiest_to_mean(*, counting: bool, per_second: float, seconds: float, slow: float) -> float:
    """Clients come at random; on the first endpoint their connections last `slow` times as long as elsewhere."""
    random = Random(1)  # noqa: S311
    now, counted = 0.0, 0.0
    ends: list[tuple[float, Backend]] = []
    open_ = Counter(dict.fromkeys(ALL, 0))
    loads: Loads = {}
    slots = least_connections(ALL, EVEN, (0,) * 5)
    samples = []
    while now < 200:
        now += random.expovariate(per_second)
        while ends and ends[0][0] <= now:
            open_[heappop(ends)[1]] -= 1
        if now - counted >= 2:
            counted = now
            samples.append(max(open_.values()) * len(ALL) / max(1, open_.total()))
            if counting:
                loads = settled(loads, {("TCP", backend): open_[backend] for backend in ALL})
                slots = least_connections(ALL, EVEN, [loads["TCP", backend] for backend in ALL])
        chosen = random.choice(slots)
        open_[chosen] += 1
        heappush(ends, (now + random.expovariate(1 / (seconds * (slow if chosen is A else 1))), chosen))
    return sum(samples[30:]) / len(samples[30:])


@pytest.mark.parametrize("per_second", [20, 100])
def test_open_connections_even_out_where_some_last_longer(per_second: int) -> None:
    assert busiest_to_mean(counting=False, per_second=per_second, seconds=10, slow=4) > 2
    assert busiest_to_mean(counting=True, per_second=per_second, seconds=10, slow=4) < 1.55


def test_short_connections_do_not_swing_to_and_fro() -> None:
    by_chance = busiest_to_mean(counting=False, per_second=200, seconds=0.5, slow=1)
    assert busiest_to_mean(counting=True, per_second=200, seconds=0.5, slow=1) < 1.2 * by_chance
