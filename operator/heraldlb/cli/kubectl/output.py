"""Prints a report: as text for people, or as a document for scripts."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from heraldlb.cli.kubectl.document import as_document
from heraldlb.cli.kubectl.options import Format

R = TypeVar("R")

UNBOUNDED = 1_000_000
"""A width that nothing reaches: what is piped is not wrapped."""


def show(report: R, output: Format, render: Callable[[R, bool, int], Iterable[str]]) -> None:
    """Print the report.

    `render(report, wide, width)` gives lines for people, styled with `click.style`; colours are left out where
    standard output is no terminal or `NO_COLOR` is set (no-color.org).
    """
    match output:
        case Format.JSON:
            import json

            click.echo(json.dumps(as_document(report), indent=2))
        case Format.YAML:
            import yaml

            click.echo(yaml.safe_dump(as_document(report), sort_keys=False, allow_unicode=True), nl=False)
        case _:
            lines = render(report, output is Format.WIDE, width())
            click.echo("\n".join(lines), color=None if colourful() else False)


def width() -> int:
    """Columns of the terminal; UNBOUNDED where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else UNBOUNDED


def colourful() -> bool:
    """Whether colours may be used, if the output is a terminal."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 node`, `2 nodes`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def cell(value: Any) -> str:
    """A table's cell; `-` where there is nothing to say."""
    return str(value) if value not in (None, "", ()) else "-"
