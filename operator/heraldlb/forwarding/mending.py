"""From what the kernel has to what it should have, where an earlier process or somebody else left it so. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from heraldlb.api.ranges import FAMILIES, Family, family_of
from heraldlb.forwarding.actual import Table, Tables
from heraldlb.forwarding.elements import SOURCES, Chain
from heraldlb.forwarding.fingerprint import Outline, outline
from heraldlb.forwarding.frame import WORDS, chain_statements, frame_statements
from heraldlb.forwarding.model import Frame, Frontend, Plan
from heraldlb.forwarding.ruleset import Edit, Elements, FamilyChain, chains_at, elements_at, shared_elements


@dataclass(frozen=True, slots=True)
class Mend:
    """One transaction of several that mend the tables."""

    text: str
    elements: int
    frontends: tuple[Frontend, ...]
    """Those that it is about; none where it takes away what belongs to nobody."""


@dataclass(frozen=True, slots=True)
class Repair:
    """How to get from tables as they are to those of a plan."""

    parts: tuple[Mend, ...]
    """In this order; none where they are the same."""
    chains: frozenset[FamilyChain]
    """The chains of ours that there are afterwards."""
    sweep: str
    """Text that deletes chains to which nothing refers; apart, since before Linux 6.2 the kernel refuses that for a
    while after the last element that refers to them has gone. May be empty."""


def repair(tables: Tables, plan: Plan, limit: int) -> Repair | None:
    """From `tables` to `plan`, by transactions of about `limit` elements. None: they can only be replaced, as they
    have another frame, or chains that this version would make otherwise."""
    used = chains_in_use(plan)
    if not fits(tables, plan.frame, used):
        return None
    unused = (
        (family, name)
        for family, table in tables.items()
        for name in sorted(
            table.chains.keys()
            - outline(frame_statements(family, plan.frame)).rules.keys()
            - {str(chain) for its, chain in used if its == family}
        )
    )
    return Repair(tuple(mend(tables, plan, used, limit)), used, deletion(unused))


def chains_in_use(plan: Plan) -> frozenset[FamilyChain]:
    """Every chain that an element of the plan refers to."""
    return frozenset(chain for frontend in plan.claims for chain in chains_at(frontend, plan.server(frontend)))


def deletion(chains: Iterable[tuple[Family, Chain | str]]) -> str:
    """Deletes chains and their rules."""
    return "".join(
        f"{verb} chain {WORDS[family].table} {chain}\n" for family, chain in chains for verb in ("flush", "delete")
    )


def fits(tables: Tables, frame: Frame, used: frozenset[FamilyChain]) -> bool:
    """Whether the tables have this frame, and the chains in use that exist are as this version writes them. Else
    they cannot be mended, only replaced."""
    if any(family not in tables for family in FAMILIES):
        return False
    for family in FAMILIES:
        table, expected = tables[family], outline(frame_statements(family, frame))
        if table.fingerprint != expected.fingerprint or not _has_rules(table, expected):
            return False
    return all(
        _has_rules(tables[family], expected) and tables[family].chains[str(chain)] == expected.fingerprint
        for family, chain in used & existing(tables, used)
        for expected in (outline(chain_statements(family, frame, chain)),)
    )


def existing(tables: Tables, chains: frozenset[FamilyChain]) -> frozenset[FamilyChain]:
    """Those of the chains that the tables have."""
    return frozenset((family, chain) for family, chain in chains if str(chain) in tables[family].chains)


def mend(tables: Tables, plan: Plan, used: frozenset[FamilyChain], limit: int) -> Iterator[Mend]:
    """Turns tables that fit into those of `plan`, by transactions of about `limit` elements.

    All that changes at one frontend changes at once. What belongs to nobody any more goes last.
    """
    rest: dict[Family, Elements] = {family: dict(tables[family].elements) for family in FAMILIES}
    edit, frontends = Edit(chains=set(used - existing(tables, used))), list[Frontend]()
    for frontend in plan.claims:
        family = family_of(frontend.address)
        if _gather(edit, family, rest[family], elements_at(frontend, plan.server(frontend))):
            frontends.append(frontend)
            if edit.weight >= limit:
                yield Mend(edit.text(plan.frame), edit.weight, tuple(frontends))
                edit, frontends = Edit(), []
    for family, key in shared_elements(plan):
        _gather(edit, family, rest[family], {key: ""})
    if edit.weight or edit.chains:
        yield Mend(edit.text(plan.frame), edit.weight, tuple(frontends))
    for family, elements in rest.items():
        # What asks before what answers: nobody may be sent to a slot, or held to a list of sources, that is gone.
        stale = sorted(elements.items(), key=lambda element: " . " in element[1] or element[0].map == SOURCES)
        for start in range(0, len(stale), limit):
            edit = Edit()
            edit.deleted[family].update(stale[start : start + limit])
            yield Mend(edit.text(plan.frame), edit.weight, ())


def _gather(edit: Edit, family: Family, found: Elements, wanted: Elements) -> bool:
    """Takes `wanted` out of what was `found`; whether anything of it has to change."""
    changed = False
    for key, value in wanted.items():
        was = found.pop(key, None)
        if was != value:
            changed = True
            if was is not None:
                edit.deleted[family][key] = was
            edit.added[family][key] = value
    return changed


def _has_rules(table: Table, expected: Outline) -> bool:
    return all(name in table.chains and table.rules.get(name, 0) == count for name, count in expected.rules.items())
