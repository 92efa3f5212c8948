"""The benchmark's frame: both clusters in turn, and the rows that compare them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.percentiles import percentile
from benchmarks.rows import Row, Sense
from benchmarks.survive import stand, throughput, trials
from benchmarks.survive.stand import FAMILIES, KUBE_PROXY, PLAIN, SURVIVAL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmarks.context import Context
    from benchmarks.survive.throughput import Rate
    from benchmarks.survive.verdict import Outcome

KEPT_TARGET: Final = 0.99
DISTURBED_TARGET: Final = 0.02
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
    by: dict[tuple[str, str], dict[str, list[Outcome]]] = defaultdict(lambda: defaultdict(list))
    for each in outcomes:
        by[each.family, each.event][each.way].append(each)
        if each.event in trials.ENDPOINT_CHANGES:
            by[each.family, "endpoint_change"][each.way].append(each)
    rows = []
    for (family, event), ways in by.items():
        name = f"survive.{family}.{event}"
        if event in (trials.PLANNED, trials.POWER_OFF):
            rows += _row(f"{name}.kept_ratio", "", ways, kept_ratio, KEPT_TARGET, Sense.AT_LEAST)
        else:
            target = DISTURBED_TARGET if event == "endpoint_change" else None
            rows += _row(f"{name}.disturbed_ratio", "", ways, lambda some: 1 - kept_ratio(some), target)
        for percent in (50, 99):
            rows += _row(f"{name}.silence_p{percent}_ms", "ms", ways, lambda some, p=percent: silence_ms(some, p))
    return rows


def throughput_rows(rates: Iterable[Rate]) -> list[Row]:
    """Pure."""
    by: dict[tuple[str, str, str], dict[str, Rate]] = defaultdict(dict)
    for each in rates:
        by[each.family, each.what, each.direction][each.way] = each
    rows = []
    for (family, what, direction), ways in by.items():
        if what in ("single", "per_client"):
            rows += _row(f"survive.{family}.{what}.{direction}_links", "", ways, throughput.links)
            continue
        name = f"survive.{family}.{'' if what == '1' else f'{what}_streams.'}{direction}.throughput_ratio_to_plain"
        if plain := ways.get(PLAIN):
            rows += _row(name, "", ways, lambda rate, plain=plain: rate.bits / plain.bits)
    return rows


def kept_ratio(outcomes: Sequence[Outcome]) -> float:
    """Of all connections together. Pure."""
    return sum(each.kept for each in outcomes) / max(sum(each.held for each in outcomes), 1)


def silence_ms(outcomes: Sequence[Outcome], percent: float) -> float:
    """Of the connections that were kept; 0 where none was. Pure."""
    silences = [each for outcome in outcomes for each in outcome.silences]
    return 1000 * percentile(silences, percent) if silences else 0.0
