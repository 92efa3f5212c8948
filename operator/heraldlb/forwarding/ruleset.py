"""A plan as nft text: a full load, or only what differs between two plans. Pure.

Both are one transaction each: the kernel takes all of it or nothing, and no packet sees a part (nft(8)). Nothing a
user wrote gets into the text, only addresses and numbers, so no name or annotation can make nft refuse it. How to
get from what the kernel has to a plan is in `mending`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of
from heraldlb.forwarding.actual import Learned
from heraldlb.forwarding.elements import Chain, Key, chains_of, cluster_ip, elements_of, hairpin
from heraldlb.forwarding.fingerprint import signed_chain, signed_frame
from heraldlb.forwarding.frame import WORDS, remove_statements
from heraldlb.forwarding.model import Frame, Frontend, Plan, VirtualServer

FamilyChain = tuple[Family, Chain]
Elements = dict[Key, str]


def _by_family() -> dict[Family, Elements]:
    return {family: {} for family in FAMILIES}


@dataclass(frozen=True, slots=True)
class Transaction:
    """Text for `nft -f`, what it weighs, and what is there once it has been applied."""

    text: str
    elements: int
    """Elements added and deleted."""
    chains: frozenset[FamilyChain]
    """The chains that exist afterwards, to be given to the next `diff`. A chain out of use stays for a while:
    before Linux 6.2 it cannot be deleted along with the last element that refers to it."""


@dataclass(slots=True)
class Edit:
    """Elements and chains to change, by family, while they are gathered."""

    deleted: dict[Family, Elements] = field(default_factory=_by_family)
    added: dict[Family, Elements] = field(default_factory=_by_family)
    chains: set[FamilyChain] = field(default_factory=set)
    """To be made."""

    @property
    def weight(self) -> int:
        """Elements added and deleted."""
        return sum(map(len, (*self.deleted.values(), *self.added.values())))

    def settle(self, address: IPAddress, key: Key, before: bool, after: bool) -> None:
        """Take an element of a set, about this address, in or out."""
        if before != after:
            (self.added if after else self.deleted)[family_of(address)][key] = ""

    def text(self, frame: Frame) -> str:
        """What makes the change."""
        return _text(self.statements(frame))

    def statements(self, frame: Frame) -> Iterator[str]:
        """Chains before what refers to them; deletions before additions, as a changed value is both."""
        for family, chain in sorted(self.chains):
            yield from signed_chain(family, frame, chain)
        for family, elements in self.deleted.items():
            yield from _element_statements("delete", family, ((key, "") for key in elements))
        for family, elements in self.added.items():
            yield from _element_statements("add", family, elements.items())


def frame(plan: Plan) -> Transaction:
    """Makes our tables, where there are none, without any Service."""
    return Transaction(_text(_frames(plan.frame)), 0, frozenset())


def full(plan: Plan, learned: Mapping[Family, Iterable[Learned]] | None = None) -> Transaction:
    """Replaces our tables, if they exist, by those of `plan`, with what rules have `learned` in the former ones.
    Connections keep their translations in conntrack."""
    edit = Edit()
    for frontend in plan.claims:
        server = plan.server(frontend)
        edit.added[family_of(frontend.address)].update(elements_at(frontend, server))
        edit.chains.update(chains_at(frontend, server))
    for family, key in shared_elements(plan):
        edit.added[family][key] = ""
    statements = [*remove_statements(), *_frames(plan.frame), *edit.statements(plan.frame)]
    for family, elements in (learned or {}).items():
        entries = ((_lasting(element), element.value) for element in elements)
        statements.extend(_element_statements("add", family, entries))
    return Transaction(_text(statements), edit.weight, frozenset(edit.chains))


def diff(
    old: Plan, new: Plan, chains: frozenset[FamilyChain], touched: Iterable[NamespacedName] | None = None
) -> Transaction | None:
    """Turns the tables of `old`, in which `chains` exist, into those of `new`. None: they are the same.

    Its cost is that of the Services `touched`; all others must be the same in both plans. None: it has to find out.
    Raises ValueError where the frames differ, since that takes a full load.
    """
    if old.frame != new.frame:
        raise ValueError("the frames differ: load the new plan in full")
    edit = Edit()
    services = [
        service
        for id_ in (differing(old, new) if touched is None else touched)
        for service in (old.services.get(id_), new.services.get(id_))
        if service is not None
    ]
    for frontend in {frontend for service in services for frontend in service.servers}:
        was, becomes = old.server(frontend), new.server(frontend)
        if was == becomes:
            continue
        before, after = elements_at(frontend, was), elements_at(frontend, becomes)
        family = family_of(frontend.address)
        edit.deleted[family].update(_beyond(before, after))
        edit.added[family].update(_beyond(after, before))
        edit.chains.update(chain for chain in chains_at(frontend, becomes) if chain not in chains)
    for service in services:
        for address in service.local_endpoints:
            edit.settle(address, hairpin(address), address in old.hairpins, address in new.hairpins)
        for address in service.cluster_ips:
            edit.settle(address, cluster_ip(address), address in old.cluster_ips, address in new.cluster_ips)
    weight = edit.weight
    return Transaction(edit.text(new.frame), weight, chains | edit.chains) if weight else None


def differing(old: Plan, new: Plan) -> Iterator[NamespacedName]:
    """The Services that are not the same in both plans. Looks at all of them."""
    for id_, after in new.services.items():
        before = old.services.get(id_)
        if before is not after and before != after:
            yield id_
    for id_ in old.services:
        if id_ not in new.services:
            yield id_


def removal() -> str:
    """Text for `nft -f` that leaves nothing of ours."""
    return _text(remove_statements())


def shared_elements(plan: Plan) -> Iterator[tuple[Family, Key]]:
    """The elements of sets that Services may have in common, and so belong to none."""
    for address in plan.hairpins:
        yield family_of(address), hairpin(address)
    for address in plan.cluster_ips:
        yield family_of(address), cluster_ip(address)


def elements_at(frontend: Frontend, server: VirtualServer | None) -> Elements:
    """The elements that a frontend has; None: nobody claims it."""
    return dict(elements_of(frontend, server)) if server is not None else {}


def chains_at(frontend: Frontend, server: VirtualServer | None) -> Iterator[FamilyChain]:
    """The chains that the elements of a frontend refer to."""
    if server is not None:
        family = family_of(frontend.address)
        yield from ((family, chain) for chain in chains_of(frontend, server))


def _beyond(some: Elements, others: Elements) -> Elements:
    return {key: value for key, value in some.items() if others.get(key) != value} if others else some


def _frames(frame: Frame) -> Iterator[str]:
    for family in FAMILIES:
        yield from signed_frame(family, frame)


def _element_statements(verb: str, family: Family, elements: Iterable[tuple[Key, str]]) -> Iterator[str]:
    by_map: defaultdict[str, list[str]] = defaultdict(list)
    for (map_, key), value in elements:
        by_map[map_].append(f"{key} : {value}" if value else key)
    for map_, entries in by_map.items():
        # One entry a line: nft's error messages quote the whole line.
        body = ",\n".join(entries)
        yield f"{verb} element {WORDS[family].table} {map_} {{\n{body}\n}}"


def _lasting(element: Learned) -> Key:
    timeout = f" timeout {element.timeout}ms" if element.timeout else ""
    return Key(element.key.map, f"{element.key.text}{timeout} expires {element.expires}ms")


def _text(statements: Iterable[str]) -> str:
    return "".join(f"{statement}\n" for statement in statements)
