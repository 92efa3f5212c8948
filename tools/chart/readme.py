"""The tables of values in the chart's README. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

from tools.chart.values import Value
from tools.reference.markdown import code, table

BEGIN: Final = "<!-- Made by `./dev docs` from values.yaml. Edit that, not this. -->"
END: Final = "<!-- End of what is made. -->"


def with_tables(readme: str, values: Iterable[Value]) -> str:
    """The README with the tables of these values between its two marks. Raises ValueError where it lacks them."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the README lacks the marks {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n\n{tables(values)}\n\n{END}{after}"


def tables(values: Iterable[Value]) -> str:
    """One table for what has no section, and one for each section."""
    return "\n\n".join(_parts(values))


def _parts(values: Iterable[Value]) -> Iterator[str]:
    everything = list(values)
    alone = [value for value in everything if len(value.path) == 1 and not value.is_section]
    yield _table(alone)
    for section, found in groupby((each for each in everything if each not in alone), lambda each: each.path[0]):
        head, *rest = found
        yield f"### {code(section)}"
        yield head.description
        yield _table(rest)


def _table(values: Iterable[Value]) -> str:
    rows = ((code(each.name), _default(each), each.description) for each in values)
    return table(("Value", "Default", "Meaning"), rows)


def _default(value: Value) -> str:
    if value.is_section:
        return ""
    plain: Any = value.default
    return code(plain if isinstance(plain, str) and plain else json.dumps(plain))
