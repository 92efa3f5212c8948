"""Our own nft text read back: the tables that it makes, for whoever wants to look at rules without a kernel. Pure.

Understands what `ruleset` and `survivaltables.full` write, no more, and raises ValueError at anything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_STATEMENT = re.compile(r"^(?:.*\{\n(?:[^}]*\n)?\}|.+)$", re.MULTILINE)
_HOOK = re.compile(r"type \w+ hook (\w+) priority (-?\d+);")
_TIME = re.compile(r" (?:timeout|expires) \w+")


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

    def beside(self, other: Table) -> Table:
        """Both in one, as packets see them; their chains and maps have different names."""
        return Table(self.maps | other.maps, self.chains | other.chains)

    def base_chains(self, hook: str) -> Iterator[str]:
        """The chains of a hook in the order in which packets pass them."""
        hooked = [(rules.priority, name) for name, rules in self.chains.items() if rules.hook == hook]
        yield from (name for _, name in sorted(hooked))


def read(text: str) -> dict[str, Table]:
    """The tables that a text makes where there were none, by nft's word for the family: `ip`, `ip6`."""
    tables: dict[str, Table] = {}
    for statement in _STATEMENT.findall(text):
        verb, kind, family, _, *rest = statement.split(None, 5)
        match verb, kind:
            case "add", "table":
                tables.setdefault(family, Table())
            case "delete", "table":
                del tables[family]
            case "add", _:
                _add(tables[family], kind, rest[0], rest[1] if rest[1:] else "")
            case "flush", "chain":
                tables[family].chains[rest[0]].rules.clear()
            case "flush", "map" | "set":
                tables[family].maps[rest[0]].content.clear()
            case "delete", "chain":
                del tables[family].chains[rest[0]]
            case "delete", "map" | "set":
                del tables[family].maps[rest[0]]
            case "delete", "element":
                for key, _ in _entries(rest[1]):
                    del tables[family].maps[rest[0]].content[key]
            case _:
                raise ValueError(f"not understood: {statement}")
    return tables


def _add(table: Table, kind: str, name: str, body: str) -> None:
    match kind:
        case "map" | "set":
            table.maps.setdefault(name, Elements("flags interval" in body))
        case "chain":
            hook = _HOOK.search(body)
            table.chains.setdefault(name, Rules(hook[1], int(hook[2])) if hook else Rules())
        case "rule":
            table.chains[name].rules.append(body)
        case "element":
            table.maps[name].content.update(_entries(body))
        case _:
            raise ValueError(f"not understood: {kind}")


def _entries(body: str) -> Iterator[tuple[str, str]]:
    """Keys and values; how long an element stays is left out."""
    for element in body.strip("{}\n ").split(",\n"):
        key, _, value = element.partition(" : ")
        yield _TIME.sub("", key), value
