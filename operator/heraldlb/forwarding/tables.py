"""Our own nft text read back: the tables that it makes, for whoever wants to look at rules without a kernel. Pure.

Understands what `ruleset` writes, no more, and raises ValueError at anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_STATEMENT = re.compile(r"^(?:.*\{\n(?:[^}]*\n)?\}|.+)$", re.MULTILINE)
_HOOK = re.compile(r"\{ type \w+ hook (\w+) priority (-?\d+); policy accept; \}")


@dataclass(slots=True)
class Elements:
    """A map or a set, whose elements have empty values."""

    interval: bool = False
    """Parts of its keys may be networks."""
    content: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Rules:
    """A chain. With a hook it is where packets come in, in the order of priorities."""

    hook: str = ""
    priority: int = 0
    rules: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """One table of one family."""

    maps: dict[str, Elements] = field(default_factory=dict)
    chains: dict[str, Rules] = field(default_factory=dict)

    def base_chains(self, hook: str) -> Iterator[str]:
        """The chains of a hook in the order in which packets pass them."""
        hooked = [(rules.priority, name) for name, rules in self.chains.items() if rules.hook == hook]
        yield from (name for _, name in sorted(hooked))


def read(text: str) -> dict[str, Table]:
    """The tables after a text that begins with none, by nft's word for the family: `ip`, `ip6`."""
    tables: dict[str, Table] = {}
    for statement in _STATEMENT.findall(text):
        verb, kind, family, _, *rest = statement.split(None, 5)
        if kind == "table":
            tables[family] = Table()
        elif (verb, kind) == ("flush", "chain"):
            tables[family].chains[rest[0]].rules.clear()
        elif verb != "add":
            raise ValueError(f"only additions to new tables are understood: {statement}")
        else:
            _add(tables[family], kind, rest)
    return tables


def _add(table: Table, kind: str, rest: list[str]) -> None:
    name, body = rest[0], " ".join(rest[1:])
    match kind:
        case "map" | "set":
            table.maps[name] = Elements("flags interval" in body)
        case "chain":
            hook = _HOOK.fullmatch(body)
            table.chains[name] = Rules(hook[1], int(hook[2])) if hook else Rules()
        case "rule":
            table.chains[name].rules.append(body)
        case "element":
            for element in body.strip("{}\n ").split(",\n"):
                key, _, value = element.partition(" : ")
                table.maps[name].content[key] = value
        case _:
            raise ValueError(f"not understood: {kind}")
