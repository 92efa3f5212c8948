"""Percentiles of few samples. Pure."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def percentile(samples: Sequence[float], percent: float) -> float:
    """The least sample that at least `percent` of all samples do not exceed (the nearest rank).

    Always a value that was measured: of 100 samples, p99 is the second greatest; of fewer, the greatest.
    Raises ValueError without samples, or unless 0 < percent <= 100.
    """
    if not samples:
        raise ValueError("there is no percentile of no samples")
    if not 0 < percent <= 100:
        raise ValueError(f"percent: {percent} is not above 0 and at most 100")
    # Exact, for the decimal number that was written: 99.9 is not a binary fraction.
    rank = math.ceil(Fraction(str(percent)) * len(samples) / 100)
    return sorted(samples)[rank - 1]
