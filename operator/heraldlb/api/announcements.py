"""The L2Announcement: narrows where and how addresses are announced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from heraldlb.api.nodes import Node
from heraldlb.api.objects import Raw, entries, mapping, number, sequence, text
from heraldlb.api.selectors import EVERYTHING, LabelSelector, parse_selector
from heraldlb.api.services import Service


class Balancing(StrEnum):
    """Who answers the clients of one address."""

    SINGLE = "Single"
    PER_CLIENT = "PerClient"


@dataclass(frozen=True, slots=True)
class InterfaceFilter:
    """Globs over interface names. No `include`: every interface; `exclude` wins over `include`."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def allows(self, interface: str) -> bool:
        """Whether an interface of that name may announce."""
        if any(fnmatchcase(interface, pattern) for pattern in self.exclude):
            return False
        return not self.include or any(fnmatchcase(interface, pattern) for pattern in self.include)


ANY_INTERFACE = InterfaceFilter()


@dataclass(frozen=True, slots=True)
class NodePreference:
    """Nodes matched by `selector` are preferred by `weight` (1-100)."""

    weight: int
    selector: LabelSelector


@dataclass(frozen=True, slots=True)
class L2Announcement:
    """One announcement policy; empty selectors match everything."""

    name: str
    generation: int = 0
    pools: frozenset[str] = frozenset()
    service_selector: LabelSelector = EVERYTHING
    node_selector: LabelSelector = EVERYTHING
    interfaces: InterfaceFilter = ANY_INTERFACE
    balancing: str = Balancing.SINGLE
    preferences: tuple[NodePreference, ...] = ()

    def covers(self, pool: str, services: Iterable[Service]) -> bool:
        """Whether it speaks for an address of `pool` held by `services`."""
        if self.pools and pool not in self.pools:
            return False
        return any(self.service_selector.matches(service.labels) for service in services)

    def admits(self, node: Node) -> bool:
        """Whether the node may announce what this policy covers."""
        return self.node_selector.matches(node.labels)


def parse_announcement(raw: Raw) -> L2Announcement:
    """An L2Announcement from its JSON."""
    spec = mapping(raw, "spec")
    return L2Announcement(
        name=text(raw, "metadata", "name"),
        generation=number(raw, "metadata", "generation"),
        pools=frozenset(map(str, sequence(spec, "addressPools"))),
        service_selector=parse_selector(mapping(spec, "serviceSelector")),
        node_selector=parse_selector(mapping(spec, "nodeSelector")),
        interfaces=InterfaceFilter(
            include=tuple(map(str, sequence(spec, "interfaces", "include"))),
            exclude=tuple(map(str, sequence(spec, "interfaces", "exclude"))),
        ),
        balancing=text(spec, "balancing") or Balancing.SINGLE,
        preferences=tuple(
            NodePreference(number(entry, "weight"), parse_selector(mapping(entry, "nodeSelector")))
            for entry in entries(spec, "nodePreferences")
        ),
    )
