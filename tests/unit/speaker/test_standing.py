"""Who may own addresses, step by step, and how long a probation lasts."""

from __future__ import annotations

import pytest

from heraldlb.speaker.constants import DAMPING_MEMORY, PROBATION_MAX
from heraldlb.speaker.damping import Damping
from heraldlb.speaker.standing import Standing, Surroundings, next_standing


def around(
    heard: int, *, established: bool = False, held_out: bool = False, grace_over: bool = False
) -> Surroundings:
    return Surroundings(
        peers=2, heard=heard, grace_over=grace_over, witnessed=False, established=established, held_out=held_out
    )


@pytest.mark.parametrize(
    ("current", "surroundings", "following"),
    [
        (Standing.JOINING, around(1), Standing.JOINING),
        (Standing.JOINING, around(2), Standing.SERVING),
        (Standing.JOINING, around(2, established=True), Standing.PROBATION),
        (Standing.JOINING, around(1, established=True, grace_over=True), Standing.PROBATION),
        (Standing.JOINING, around(0, grace_over=True), Standing.ISOLATED),
        (Standing.PROBATION, around(2, established=True), Standing.PROBATION),
        (Standing.PROBATION, around(2, established=True, held_out=True), Standing.SERVING),
        (Standing.PROBATION, around(2), Standing.SERVING),
        (Standing.PROBATION, around(0), Standing.ISOLATED),
        (Standing.SERVING, around(2), Standing.SERVING),
        (Standing.SERVING, around(2, held_out=True), Standing.ESTABLISHED),
        (Standing.ESTABLISHED, around(2, established=True, held_out=True), Standing.ESTABLISHED),
        (Standing.ESTABLISHED, around(0), Standing.ISOLATED),
        (Standing.ISOLATED, around(0), Standing.ISOLATED),
        (Standing.ISOLATED, around(1), Standing.JOINING),
        (Standing.LEAVING, around(0), Standing.LEAVING),
    ],
)
def test_one_step(current: Standing, surroundings: Surroundings, following: Standing) -> None:
    assert next_standing(current, surroundings) is following


def test_probation_doubles_with_each_recent_failure_up_to_a_limit_and_is_short_again_later() -> None:
    damping = Damping(10.0)
    found = [damping.probation(0.0)]
    for _ in range(7):
        damping.failed(0.0)
        found.append(damping.probation(0.0))
    assert found == [10.0, 10.0, 20.0, 40.0, 80.0, 160.0, PROBATION_MAX, PROBATION_MAX]
    assert damping.probation(DAMPING_MEMORY) == 10.0
