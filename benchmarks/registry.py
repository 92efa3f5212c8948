"""The benchmarks there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks import allocate, allocator, first_address, forward
from benchmarks.peers import measure_printed
from benchmarks.speaker import measure as speaker
from benchmarks.survive import measure as survive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.context import Context
    from benchmarks.peers import Peer, Values
    from benchmarks.rows import Row


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What is measured, and how others are measured beside it."""

    run: Callable[[Context], list[Row]]
    """Raises LabError if it cannot measure."""
    measure_peer: Callable[[Peer, Context, Sequence[Row]], Values] = measure_printed
    """Of a peer, after our own rows. Raises PeerError. Unless given, the peer prints its rows."""

    @property
    def description(self) -> str:
        """What it measures, in a line."""
        return (self.run.__doc__ or "").partition("\n")[0]


BENCHMARKS: Final[dict[str, Benchmark]] = {
    "allocate": Benchmark(allocate.run, allocate.measure_peer),
    "allocator": Benchmark(allocator.run),
    "first-address": Benchmark(first_address.run),
    "forward": Benchmark(forward.run),
    "speaker": Benchmark(speaker.run),
    "survive": Benchmark(survive.run),
}
