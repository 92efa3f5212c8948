"""A plan as nft text: a full load, or only what differs between two plans. Pure.

Both are one transaction each: the kernel takes all of it or nothing, and no packet sees a part (nft(8)). Nothing a
user wrote gets into the text, only addresses and numbers, so no name or annotation can make nft refuse it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of
from heraldlb.forwarding.elements import HAIRPINS, Chain, Key, chains_of, elements_of, hairpin
from heraldlb.forwarding.frame import WORDS, chain_statements, frame_statements, remove_statements
from heraldlb.forwarding.model import Frontend, Plan, ServicePlan

FamilyChain = tuple[Family, Chain]
Elements = dict[Key, str]


@dataclass(frozen=True, slots=True)
class Transaction:
    """Text for `nft -f`, what it weighs, and what is there once it has been applied."""

    text: str
    elements: int
    """Elements added and deleted."""
    chains: frozenset[FamilyChain]
    """The chains that exist afterwards, to be given to the next `diff`. A chain out of use stays until the next
    full load: before Linux 6.2 it cannot be deleted along with the last element that refers to it."""


def full(plan: Plan) -> Transaction:
    """Replaces our tables, if they exist, by those of `plan`. Connections keep their translations in conntrack."""
    chains: set[FamilyChain] = set()
    added: dict[Family, Elements] = {family: {} for family in FAMILIES}
    for frontend in plan.claims:
        family = family_of(frontend.address)
        added[family].update(_elements(plan, frontend))
        chains.update(_chains(plan, frontend))
    for address in plan.hairpins:
        added[family_of(address)][hairpin(address)] = ""
    statements = list(remove_statements())
    for family in FAMILIES:
        statements.extend(frame_statements(family, plan.frame))
    statements.extend(_changes(plan, chains, {}, added))
    return Transaction(_text(statements), sum(map(len, added.values())), frozenset(chains))


def diff(old: Plan, new: Plan, chains: frozenset[FamilyChain]) -> Transaction | None:
    """Turns the tables of `old`, in which `chains` exist, into those of `new`. None: they are the same.

    Its cost is that of the Services that differ. Raises ValueError where the frames differ, since that takes a full
    load.
    """
    if old.frame != new.frame:
        raise ValueError("the frames differ: load the new plan in full")
    deleted: dict[Family, Elements] = {family: {} for family in FAMILIES}
    added: dict[Family, Elements] = {family: {} for family in FAMILIES}
    missing: set[FamilyChain] = set()
    frontends, endpoints = _touched(old, new)
    for frontend in frontends:
        if old.server(frontend) == new.server(frontend):
            continue
        before, after = _elements(old, frontend), _elements(new, frontend)
        family = family_of(frontend.address)
        deleted[family].update(_beyond(before, after))
        added[family].update(_beyond(after, before))
        missing.update(chain for chain in _chains(new, frontend) if chain not in chains)
    for address in endpoints:
        if (address in old.hairpins) != (address in new.hairpins):
            side = added if address in new.hairpins else deleted
            side[family_of(address)][hairpin(address)] = ""
    weight = sum(map(len, (*deleted.values(), *added.values())))
    if not weight:
        return None
    return Transaction(_text(_changes(new, missing, deleted, added)), weight, chains | missing)


def removal() -> str:
    """Text for `nft -f` that leaves nothing of ours."""
    return _text(remove_statements())


def _touched(old: Plan, new: Plan) -> tuple[set[Frontend], set[IPAddress]]:
    """Every frontend and every endpoint that a Service which differs has, before or after."""
    frontends: set[Frontend] = set()
    endpoints: set[IPAddress] = set()

    def touch(service: ServicePlan | None) -> None:
        if service is not None:
            frontends.update(service.servers)
            endpoints.update(service.local_endpoints)

    for id_, after in new.services.items():
        before = old.services.get(id_)
        if before is not after and before != after:
            touch(before)
            touch(after)
    for id_, before in old.services.items():
        if id_ not in new.services:
            touch(before)
    return frontends, endpoints


def _elements(plan: Plan, frontend: Frontend) -> Elements:
    server = plan.server(frontend)
    return dict(elements_of(frontend, server)) if server is not None else {}


def _chains(plan: Plan, frontend: Frontend) -> Iterator[FamilyChain]:
    server = plan.server(frontend)
    if server is not None:
        family = family_of(frontend.address)
        yield from ((family, chain) for chain in chains_of(frontend, server))


def _beyond(some: Elements, others: Elements) -> Elements:
    return {key: value for key, value in some.items() if others.get(key) != value}


def _changes(
    plan: Plan,
    chains: Iterable[FamilyChain],
    deleted: Mapping[Family, Elements],
    added: Mapping[Family, Elements],
) -> Iterator[str]:
    """Chains before what refers to them; deletions before additions, as a changed value is both."""
    for family, chain in sorted(chains):
        yield from chain_statements(family, plan.frame, chain)
    for verb, by_family in (("delete", deleted), ("add", added)):
        for family, elements in by_family.items():
            by_map: defaultdict[str, list[str]] = defaultdict(list)
            for (map_, key), value in elements.items():
                by_map[map_].append(key if verb == "delete" or map_ == HAIRPINS else f"{key} : {value}")
            for map_, entries in by_map.items():
                # One entry a line: nft's error messages quote the whole line.
                body = ",\n".join(entries)
                yield f"{verb} element {WORDS[family].table} {map_} {{\n{body}\n}}"


def _text(statements: Iterable[str]) -> str:
    return "".join(f"{statement}\n" for statement in statements)
