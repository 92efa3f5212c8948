"""The benchmarks there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from benchmarks import first_address

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.context import Context
    from benchmarks.rows import Row

    Benchmark = Callable[[Context], list[Row]]
    """Raises LabError if it cannot measure."""

BENCHMARKS: Final[dict[str, Benchmark]] = {
    "first-address": first_address.run,
}


def description(name: str) -> str:
    """What the benchmark measures, in a line."""
    return (BENCHMARKS[name].__doc__ or "").partition("\n")[0]
