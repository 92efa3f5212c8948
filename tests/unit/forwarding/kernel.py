"""The little of nftables that our text uses, executed in memory and as strict as the kernel."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field

from heraldlb.forwarding.nft import NftError, NftFailure


@dataclass
class Table:
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    chains: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Kernel:
    """Its tables, and what it was asked. A Runner whose transactions are atomic."""

    tables: dict[str, Table] = field(default_factory=dict)
    applied: list[str] = field(default_factory=list)
    checks: int = 0

    def load(self, text: str) -> None:
        """Apply a transaction, or raise NftError and change nothing."""
        self.tables = self._after(text)
        self.applied.append(text)

    async def apply(self, text: str) -> None:
        self.load(text)

    async def check(self, text: str) -> None:
        self.checks += 1
        self._after(text)

    def elements(self) -> dict[tuple[str, str], dict[str, str]]:
        """Every map and set that has elements, by table and name."""
        return {
            (family, name): dict(content)
            for family, table in self.tables.items()
            for name, content in table.maps.items()
            if content
        }

    def _after(self, text: str) -> dict[str, Table]:
        tables = deepcopy(self.tables)
        for statement in re.findall(r"^(?:.*\{\n(?:[^}]*\n)?\}|.+)$", text, re.MULTILINE):
            _execute(tables, statement)
        for table in tables.values():
            for content in table.maps.values():
                for value in content.values():
                    verdict = re.fullmatch(r"(?:goto|jump) (\S+)", value)
                    _demand(verdict is None or verdict[1] in table.chains, f"No such file or directory: {value}")
        return tables


def _execute(tables: dict[str, Table], statement: str) -> None:
    verb, kind, ip, name, *rest = statement.split(None, 5)
    _demand(name == "heraldlb", f"foreign table {name}")
    match verb, kind:
        case "add", "table":
            tables.setdefault(ip, Table())
        case "delete", "table":
            del tables[ip]
        case "add", "map" | "set":
            tables[ip].maps.setdefault(rest[0], {})
        case "add", "chain":
            tables[ip].chains.setdefault(rest[0], [])
        case "add", "rule":
            _demand(rest[0] in tables[ip].chains, f"No such file or directory: {rest[0]}")
            tables[ip].chains[rest[0]].append(rest[1])
        case _, "element":
            _elements(tables[ip].maps[rest[0]], verb, rest[1])
        case _:
            raise AssertionError(f"not modelled: {statement}")


def _elements(content: dict[str, str], verb: str, body: str) -> None:
    for entry in body.strip("{}\n ").split(",\n"):
        key, _, value = entry.partition(" : ")
        _demand(all(int(number) <= 65_535 for number in re.findall(r"\. (\d+)(?: \.|$)", key)), "out of range")
        if verb == "delete":
            _demand(key in content, f"No such file or directory: {key}")
            del content[key]
        else:
            _demand(content.get(key, value) == value, f"File exists: {key}")
            content[key] = value


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise NftError(NftFailure.REFUSED, message)
