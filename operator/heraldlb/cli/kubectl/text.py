"""Lines that fit a terminal. Pure."""

from __future__ import annotations

import textwrap


def wrapped(line: str, width: int) -> list[str]:
    """The line two blanks in; what does not fit goes on below, a little further in."""
    own = "  " + " " * (len(line) - len(line.lstrip()))
    if len(line) + 2 <= width:
        return [f"  {line}"]
    return textwrap.wrap(
        line.strip(), width, initial_indent=own, subsequent_indent=own + "  ", break_long_words=False
    )
