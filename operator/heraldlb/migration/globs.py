"""Regular expressions over interface names, as patterns with `*`, `?` and `[...]`."""

from __future__ import annotations

import re
from typing import Final

_PART: Final = re.compile(
    r"(?P<atom>\\[.\-_]|\[[A-Za-z0-9\-]+\]|\\d|\.|[A-Za-z0-9_:@-])(?P<times>[*+]|\{[0-9]+\})?"
)
_SPECIAL: Final = {".": "?", r"\d": "[0-9]"}


def glob_of(written: str) -> tuple[str, bool]:
    """The pattern of a regular expression (RE2, unanchored), and whether it matches the same and no more.

    Empty where it cannot be said: with alternatives, groups, options or negated classes.
    """
    begins, ends = written.startswith("^"), written.endswith("$") and not written.endswith(r"\$")
    body = written[int(begins) : len(written) - int(ends)]
    pattern, exact, place = "", True, 0
    while place < len(body):
        part = _PART.match(body, place)
        if part is None:
            return "", False
        place = part.end()
        atom, times = part["atom"], part["times"] or ""
        one = _SPECIAL.get(atom, atom.removeprefix("\\") if atom.startswith("\\") else atom)
        if times.startswith("{"):
            pattern += one * int(times[1:-1])
        elif times:
            # Of one thing any number: a pattern can only say that of anything.
            pattern += "*" if times == "*" else f"{one}*"
            exact = exact and atom == "."
        else:
            pattern += one
    pattern = ("" if begins else "*") + pattern + ("" if ends else "*")
    return re.sub(r"\*+", "*", pattern), exact
