"""The little Markdown that the page is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def code(text: object) -> str:
    """`text` in code quotes."""
    return f"`{text}`"


def link(text: str, heading: str | None = None) -> str:
    """A link to the heading of this page that is a single word."""
    return f"[{text}](#{(heading or text).lower()})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; `|` in cells is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def sentence(text: str) -> str:
    """`text` with a capital letter and a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
