"""Tables as kubectl prints them: columns under headings, two blanks apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, indent: str = "") -> list[str]:
    """Lines of the table. Cells may be styled; they are never wrapped, so that lines can be cut by column."""
    # It takes as long as everything else that help needs.
    from tabulate import tabulate

    cells = [list(row) for row in rows]
    lines = tabulate(cells, headers=list(head), tablefmt="plain", disable_numparse=True, preserve_whitespace=True)
    return [f"{indent}{line.rstrip()}" for line in lines.splitlines()]
