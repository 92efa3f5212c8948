"""Others, measured in the same run. What their command has to do, each benchmark says: see README.md."""

from __future__ import annotations

import json
import math
import shlex
import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchmarks.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.context import Context

    Values = Mapping[str, tuple[float, str]]
    """What was measured of a peer: values and units by row name."""


class PeerError(Exception):
    """The command failed, or did not print what it should; says which peer and what was wrong."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Someone to compare with."""

    name: str
    command: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Peer:
        """From NAME=COMMAND, the command quoted as for a shell. Raises ValueError."""
        name, separator, command = text.partition("=")
        words = tuple(shlex.split(command))
        if not (name and separator and words):
            raise ValueError(f"{text!r} is not NAME=COMMAND")
        return cls(name, words)

    def measure(self) -> Values:
        """Run the command to its end and read the rows that it prints. Its stderr is shown. Raises PeerError."""
        try:
            done = subprocess.run(self.command, stdout=subprocess.PIPE, text=True, check=False)
        except OSError as error:
            raise PeerError(f"peer {self.name}: {error}") from None
        if done.returncode != 0:
            raise PeerError(f"peer {self.name}: {shlex.join(self.command)} ended with {done.returncode}")
        try:
            return parse_rows(done.stdout)
        except ValueError as error:
            raise PeerError(f"peer {self.name}: {error}") from None


def measure_printed(peer: Peer, context: Context, ours: Sequence[Row]) -> Values:
    """A peer that measures itself and prints rows of our names. Raises PeerError."""
    return peer.measure()


def parse_rows(text: str) -> Values:
    """Values and units by name, from `{"rows": [...]}` or the bare list. Raises ValueError that names the row."""
    document: Any = json.loads(text)
    rows = document.get("rows") if isinstance(document, dict) else document
    if not isinstance(rows, list):
        raise ValueError('expected {"rows": [...]} or a list of rows on stdout')  # noqa: TRY004 - the contents are wrong
    found = {}
    for index, row in enumerate(rows):
        match row:
            case {"name": str(name), "value": int() | float() as value} if math.isfinite(value):
                found[name] = (float(value), str(row.get("unit", "")))
            case _:
                raise ValueError(f"row {index} lacks a name or a finite value: {json.dumps(row)}")
    return found


def beside(rows: Sequence[Row], peer: str, values: Values) -> list[Row]:
    """The rows, with the peer's values where it has them. Raises PeerError if a unit differs."""
    return [_beside(row, peer, *values[row.name]) if row.name in values else row for row in rows]


def _beside(row: Row, peer: str, value: float, unit: str) -> Row:
    if unit != row.unit:
        raise PeerError(f"peer {peer}: {row.name} is in {unit or 'no unit'}, expected {row.unit}")
    return replace(row, peer={**row.peer, peer: value})
