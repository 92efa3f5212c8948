from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from heraldlb.allocation.intervals import IntervalSet

ends = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda pair: (min(pair), max(pair)))
edits = st.lists(st.tuples(st.booleans(), ends), max_size=30)


@given(edits, ends)
def test_an_interval_set_is_a_set_of_integers(
    steps: list[tuple[bool, tuple[int, int]]], probe: tuple[int, int]
) -> None:
    intervals, model = IntervalSet(), set[int]()
    for adding, (first, last) in steps:
        if adding:
            intervals.add(first, last)
            model |= set(range(first, last + 1))
        else:
            intervals.remove(first, last)
            model -= set(range(first, last + 1))
        assert {value for first, last in intervals for value in range(first, last + 1)} == model
        assert intervals.size == len(model)
    assert all((value in intervals) is (value in model) for value in range(42))
    first, last = probe
    absent = [value for value in range(first, last + 1) if value not in model]
    assert intervals.first_gap(first, last) == (absent[0] if absent else None)
    assert intervals.overlap(first, last) == len(model & set(range(first, last + 1)))


def test_touching_intervals_melt_so_that_a_full_range_is_one() -> None:
    intervals = IntervalSet()
    for value in [3, 1, 2, 0, 5, 4]:
        intervals.add(value)
    assert list(intervals) == [(0, 5)]
