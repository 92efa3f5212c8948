"""The dashboard as an SVG picture, in Grafana's grid and colours. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from tools.dashboard.panels import Panel

COLUMN, ROW, GAP = 58, 30, 6
"""Pixels of the grid, and between panels."""

WIDTH: Final = 24 * COLUMN

COLOURS: Final[Mapping[str, str]] = {
    "green": "#56a64b",
    "orange": "#ff9830",
    "red": "#e02f44",
    "blue": "#3274d9",
}
LINES: Final = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0", "#508642")
BACKGROUND, PANEL, TEXT, FAINT = "#111217", "#181b1f", "#ccccdc", "#6e7180"

_HEADER = 26
_LEGEND = 22
_AXIS = 52


@dataclass(frozen=True, slots=True)
class Line:
    """A named series; times in Unix seconds."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Span:
    """The time that the picture shows, in Unix seconds."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    width: float
    height: float


def draw(panels: Sequence[Panel], answers: Mapping[str, Sequence[Line]], span: Span) -> str:
    """The picture; `answers` by the panels' titles."""
    height = max(panel.place.y + panel.place.height for panel in panels) * ROW
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="Inter, Helvetica, Arial, sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="{BACKGROUND}"/>',
    ]
    for panel in panels:
        parts.extend(_panel(panel, answers.get(panel.title, ()), span))
    return "\n".join([*parts, "</svg>\n"])


def _panel(panel: Panel, lines: Sequence[Line], span: Span) -> Iterator[str]:
    place = panel.place
    box = _Box(
        place.x * COLUMN + GAP / 2,
        place.y * ROW + GAP / 2,
        place.width * COLUMN - GAP,
        place.height * ROW - GAP,
    )
    if panel.kind == "row":
        yield _text(box.x + 8, box.y + 17, panel.title, size=15, weight=600)
        return
    fill = PANEL
    if panel.kind == "stat":
        fill = _colour(panel, lines[0].points[-1][1]) if lines else PANEL
    yield f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="3" fill="{fill}"/>'
    yield _text(box.x + 8, box.y + 18, panel.title, colour="#ffffff" if panel.kind == "stat" else TEXT, weight=500)
    if not lines:
        yield _text(box.x + box.width / 2, box.y + box.height / 2, "No data", colour=FAINT, anchor="middle")
        return
    drawn: dict[str, Callable[[Panel, Sequence[Line], _Box, Span], Iterator[str]]] = {
        "stat": _stat,
        "bargauge": _bars,
        "timeseries": _graph,
    }
    yield from drawn[panel.kind](panel, lines, box, span)


def _stat(panel: Panel, lines: Sequence[Line], box: _Box, _: Span) -> Iterator[str]:
    value = written(lines[0].points[-1][1], panel.unit)
    middle, bottom = box.x + box.width / 2, box.y + box.height * 0.72
    yield _text(middle, bottom, value, colour="#ffffff", size=44, anchor="middle", weight=600)


def _bars(panel: Panel, lines: Sequence[Line], box: _Box, _: Span) -> Iterator[str]:
    each = (box.height - _HEADER - 8) / len(lines)
    full = box.width - 80
    for number, line in enumerate(lines):
        value, top = line.points[-1][1], box.y + _HEADER + number * each
        colour, high = _colour(panel, value), each - 24
        yield _text(box.x + 10, top + 12, line.name)
        yield f'<rect x="{box.x + 10:g}" y="{top + 18:g}" width="{full:g}" height="{high:g}" fill="#22252b"/>'
        width = full * min(value, 1.0)
        yield f'<rect x="{box.x + 10:g}" y="{top + 18:g}" width="{width:.1f}" height="{high:g}" fill="{colour}"/>'
        where = box.x + box.width - 8, top + 18 + high / 2 + 6
        yield _text(*where, written(value, panel.unit), colour=colour, size=18, anchor="end")


def _graph(panel: Panel, lines: Sequence[Line], box: _Box, span: Span) -> Iterator[str]:
    left, top = box.x + _AXIS, box.y + _HEADER + 4
    width, height = box.width - _AXIS - 10, box.height - _HEADER - _LEGEND - 24
    ticks = scale(value for line in lines for _, value in line.points)
    low, high = ticks[0], ticks[-1]

    def x(when: float) -> float:
        return left + width * (when - span.start) / (span.end - span.start)

    def y(value: float) -> float:
        return top + height * (1 - (value - low) / (high - low))

    for tick in ticks:
        yield f'<path d="M{left:g} {y(tick):.1f}h{width:g}" stroke="#2a2d34" stroke-width="1"/>'
        yield _text(left - 6, y(tick) + 4, written(tick, panel.unit), colour=FAINT, size=11, anchor="end")
    minutes = math.floor((span.end - span.start) / 60)
    for minute in range(minutes + 1):
        where = x(span.start + 60 * minute)
        yield _text(where, top + height + 15, f"{minute} min", colour=FAINT, size=10, anchor="middle")
    for number, line in enumerate(lines):
        colour = LINES[number % len(LINES)]
        for stretch in _stretches(line.points):
            path = "L".join(f"{x(when):.1f} {y(value):.1f}" for when, value in stretch)
            foot = f"L{x(stretch[-1][0]):.1f} {y(low):.1f}L{x(stretch[0][0]):.1f} {y(low):.1f}Z"
            yield f'<path d="M{path}{foot}" fill="{colour}" fill-opacity="0.1"/>'
            yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-linejoin="round"/>'
    yield from _legend(lines, box)


def _legend(lines: Sequence[Line], box: _Box) -> Iterator[str]:
    where = box.x + 10
    for number, line in enumerate(lines):
        needed = 18 + 6.2 * len(line.name) + 10
        if where + needed > box.x + box.width:
            yield _text(where, box.y + box.height - 8, "…", size=11)
            return
        bottom = box.y + box.height - 8
        colour = LINES[number % len(LINES)]
        yield f'<rect x="{where:.0f}" y="{bottom - 6:g}" width="12" height="3" fill="{colour}"/>'
        yield _text(where + 16, bottom, line.name, size=11)
        where += needed


def _stretches(points: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """The points without those that are no number, parted where the series was away for a while."""
    steps = sorted(later - earlier for (earlier, _), (later, _) in pairwise(points))
    usual = steps[len(steps) // 2] if steps else 0.0
    found: list[list[tuple[float, float]]] = []
    for when, value in points:
        if not math.isfinite(value):
            continue
        if not found or when - found[-1][-1][0] > 1.5 * usual:
            found.append([])
        found[-1].append((when, value))
    return found


def scale(values: Iterable[float]) -> list[float]:
    """Round numbers from zero, or the lowest value if that is less, past the highest: the ticks of an axis."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min([0.0, *finite]), max([0.0, *finite])
    if high == low:
        high = low + 1.0
    rough = (high - low) / 4
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * magnitude for nice in (1.0, 2.0, 2.5, 5.0, 10.0) if nice * magnitude >= rough)
    first = math.floor(low / step)
    return [step * number for number in range(first, math.ceil(high / step - 1e-9) + 1)]


def written(value: float, unit: str) -> str:
    """The value as Grafana would write it."""
    if not math.isfinite(value):
        return "-"
    if unit == "percentunit":
        return f"{value * 100:.3g}%"
    if unit == "s":
        for factor, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if abs(value) >= factor or name == "µs":
                return f"{value / factor:.3g} {name}" if value else "0 s"
    suffix = {"reqps": " req/s", "cps": "/s", "ops": "/s", "pps": " p/s", "cpm": "/min"}.get(unit, "")
    return f"{value:.3g}{suffix}"


def _colour(panel: Panel, value: float) -> str:
    names = [name for step, name in panel.steps if value >= step]
    return COLOURS[names[-1]] if names else COLOURS["blue"]


def _text(
    x: float, y: float, text: str, *, colour: str = TEXT, size: int = 12, anchor: str = "start", weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escape(text)}</text>'
    )
