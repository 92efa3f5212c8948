"""Percentiles, of few samples above all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.percentiles import percentile

_HUNDRED = [float(number) for number in range(1, 101)]


@pytest.mark.parametrize(
    ("samples", "percent", "expected"),
    [
        pytest.param([7.0], 50, 7.0, id="p50 of one"),
        pytest.param([7.0], 99, 7.0, id="p99 of one"),
        pytest.param([1.0, 2.0], 50, 1.0, id="p50 of two"),
        pytest.param([1.0, 2.0], 51, 2.0, id="p51 of two"),
        pytest.param([3.0, 1.0, 2.0], 50, 2.0, id="p50 of three, unsorted"),
        pytest.param([1.0, 2.0, 3.0], 99, 3.0, id="p99 of three"),
        pytest.param(_HUNDRED, 50, 50.0, id="p50 of a hundred"),
        pytest.param(_HUNDRED, 99, 99.0, id="p99 of a hundred"),
        pytest.param(_HUNDRED, 100, 100.0, id="p100 of a hundred"),
        pytest.param(_HUNDRED[:99], 99, 99.0, id="p99 of ninety-nine"),
        pytest.param([float(number) for number in range(1, 1001)], 99.9, 999.0, id="p99.9 of a thousand"),
    ],
)
def test_nearest_rank(samples: list[float], percent: float, expected: float) -> None:
    assert percentile(samples, percent) == expected


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.integers(min_value=1, max_value=100))
def test_it_is_the_least_sample_that_so_many_do_not_exceed(samples: list[float], percent: int) -> None:
    value = percentile(samples, percent)
    assert value in samples
    assert 100 * sum(sample <= value for sample in samples) >= percent * len(samples)
    assert 100 * sum(sample < value for sample in samples) < percent * len(samples)


@pytest.mark.parametrize("percent", [0, -1, 100.5])
def test_percent_out_of_range_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="percent"):
        percentile([1.0], percent)


def test_no_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)
