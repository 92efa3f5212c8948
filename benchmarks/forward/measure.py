"""The benchmark's frame: who is tried with how many Services, and the rows."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from benchmarks.forward import data_path, objects
from benchmarks.forward.contestants import Herald, KubeProxy
from benchmarks.forward.data_path import DIRECT, ratio
from benchmarks.forward.site import HERALD, KUBE_PROXY, ForwardingSite
from benchmarks.forward.trial import ROLLING_SLICES, Result, Trial
from benchmarks.percentiles import percentile
from benchmarks.rows import Row, Sense
from lab.api_client import UNREACHABLE, Api, ApiError
from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.context import Context
    from benchmarks.forward.contestants import Contestant
    from benchmarks.forward.data_path import Turns

PEER: Final = KubeProxy().name
_MEGABYTE: Final = 1_000_000
_COLD_RATIO: Final = {5_000: 1.0, 10_000: 0.4}
_RSS_RATIO: Final = {5_000: 1.3, 10_000: 1.0}
_CHANGE_MS: Final = {5_000: 60.0, 10_000: 60.0}
_ROLLING_S: Final = 1.0
_RATIO: Final = 1.0
_PLACEMENTS: Final[Sequence[Sequence[Contestant]]] = (
    (Herald(), KubeProxy()),
    (Herald(KUBE_PROXY), KubeProxy(HERALD)),
)
"""Each contestant's rules on either node, for what packets pay."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    sizes: tuple[int, ...] = (100, 1_000, 5_000, 10_000)
    """Numbers of Services, ascending."""
    data_path_sizes: tuple[int, ...] = (10, 10_000)
    changes: int = 100
    peer_changes: int = 20
    """Of kube-proxy, which takes seconds for each."""
    rounds: int = 24
    """Turns of each way of the data path, on each of the two nodes."""


@dataclass(frozen=True, slots=True)
class Trials:
    """All that was measured with so many Services."""

    herald: Result
    peer: Result
    with_speaker: Result


def run(context: Context) -> list[Row]:
    """How fast Services and changes reach the kernel, and packets their endpoints; beside kube-proxy (nftables).

    At 100, 1,000, 5,000 and 10,000 Services with three endpoints each; some twenty minutes. Raises LabError.
    """
    return measure(Extent(), context)


def measure(extent: Extent, context: Context) -> list[Row]:
    """As `run`. Raises LabError."""
    context.progress("Starting the API server and the nodes ...")
    with ForwardingSite() as site:
        try:
            return asyncio.run(_measure(site, extent, context))
        except (ApiError, *UNREACHABLE) as error:
            raise LabError(f"a request of the benchmark failed: {error!r}") from None


async def _measure(site: ForwardingSite, extent: Extent, context: Context) -> list[Row]:
    rows: list[Row] = []
    there = 0
    async with Api(site.url, site.pki / "ca.crt", site.pki / "probe.pem") as api:
        await objects.create_cluster(api, site.crds(), site.hosts.values())
        for size in sorted({*extent.sizes, *extent.data_path_sizes}):
            context.progress(f"{size:,} Services: creating them ...")
            await objects.create(api, range(there + 1, size + 1))
            there = size
            if size in extent.sizes:
                rows += speed_rows(await _speed(site, api, size, extent, context))
            if size in extent.data_path_sizes:
                context.progress(f"{size:,} Services: the data path ...")
                placements = [
                    await _data_path(site, api, size, contestants, extent.rounds) for contestants in _PLACEMENTS
                ]
                context.samples[f"forward.{size}.data_path"] = [
                    {name: asdict(rates) for name, rates in turns.items()} for turns in placements
                ]
                rows += data_path_rows(size, placements)
    return rows


async def _data_path(
    site: ForwardingSite, api: Api, size: int, contestants: Sequence[Contestant], rounds: int
) -> Turns:
    for contestant in contestants:
        async with Trial(site, api, contestant, size).started():
            pass
    return await asyncio.to_thread(data_path.measure, site, size, contestants, rounds)


async def _speed(site: ForwardingSite, api: Api, size: int, extent: Extent, context: Context) -> Trials:
    async def measured(contestant: Contestant, changes: int) -> Result:
        context.progress(f"{size:,} Services: {contestant.name} ...")
        trial = Trial(site, api, contestant, size)
        async with trial.started() as result:
            await trial.measure_idle(result)
            if changes:
                await trial.measure_changes(result, changes)
                if size >= ROLLING_SLICES:
                    await trial.measure_rolling(result)
        context.samples.setdefault(f"forward.{size}", []).append({"name": contestant.name, **result.as_json()})
        context.progress(
            f"{size:,} Services: {contestant.name} programmed them {result.cold_s:.2f} s after its start"
        )
        return result

    return Trials(
        with_speaker=await measured(Herald(with_speaker=True), 0),
        herald=await measured(Herald(), extent.changes),
        peer=await measured(KubeProxy(), extent.peer_changes),
    )


def speed_rows(trials: Trials) -> list[Row]:
    """Of what happens in the agent, and in kube-proxy. Pure."""
    ours, peer, both = trials.herald, trials.peer, trials.with_speaker
    size = ours.services

    def row(name: str, value: float, unit: str, target: float | None = None, other: float | None = None) -> Row:
        beside = {} if other is None else {PEER: other}
        return Row(f"forward.{size}.{name}", value, unit, target, peer=beside)

    found = [
        row("cold_s", round(ours.cold_s, 3), "s", other=round(peer.cold_s, 3)),
        row("cold_ratio_kube_proxy", round(ours.cold_s / peer.cold_s, 3), "", _COLD_RATIO.get(size)),
        row("cold_with_speaker_s", round(both.cold_s, 3), "s"),
        row("change_p50_ms", _ms(ours.change_s, 50), "ms", other=_ms(peer.change_s, 50)),
        row("change_p99_ms", _ms(ours.change_s, 99), "ms", _CHANGE_MS.get(size), _ms(peer.change_s, 99)),
        row("rss_mb", _mb(ours.rss), "MB", other=_mb(peer.rss)),
        row("rss_ratio_kube_proxy", round(ours.rss / peer.rss, 3), "", _RSS_RATIO.get(size)),
        row("rss_with_speaker_mb", _mb(both.rss), "MB"),
        row("peak_rss_mb", _mb(ours.peak_rss), "MB", other=_mb(peer.peak_rss)),
        row("idle_cpu_percent", round(ours.idle_cpu * 100, 2), "%", other=round(peer.idle_cpu * 100, 2)),
        row("idle_cpu_with_speaker_percent", round(both.idle_cpu * 100, 2), "%"),
    ]
    if ours.rolling_s:
        other = round(max(peer.rolling_s), 3)
        found.append(row("rolling_worst_s", round(max(ours.rolling_s), 3), "s", _ROLLING_S, other))
    return found


def data_path_rows(size: int, placements: Sequence[Turns]) -> list[Row]:
    """Of what packets meet in the kernel. Pure."""

    def rates(what: str, way: str) -> list[list[float]]:
        return [getattr(turns[way], what) for turns in placements]

    found = []
    for name, what, digits, unit, scale in (
        ("cps", "connections", 0, "/s", 1.0),
        ("throughput", "throughput", 2, "Gbit/s", 1e9),
    ):
        prefix = f"forward.{size}.{name}"
        own, others, bare = rates(what, Herald().name), rates(what, PEER), rates(what, DIRECT)
        here, there = (round(median(itertools.chain(*each)) / scale, digits) for each in (own, others))
        found += [
            Row(f"{prefix}_ratio", round(ratio(own, others), 3), "", _RATIO, Sense.AT_LEAST),
            Row(
                f"{prefix}_ratio_direct", round(ratio(own, bare), 3), "", peer={PEER: round(ratio(others, bare), 3)}
            ),
            Row(f"{prefix}", here, unit, peer={PEER: there}),
        ]
    return found


def _ms(samples: Sequence[float], percent: float) -> float:
    return round(percentile(samples, percent) * 1000, 2)


def _mb(size: int) -> float:
    return round(size / _MEGABYTE, 1)
