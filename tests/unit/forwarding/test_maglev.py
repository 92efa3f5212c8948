"""What a Maglev table promises: balance, little movement, the same on every node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldlb.forwarding.maglev import TABLE_SIZE, fill, table
from heraldlb.forwarding.model import Backend

ENDPOINTS = [Backend(ip_address(f"10.244.{number // 200}.{number % 200 + 5}"), 8080) for number in range(200)]


def even(backends: Sequence[Backend]) -> tuple[Backend, ...]:
    return table(tuple(backends), (1,) * len(backends))


def moved(before: Sequence[Backend], after: Sequence[Backend]) -> float:
    return sum(one != other for one, other in zip(before, after, strict=True)) / TABLE_SIZE


@given(st.sets(st.sampled_from(ENDPOINTS), min_size=1, max_size=40))
def test_all_have_as_many_slots_but_for_one(backends: set[Backend]) -> None:
    counts = Counter(even(sorted(backends, key=lambda backend: backend.key)))
    assert set(counts) == backends
    assert max(counts.values()) - min(counts.values()) <= 1


@given(st.lists(st.sampled_from(ENDPOINTS), min_size=2, max_size=20, unique=True), st.randoms())
def test_the_order_in_which_endpoints_are_given_does_not_matter(backends: list[Backend], random: Random) -> None:
    weights = {backend: 1 + backend.key[0] % 3 for backend in backends}
    shuffled = random.sample(backends, len(backends))
    tables = [table(tuple(order), tuple(weights[backend] for backend in order)) for order in (backends, shuffled)]
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    ("endpoints", "spare"), [(2, 0.005), (3, 0.005), (5, 0.01), (10, 0.02), (20, 0.03), (50, 0.03), (100, 0.04)]
)
def test_losing_one_of_n_moves_its_share_and_little_else(endpoints: int, spare: float) -> None:
    backends = ENDPOINTS[:endpoints]
    before = even(backends)
    beyond = [
        moved(before, even([*backends[:gone], *backends[gone + 1 :]])) - 1 / endpoints
        for gone in range(0, endpoints, max(1, endpoints // 10))
    ]
    assert max(beyond) <= spare
    assert sum(beyond) / len(beyond) <= min(spare, 0.03)


@given(st.lists(st.integers(1, 10), min_size=2, max_size=12))
def test_slots_are_in_proportion_to_weights(weights: list[int]) -> None:
    backends = ENDPOINTS[: len(weights)]
    counts = Counter(table(tuple(backends), tuple(weights)))
    for backend, weight in zip(backends, weights, strict=True):
        assert abs(counts[backend] - TABLE_SIZE * weight / sum(weights)) <= 1 + weight / max(weights)


def test_a_weight_that_changes_moves_about_what_it_changes() -> None:
    backends = tuple(ENDPOINTS[:5])
    assert moved(table(backends, (2, 2, 2, 2, 2)), table(backends, (1, 2, 2, 2, 2))) <= 1 / 9 + 0.02


def test_an_endpoint_keeps_its_slots_when_others_are_renamed_by_their_index() -> None:
    """Identity is address and port: what stands where in the list tells nothing."""
    first, *rest = ENDPOINTS[:4]
    slots = {number for number, backend in enumerate(even([first, *rest])) if backend == rest[0]}
    without = {number for number, backend in enumerate(even(rest)) if backend == rest[0]}
    assert len(slots - without) <= 0.02 * TABLE_SIZE


def test_the_example_of_the_paper() -> None:
    first, second, third = (3, 4), (0, 2), (3, 1)
    assert fill([first, second, third], [1, 1, 1], 7) == [1, 0, 1, 0, 2, 2, 0]
    assert fill([first, third], [1, 1], 7) == [0, 0, 0, 0, 1, 1, 1]
