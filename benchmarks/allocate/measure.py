"""The benchmark's frame: who is tried in what order, and the rows."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Final

from benchmarks import allocator
from benchmarks.allocate import trial, writes
from benchmarks.allocate.contestants import Bare, Contestant, Herald, Other
from benchmarks.peers import PeerError
from benchmarks.percentiles import percentile
from benchmarks.rows import Row, Sense
from lab import binaries
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.allocate.trial import Result
    from benchmarks.context import Context
    from benchmarks.peers import Peer, Values

_FEW: Final = 1_000
_MANY: Final = 5_000
_CONCURRENCIES: Final = (8, 16, 32, 64)
_CEILING: Final = "allocate.ceiling_per_s"
_MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Trials:
    """What is measured of every controller."""

    few: Result
    many: Result


def run(context: Context) -> list[Row]:
    """How fast Services that wait, and those that come, are given addresses; against a bare client's writes.

    Ceiling, Herald, ceiling with 1,000 Services and again with 5,000, each on an API server of its own; the pure
    allocator by itself. Raises LabError.
    """
    bare = _best_ceiling(context)
    ceilings: dict[int, list[float]] = {}
    results: dict[int, Result] = {}
    for count in (_FEW, _MANY):
        before = _try(context, bare, count)
        results[count] = _try(context, Herald(), count, steady=count == _MANY)
        ceilings[count] = [before.rate, _try(context, bare, count).rate]
    ceiling, drift = fmean(ceilings[_MANY]), max(ceilings[_MANY]) / min(ceilings[_MANY])
    return [
        *rows(Trials(results[_FEW], results[_MANY]), ceiling),
        Row(_CEILING, round(ceiling, 1), "/s"),
        Row("allocate.ceiling_drift", round(drift, 2), ""),
        *allocator.run(context),
    ]


def measure_peer(peer: Peer, context: Context, ours: Sequence[Row]) -> Values:
    """Another controller, in the same way, against the ceiling of this run. Raises PeerError."""
    [ceiling] = [row.value for row in ours if row.name == _CEILING]
    try:
        contestant = Other(peer.name, peer.command, binaries.find("kubectl"))
        trials = Trials(_try(context, contestant, _FEW), _try(context, contestant, _MANY, steady=True))
    except (LabError, OSError) as error:
        raise PeerError(f"peer {peer.name}: {error}") from None
    return {row.name: (row.value, row.unit) for row in rows(trials, ceiling)}


def rows(trials: Trials, ceiling: float) -> list[Row]:
    """The rows of one controller. `ceiling`: Services per second of the bare client. Pure."""
    many = trials.many
    events, pools = writes.of_events(many.writes), writes.of_pools(many.writes)
    others = writes.beside_leases(many.writes) - events - pools
    return [
        Row("allocate.ceiling_ratio", round(many.rate / ceiling, 3), "", 0.75, Sense.AT_LEAST),
        Row("allocate.rate_5000_per_s", round(many.rate, 1), "/s"),
        Row("allocate.rate_1000_per_s", round(trials.few.rate, 1), "/s"),
        Row("allocate.steady_p50_ms", _milliseconds(many, 50), "ms", 40.0),
        Row("allocate.steady_p99_ms", _milliseconds(many, 99), "ms", 150.0),
        Row("allocate.writes_per_service", round(others / many.services, 3), "", 2.0),
        Row("allocate.pool_writes", pools, ""),
        Row("allocate.events_per_service", round(events / many.services, 3), ""),
        Row("allocate.cpu_s", round(many.used.cpu_s, 2), "s"),
        Row("allocate.peak_rss_mb", round(many.peak_rss / _MEGABYTE, 1), "MB", 150.0),
    ]


def _milliseconds(result: Result, percent: float) -> float:
    return round(percentile(result.steady_s, percent) * 1000, 2)


def _best_ceiling(context: Context) -> Bare:
    """The ceiling at the concurrency that is best for it on this machine."""
    rates = {each: _try(context, Bare(each), _FEW).rate for each in _CONCURRENCIES}
    return Bare(max(rates, key=rates.__getitem__))


def _try(context: Context, contestant: Contestant, count: int, *, steady: bool = False) -> Result:
    result = trial.run(contestant, count, context.progress, steady=steady)
    context.samples.setdefault(f"allocate, {contestant.name}", []).append(result.as_json())
    return result
