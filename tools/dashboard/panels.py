"""The dashboard as far as a picture of it needs to know it. Pure but for `load`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
DASHBOARD: Final = ROOT / "charts" / "heraldlb" / "dashboards" / "heraldlb.json"

_FIELD = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Target:
    """One query of a panel."""

    expression: str
    legend: str

    def query(self, rate_interval: str) -> str:
        """As Grafana sends it: `$__rate_interval` is four times the scrape interval."""
        return self.expression.replace("$__rate_interval", rate_interval)

    def name(self, labels: Mapping[str, str]) -> str:
        """What the legend calls a series."""
        return _FIELD.sub(lambda field: labels.get(field[1], ""), self.legend)


@dataclass(frozen=True, slots=True)
class Place:
    """In Grafana's grid of 24 columns; a row is 30 pixels high."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Panel:
    """`kind`: row, stat, bargauge or timeseries. `steps`: colours by the value from which they hold."""

    kind: str
    title: str
    place: Place
    unit: str = "short"
    targets: tuple[Target, ...] = ()
    steps: tuple[tuple[float, str], ...] = ()


def load(path: Path = DASHBOARD) -> list[Panel]:
    """The chart's dashboard, in its order."""
    return [_panel(raw) for raw in json.loads(path.read_text())["panels"]]


def _panel(raw: Mapping[str, Any]) -> Panel:
    grid, defaults = raw["gridPos"], raw.get("fieldConfig", {}).get("defaults", {})
    steps = defaults.get("thresholds", {}).get("steps", ())
    fixed = defaults.get("color", {}).get("fixedColor")
    return Panel(
        kind=raw["type"],
        title=raw["title"],
        place=Place(grid["x"], grid["y"], grid["w"], grid["h"]),
        unit=defaults.get("unit", "short"),
        targets=tuple(Target(each["expr"], each.get("legendFormat", "")) for each in raw.get("targets", ())),
        steps=((float("-inf"), fixed),) if fixed else tuple(map(_step, steps)),
    )


def _step(raw: Mapping[str, Any]) -> tuple[float, str]:
    value = raw["value"]
    return float("-inf") if value is None else float(value), raw["color"]
