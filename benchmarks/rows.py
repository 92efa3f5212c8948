"""What a benchmark reports: named values, each held against a target if it has one. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Sense(Enum):
    """Which way of missing a target is the bad one."""

    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True)
class Row:
    """One value. `name` is stable: results are compared by it."""

    name: str
    value: float
    unit: str
    target: float | None = None
    sense: Sense = Sense.AT_MOST
    peer: Mapping[str, float] = field(default_factory=dict)
    """The same value of others, by their names."""

    @property
    def holds(self) -> bool | None:
        """Whether the target is reached; None if there is none."""
        if self.target is None:
            return None
        return self.value <= self.target if self.sense is Sense.AT_MOST else self.value >= self.target

    def as_json(self) -> dict[str, Any]:
        """The row as results are stored."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "target": self.target,
            "holds": self.holds,
            "peer": dict(self.peer),
        }


def table(rows: Sequence[Row]) -> str:
    """Rows for people, with a column for each peer."""
    peers = sorted({name for row in rows for name in row.peer})
    lines = [["NAME", "VALUE", "TARGET", "HOLDS", *(name.upper() for name in peers)]]
    for row in rows:
        target = "-" if row.target is None else f"{row.sense.value} {_number(row.target, row.unit)}"
        holds = {True: "yes", False: "NO", None: "-"}[row.holds]
        others = (_number(row.peer[name], row.unit) if name in row.peer else "-" for name in peers)
        lines.append([row.name, _number(row.value, row.unit), target, holds, *others])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ("   ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "\n".join(line.rstrip() for line in padded)


def _number(value: float, unit: str) -> str:
    return f"{value:,.4g} {unit}".rstrip()
