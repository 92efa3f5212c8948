"""The tables of surviving connections (`survival`) as text for nft, from one content to another by steps. Pure.

| chain, at           | priority | finds in map  | a chain of the frontend's, which finds its slot and goes to   |
|---------------------|----------|---------------|---------------------------------------------------------------|
| `pass`              | -300     | `passing`     | `via-NODE`: the packet goes there, and conntrack never saw it |
| `ask`               | -112     | `asking`      | `first-...`, `second-...`, `third-...`: see `survival`        |
| `translate` (nat)   | -102     | `translating` | the backend; sources that may not connect are dropped before  |

ICMP errors about answers (`icmperrors`) are passed on and asked about by the same slots, found in `passing-errors`
and `asking-errors`.

Each frontend has chains and maps of its own: `pass-KEY`, `ask-KEY` and `translate-KEY`, and `sources-KEY` where it
has any. So a table that an earlier process left is taken over frontend by frontend, each in one transaction of its
own, while packets go on as they did. What becomes of a node changes a few chains and no slots. Translation comes
one priority before that of the ordinary table, which forwards what is not found here: other clients and ports, and
everything on a node that has no such table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain as chained
from typing import Final, NamedTuple

from heraldlb.api.ranges import FAMILIES, Family, family_of
from heraldlb.forwarding import icmperrors
from heraldlb.forwarding.actual import Names
from heraldlb.forwarding.frame import DNAT_PRIORITY, WORDS
from heraldlb.forwarding.model import Frontend
from heraldlb.forwarding.ranking import seats
from heraldlb.forwarding.sources import collapse
from heraldlb.forwarding.survival import (
    UNKNOWN,
    Chain,
    Peer,
    Survival,
    Survivor,
    chains_of,
    duty,
    rules_of,
    senders,
)

TABLE: Final = "heraldlb-survival"
"""In the families `ip` and `ip6`."""

TABLES: Final = tuple(f"{words.ip} {TABLE}" for words in WORDS.values())

STAGES: Final = {"pass": "passing", "ask": "asking", "translate": "translating"}
"""The base chains, and the map in which each finds frontends."""

ERROR_STAGES: Final = {"pass": "passing-errors", "ask": "asking-errors"}
"""The same for ICMP errors."""

_HOOKS: Final = {
    "pass": "type filter hook prerouting priority -300",
    "ask": f"type filter hook prerouting priority {DNAT_PRIORITY - 11}",
    "translate": f"type nat hook prerouting priority {DNAT_PRIORITY - 1}",
}
"""Before conntrack (-200); after it and before detours; before the ordinary translation."""

PODS: Final = "pods"
"""The set of networks whose clients are forwarded ordinarily."""

LIMIT: Final = 5_000
"""About so many elements are in one transaction: see `chunks`. A frontend that is loaded has some 5,000."""


class Step(NamedTuple):
    """One transaction."""

    text: str
    needed: bool = True
    """Else it only takes away what has no effect any more, which kernels before 6.2 may refuse for a while."""


def full(new: Survival) -> Iterator[Step]:
    """Leads to these tables from whatever an earlier process left, or from none. What it left has its effect until
    its turn comes; what belongs to nobody any more stays without any until it is swept (`leftovers`)."""
    frames = (statement for family in FAMILIES for statement in _frame(family))
    yield Step("".join((*frames, *_pods(new), *_ways({}, _used(new)))))
    for frontend, survivor in new.frontends.items():
        yield Step("".join(_load(frontend, survivor, new)))
    yield Step("".join(chained(*(_dispatches(family, new) for family in FAMILIES))))


def diff(old: Survival, new: Survival) -> Iterator[Step]:
    """From the tables of `old` to those of `new`; nothing where they are the same."""
    before, after = _used(old), _used(new)
    pods = _pods(new) if old.pod_cidrs != new.pod_cidrs else ()
    if text := "".join((*pods, *_ways(before, after))):
        yield Step(text)
    texts, weight = list[str](), 0
    for frontend, survivor in new.frontends.items():
        was = old.frontends.get(frontend)
        if was == survivor and _hash(old) == _hash(new):
            continue
        if was is None or was.sources != survivor.sources or _hash(old) != _hash(new):
            yield Step("".join(_load(frontend, survivor, new)))
            continue
        changed, elements = _change(frontend, was, survivor, new)
        if texts and weight + elements > LIMIT:
            yield Step("".join(texts))
            texts, weight = [], 0
        texts.append(changed)
        weight += elements
    if texts:
        yield Step("".join(texts))
    gone = [frontend for frontend in old.frontends if frontend not in new.frontends]
    if gone:
        yield Step("".join(chained(*map(_undispatch, gone))))
    open_to_all = (
        f"delete set {_table(family_of(each.address))} sources-{key(each)}\n"
        for each, survivor in new.frontends.items()
        if survivor.sources is None and each in old.frontends and old.frontends[each].sources is not None
    )
    unloaded = (statement for each in gone for statement in _unload(each, old.frontends[each]))
    if text := "".join((*open_to_all, *unloaded, *_unused(before, after))):
        yield Step(text, needed=False)


def leftovers(found: Mapping[Family, Names], loaded: Survival) -> str:
    """Text that takes away what is in the tables and has nothing to do with what is loaded, so that nobody is sent
    there any more. Empty where there is nothing. `found`: the tables' content, as it was read."""
    text = ""
    for family, names in _names(loaded).items():
        table, there = _table(family), found.get(family, Names())
        chains = sorted(there.chains - names.chains)
        text += "".join(f"flush chain {table} {name}\n" for name in chains)
        text += "".join(f"delete map {table} {name}\n" for name in sorted(there.maps - names.maps))
        text += "".join(f"delete set {table} {name}\n" for name in sorted(there.sets - names.sets))
        text += "".join(f"delete chain {table} {name}\n" for name in chains)
    return text


def removal() -> str:
    """Leave nothing of ours."""
    return "".join(f"add table {table}\ndelete table {table}\n" for table in TABLES)


def key(frontend: Frontend) -> str:
    """What the names of a frontend's own chains and maps end with."""
    return f"{frontend.protocol.lower()}-{frontend.port}-{int(frontend.address):x}"


def _table(family: Family) -> str:
    return f"{WORDS[family].ip} {TABLE}"


def _frame(family: Family) -> Iterator[str]:
    """The table without any frontend, or what is there already."""
    table, ip = _table(family), WORDS[family].ip
    dialled = f"{ip} daddr . meta l4proto . th dport"
    errors, quoted = icmperrors.QUOTES[family].errors, icmperrors.dialled(family)
    yield f"add table {table}\n"
    yield f"add set {table} {PODS} {{ typeof {ip} saddr; flags interval; }}\n"
    for chain, found in STAGES.items():
        yield f"add map {table} {found} {{ typeof {dialled} : verdict; }}\n"
        yield f"add chain {table} {chain} {{ {_HOOKS[chain]}; policy accept; }}\n"
        rules = [f"{dialled} vmap @{found}"]
        if (about_errors := ERROR_STAGES.get(chain)) is not None:
            yield f"add map {table} {about_errors} {{ typeof {quoted} : verdict; }}\n"
            rules.append(f"{errors} {quoted} vmap @{about_errors}")
        yield from _rules(table, chain, rules)
    # NAT passes over what conntrack calls invalid.
    yield f"add chain {table} {UNKNOWN}\n"
    yield from _rules(table, UNKNOWN, ["ct state invalid drop"])


def _pods(new: Survival) -> Iterator[str]:
    for family in FAMILIES:
        yield f"flush set {_table(family)} {PODS}\n"
        yield _elements("add", family, PODS, map(str, collapse(new.pod_cidrs, family)))


def _names(survival: Survival) -> dict[Family, Names]:
    found = {}
    for family, ways in _used(survival).items():
        frontends = {
            key(each): survivor
            for each, survivor in survival.frontends.items()
            if family_of(each.address) == family
        }
        stages = [f"{stage}-{name}" for stage in STAGES for name in frontends]
        errors = [f"{stage}-errors-{name}" for stage in ERROR_STAGES for name in frontends]
        sources = [f"sources-{name}" for name, survivor in frontends.items() if survivor.sources is not None]
        found[family] = Names(
            frozenset((*STAGES, UNKNOWN, *map(str, ways.chains), *stages, *errors)),
            frozenset((*STAGES.values(), *ERROR_STAGES.values(), *stages)),
            frozenset((PODS, *ways.senders, *sources)),
        )
    return found


# How nodes are reached and known, and what is done in their rings.


class _Ways(NamedTuple):
    senders: dict[str, frozenset[str]]
    """By the name of the set."""
    chains: dict[Chain, tuple[str, ...]]


def _used(survival: Survival) -> dict[Family, _Ways]:
    found = {}
    for family in FAMILIES:
        frontends = [survivor for each, survivor in survival.frontends.items() if family_of(each.address) == family]
        nodes = {candidate.node for each in frontends for candidate in each.candidates} - {survival.node}
        chains = {Chain("via", (node,)) for node in nodes}.union(
            *(chains_of(survival.node, each.candidates, survival.slots) for each in frontends)
        )
        found[family] = _Ways(
            {senders(node): survival.peers.get(node, Peer()).macs for node in sorted(nodes)},
            # Ways to nodes come before the rules that lead to them.
            {
                chain: tuple(rules_of(chain, survival, family))
                for chain in sorted(chains, key=lambda chain: (chain.role != "via", chain))
            },
        )
    return found


def _ways(old: Mapping[Family, _Ways], new: Mapping[Family, _Ways]) -> Iterator[str]:
    for family, ways in new.items():
        table, former = _table(family), old.get(family, _Ways({}, {}))
        for name, macs in ways.senders.items():
            if former.senders.get(name) != macs:
                yield f"add set {table} {name} {{ type ether_addr; }}\nflush set {table} {name}\n"
                yield _elements("add", family, name, sorted(macs))
        for chain, rules in ways.chains.items():
            if former.chains.get(chain) != rules:
                yield f"add chain {table} {chain}\n"
                yield from _rules(table, str(chain), rules)


def _unused(old: Mapping[Family, _Ways], new: Mapping[Family, _Ways]) -> Iterator[str]:
    for family, ways in old.items():
        gone = [chain for chain in reversed(ways.chains) if chain not in new[family].chains]
        for chain in gone:
            yield f"flush chain {_table(family)} {chain}\n"
        for chain in gone:
            yield f"delete chain {_table(family)} {chain}\n"
        for name in ways.senders.keys() - new[family].senders.keys():
            yield f"delete set {_table(family)} {name}\n"


# Frontends.


def _load(frontend: Frontend, survivor: Survivor, survival: Survival) -> Iterator[str]:
    """A frontend as a whole, whatever was there before."""
    family = family_of(frontend.address)
    table, ip = _table(family), WORDS[family].ip
    protocol, name = frontend.protocol.lower(), key(frontend)
    slot = "numgen random mod 2"  # nft 1.0.6 crashes when it lists a map declared with jhash.
    hashed = f"jhash {ip} saddr . {protocol} sport mod {survival.slots} seed {survival.seed:#x}"
    inside = f"{ip} saddr @{PODS} accept"
    lookups = {
        "pass": (": verdict", [inside, f"{hashed} vmap @pass-{name}"]),
        "ask": (": verdict", [inside, f"{hashed} vmap @ask-{name}"]),
        "translate": (
            f": {ip} daddr . {protocol} dport",
            [
                inside,
                *([f"{ip} saddr != @sources-{name} drop"] if survivor.sources is not None else ()),
                f"meta l4proto {protocol} dnat {ip} to {hashed} map @translate-{name}",
            ],
        ),
    }
    if survivor.sources is not None:
        yield f"add set {table} sources-{name} {{ typeof {ip} saddr; flags interval; }}\n"
        yield f"flush set {table} sources-{name}\n"
        yield _elements("add", family, f"sources-{name}", map(str, survivor.sources))
    elements = _slot_elements(survivor, survival)
    for stage, (value, rules) in lookups.items():
        own = f"{stage}-{name}"
        yield f"add map {table} {own} {{ typeof {slot} {value}; }}\nflush map {table} {own}\n"
        yield _elements("add", family, own, (f"{at} : {to}" for at, to in elements[stage].items()))
        yield f"add chain {table} {own}\n"
        yield from _rules(table, own, rules)
    quoted = icmperrors.slot(family, survival.slots, survival.seed)
    for stage, rules in {
        "pass": [f"{quoted} vmap @pass-{name}"],
        # What this node alone could know, and does not, would be forwarded to nowhere.
        "ask": [f"{quoted} vmap @ask-{name}", f"goto {UNKNOWN}"],
    }.items():
        yield f"add chain {table} {stage}-errors-{name}\n"
        yield from _rules(table, f"{stage}-errors-{name}", rules)
    for found, at, goal in _dispatch(frontend):
        yield _elements("add", family, found, [f"{at} : goto {goal}"])


def _change(frontend: Frontend, was: Survivor, becomes: Survivor, survival: Survival) -> tuple[str, int]:
    """What makes the change of a frontend, and how many elements that are."""
    family, name = family_of(frontend.address), key(frontend)
    before, after = (_slot_elements(each, survival) for each in (was, becomes))
    texts, weight = list[str](), 0
    for stage in STAGES:
        gone = [str(at) for at, to in before[stage].items() if after[stage].get(at) != to]
        come = [f"{at} : {to}" for at, to in after[stage].items() if before[stage].get(at) != to]
        texts.append(_elements("delete", family, f"{stage}-{name}", gone))
        texts.append(_elements("add", family, f"{stage}-{name}", come))
        weight += len(gone) + len(come)
    return "".join(texts), weight


def _unload(frontend: Frontend, survivor: Survivor) -> Iterator[str]:
    table, name = _table(family_of(frontend.address)), key(frontend)
    for stage in ERROR_STAGES:
        yield f"flush chain {table} {stage}-errors-{name}\ndelete chain {table} {stage}-errors-{name}\n"
    for stage in STAGES:
        yield f"flush chain {table} {stage}-{name}\ndelete chain {table} {stage}-{name}\n"
        yield f"delete map {table} {stage}-{name}\n"
    if survivor.sources is not None:
        yield f"delete set {table} sources-{name}\n"


def _dispatches(family: Family, survival: Survival) -> Iterator[str]:
    """All frontends and no others."""
    frontends = [each for each in survival.frontends if family_of(each.address) == family]
    dispatches = [dispatch for each in frontends for dispatch in _dispatch(each)]
    for map_ in (*STAGES.values(), *ERROR_STAGES.values()):
        yield f"flush map {_table(family)} {map_}\n"
        yield _elements(
            "add", family, map_, (f"{at} : goto {goal}" for found, at, goal in dispatches if found == map_)
        )


def _undispatch(frontend: Frontend) -> Iterator[str]:
    for found, at, _ in _dispatch(frontend):
        yield _elements("delete", family_of(frontend.address), found, [at])


def _dispatch(frontend: Frontend) -> Iterator[tuple[str, str, str]]:
    """The maps that a frontend is in, its keys there, and the chains that these lead to."""
    at = f"{frontend.address} . {frontend.protocol.lower()} . {frontend.port}"
    for stage, found in STAGES.items():
        yield found, at, f"{stage}-{key(frontend)}"
    for stage, found in ERROR_STAGES.items():
        yield found, icmperrors.dialled_at(frontend), f"{stage}-errors-{key(frontend)}"


def _slot_elements(survivor: Survivor, survival: Survival) -> dict[str, dict[int, str]]:
    """Of each stage's map. Many slots and few kinds of them: what they say is written once for each kind."""
    seating = seats(survivor.candidates, survival.slots)
    duties = [duty(survival.node, seat) for seat in seating.kinds]
    values = {
        "pass": [f"goto {each.passing}" if each.passing else "" for each in duties],
        "ask": [f"goto {each.asking}" if each.asking else "" for each in duties],
        "translate": [f"{each.backend.address} . {each.backend.port}" if each.backend else "" for each in duties],
    }
    return {
        stage: {slot: kinds[place] for slot, place in enumerate(seating.places) if kinds[place]}
        for stage, kinds in values.items()
    }


def _hash(survival: Survival) -> tuple[str, int, int]:
    """What all slots of all frontends depend on."""
    return survival.node, survival.seed, survival.slots


def _rules(table: str, chain: str, rules: Iterable[str]) -> Iterator[str]:
    """These and no others."""
    yield f"flush chain {table} {chain}\n"
    for rule in rules:
        yield f"add rule {table} {chain} {rule}\n"


def _elements(verb: str, family: Family, name: str, entries: Iterable[str]) -> str:
    body = ",\n".join(entries)
    return f"{verb} element {_table(family)} {name} {{\n{body}\n}}\n" if body else ""
