"""The benchmark's frame: both clusters in turn, and the rows that compare them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from benchmarks.percentiles import percentile
from benchmarks.rows import Row, Sense
from benchmarks.survive import stand, throughput, trials
from benchmarks.survive.stand import PLAIN, SURVIVAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmarks.context import Context
    from benchmarks.survive.throughput import Rate
    from benchmarks.survive.verdict import Outcome

T = TypeVar("T")

KEPT_TARGET: Final = 0.99
DISTURBED_TARGET: Final = 0.02
THROUGHPUT_TARGET: Final = 0.9
ENDPOINT_CHANGE: Final = "endpoint_change"
"""All of these together."""
PARTS: Final = ("throughput", "connections")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    parts: Sequence[str] = PARTS
    connections: trials.Extent = trials.Extent()  # noqa: RUF009 - it is frozen
    rounds: int = 7
    """Of each way's turns at bytes a second."""
    setups: Sequence[stand.Setup] = (stand.HERALD, stand.BESIDE_KUBE_PROXY)


def run(context: Context) -> list[Row]:
    """Open connections while addresses move and endpoints change; throughput; beside kube-proxy's way.

    Raises LabError.
    """
    return measure(Extent(), context)


def measure(extent: Extent, context: Context) -> list[Row]:
    """Raises LabError."""
    outcomes: list[Outcome] = []
    rates: list[Rate] = []
    for setup in extent.setups:
        with stand.opened(setup, context.progress) as opened:
            if "throughput" in extent.parts:
                rates += throughput.run(opened, extent.rounds, context.progress)
            if "connections" in extent.parts:
                outcomes += trials.run(opened, extent.connections, context.progress)
    context.samples["connections"] = [each.as_json() for each in outcomes]
    context.samples["throughput"] = [asdict(each) for each in rates]
    return [*connection_rows(outcomes), *throughput_rows(rates)]


def connection_rows(outcomes: Iterable[Outcome]) -> list[Row]:
    """Pure."""
    by: dict[tuple[str, str, str], dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for each in outcomes:
        by[each.family, each.event, each.protocol][each.way].append(each)
        if each.event in trials.ENDPOINT_CHANGES:
            by[each.family, ENDPOINT_CHANGE, each.protocol][each.way].append(each)
    rows = []
    for (family, event, protocol), ways in by.items():
        name = f"survive.{family}.{event}" + (".udp" if protocol == "udp" else "")
        if event in (trials.PLANNED, trials.POWER_OFF):
            rows += _row(f"{name}.kept_ratio", ways, kept_ratio, KEPT_TARGET, Sense.AT_LEAST)
        else:
            target = DISTURBED_TARGET if event == ENDPOINT_CHANGE else None
            rows += _row(f"{name}.disturbed_ratio", ways, lambda some: 1 - kept_ratio(some), target)
        rows += _row(f"{name}.silence_p50_ms", ways, lambda some: silence_ms(some, 50))
        rows += _row(f"{name}.silence_p99_ms", ways, lambda some: silence_ms(some, 99))
    return rows


def throughput_rows(rates: Iterable[Rate]) -> list[Row]:
    """Pure."""
    by: dict[tuple[str, str, str], dict[str, Rate]] = defaultdict(dict)
    for each in rates:
        by[each.family, each.what, each.direction][each.way] = each
    rows, least = [], dict[str, dict[str, float]]()
    for (family, what, direction), ways in by.items():
        if what in throughput.SHARINGS:
            rows += _row(f"survive.{family}.{what}.{direction}_links", ways, throughput.links)
        elif PLAIN in ways:
            ratios = {way: rate.bits / ways[PLAIN].bits for way, rate in ways.items() if way != PLAIN}
            rows += _row(f"survive.{family}.{direction}_{what}.throughput_ratio_to_plain", ratios, float)
            so_far = least.setdefault(family, ratios)
            least[family] = {way: min(ratio, so_far[way]) for way, ratio in ratios.items()}
    for family, ratios in least.items():
        name = f"survive.{family}.throughput_ratio_to_plain"
        rows += _row(name, ratios, float, THROUGHPUT_TARGET, Sense.AT_LEAST)
    return rows


def kept_ratio(outcomes: Sequence[Outcome]) -> float:
    """Of all together. Pure."""
    return sum(each.kept for each in outcomes) / max(sum(each.held for each in outcomes), 1)


def silence_ms(outcomes: Sequence[Outcome], percent: float) -> float:
    """Of those that were kept; 0 where none was. Pure."""
    silences = [each for outcome in outcomes for each in outcome.silences]
    return 1000 * percentile(silences, percent) if silences else 0.0


def _row(
    name: str,
    ways: Mapping[str, T],
    value: Callable[[T], float],
    target: float | None = None,
    sense: Sense = Sense.AT_MOST,
) -> list[Row]:
    """That of the way on which connections survive, the others' beside it; none where it was not measured."""
    if SURVIVAL not in ways:
        return []
    unit = "ms" if name.endswith("_ms") else ""
    peers = {way: value(found) for way, found in ways.items() if way != SURVIVAL}
    return [Row(name, value(ways[SURVIVAL]), unit, target, sense, peers)]
