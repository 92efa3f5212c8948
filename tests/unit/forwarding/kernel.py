"""The little of nftables that our text uses, executed in memory and as strict as the kernel."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import dataclass, field

from heraldlb.api.ranges import Family
from heraldlb.forwarding import actual, ruleset
from heraldlb.forwarding.actual import Tables
from heraldlb.forwarding.elements import Key
from heraldlb.forwarding.model import Plan
from heraldlb.forwarding.nft import NftError, NftFailure

_FAMILIES: dict[str, Family] = {"ip": "IPv4", "ip6": "IPv6"}


@dataclass
class Chain:
    comment: str = ""
    rules: list[str] = field(default_factory=list)


@dataclass
class Table:
    comment: str = ""
    maps: dict[str, dict[str, str]] = field(default_factory=dict)
    dynamic: set[str] = field(default_factory=set)
    chains: dict[str, Chain] = field(default_factory=dict)


@dataclass
class Kernel:
    """Its tables, and what it was asked. A Runner whose transactions are atomic, and a Reader."""

    tables: dict[str, Table] = field(default_factory=dict)
    applied: list[str] = field(default_factory=list)
    checks: int = 0
    reads: int = 0

    def load(self, text: str) -> None:
        """Apply a transaction, or raise NftError and change nothing."""
        self.tables = self._after(text)
        self.applied.append(text)

    async def apply(self, text: str) -> None:
        self.load(text)

    async def check(self, text: str) -> None:
        self.checks += 1
        self._after(text)

    async def read(self) -> Tables:
        self.reads += 1
        return {_FAMILIES[ip]: _describe(table) for ip, table in self.tables.items()}

    async def learned(self) -> dict[Family, tuple[actual.Learned, ...]]:
        return {_FAMILIES[ip]: _describe(table).learned for ip, table in self.tables.items()}

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


def loaded(plan: Plan) -> Kernel:
    """A kernel with the tables of a plan, and nothing else."""
    kernel = Kernel()
    kernel.load(ruleset.full(plan).text)
    return kernel


def _execute(tables: dict[str, Table], statement: str) -> None:
    verb, kind, ip, name, *rest = statement.split(None, 5)
    _demand(name == "heraldlb", f"foreign table {name}")
    comment = re.search('comment "([0-9a-f]*)"', statement)
    if (verb, kind) == ("add", "table"):
        tables.setdefault(ip, Table(comment[1] if comment else ""))
        return
    _demand(ip in tables, f"No such file or directory: {name}")
    table = tables[ip]
    match verb, kind:
        case "delete", "table":
            del tables[ip]
        case "add", "map" | "set":
            table.maps.setdefault(rest[0], {})
            if "dynamic" in rest[1]:
                table.dynamic.add(rest[0])
        case "add", "chain":
            table.chains.setdefault(rest[0], Chain(comment[1] if comment else ""))
        case "add", "rule":
            _demand(rest[0] in table.chains, f"No such file or directory: {rest[0]}")
            table.chains[rest[0]].rules.append(rest[1])
        case "flush" | "delete", "chain":
            _demand(rest[0] in table.chains, f"No such file or directory: {rest[0]}")
            table.chains[rest[0]].rules.clear()
            if verb == "delete":
                del table.chains[rest[0]]
        case _, "element":
            _demand(rest[0] in table.maps, f"No such file or directory: {rest[0]}")
            _elements(table.maps[rest[0]], verb, rest[1])
        case _:
            raise AssertionError(f"not modelled: {statement}")


def _elements(content: dict[str, str], verb: str, body: str) -> None:
    for entry in body.strip("{}\n ").split(",\n"):
        timed, _, value = entry.partition(" : ")
        key, *_ = re.split(" (?:timeout|expires) ", timed)
        _demand(all(int(number) <= 65_535 for number in re.findall(r"\. (\d+)(?: \.|$)", key)), "out of range")
        if verb == "delete":
            _demand(key in content, f"No such file or directory: {key}")
            del content[key]
        else:
            _demand(content.get(key, value) == value, f"File exists: {key}")
            content[key] = value


def _describe(table: Table) -> actual.Table:
    return actual.Table(
        table.comment,
        {name: chain.comment for name, chain in table.chains.items()},
        {name: len(chain.rules) for name, chain in table.chains.items()},
        {
            Key(name, key): value
            for name, content in table.maps.items()
            if name not in table.dynamic
            for key, value in content.items()
        },
        tuple(
            actual.Learned(Key(name, key), value, 10_800_000, 60_000)
            for name in sorted(table.dynamic)
            for key, value in table.maps[name].items()
        ),
    )


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise NftError(NftFailure.REFUSED, message)
