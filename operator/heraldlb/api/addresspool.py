"""The AddressPool: which addresses there are, and who may have them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from heraldlb.api.objects import NamespacedName, Raw, mapping, number, sequence, text
from heraldlb.api.ranges import AddressRange, RangeError, parse_range
from heraldlb.api.selectors import EVERYTHING, LabelSelector, parse_selector

DEFAULT_PRIORITY = 100

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class AddressPool:
    """A pool as written. `problems` are the entries that could not be used, in the user's words."""

    name: str
    generation: int = 0
    created: str = ""
    """RFC 3339; sorts as text."""
    ranges: tuple[AddressRange, ...] = ()
    """As listed, without the network and broadcast addresses if they are to be skipped."""
    excluded: tuple[AddressRange, ...] = ()
    assignment: str = "Automatic"
    priority: int = DEFAULT_PRIORITY
    namespaces: frozenset[str] = frozenset()
    namespace_selector: LabelSelector | None = None
    service_selector: LabelSelector = EVERYTHING
    max_per_namespace: int | None = None
    reuse_delay: float = 0.0
    """Seconds."""
    retain: bool = False
    problems: tuple[str, ...] = ()
    unusable: bool = False
    """Some entry could not be read at all: what it meant to contain is not known."""

    @property
    def order(self) -> tuple[int, str]:
        """Lower is tried first."""
        return (self.priority, self.name)

    def admits_namespace(self, name: str, labels: Mapping[str, str]) -> bool:
        """Whether Services of that namespace may be served: named, or matched, or no restriction at all."""
        if not self.namespaces and self.namespace_selector is None:
            return True
        if name in self.namespaces:
            return True
        return self.namespace_selector is not None and self.namespace_selector.matches(labels)


def parse_pool(raw: Raw) -> AddressPool:
    """A pool from its JSON. Entries that cannot be used become `problems`; the others serve."""
    spec = mapping(raw, "spec")
    skip_ends = spec.get("skipNetworkAndBroadcast") is True
    ranges, unreadable = _parse_entries(spec, "addresses")
    excluded, unreadable_excluded = _parse_entries(spec, "excluded")
    problems = [*unreadable, *_overlaps(ranges), *unreadable_excluded]
    limit = number(spec, "maxPerNamespace")
    return AddressPool(
        name=text(raw, "metadata", "name"),
        generation=number(raw, "metadata", "generation"),
        created=text(raw, "metadata", "creationTimestamp"),
        ranges=tuple(_without_ends(entry, found) if skip_ends else found for entry, found in ranges),
        excluded=tuple(found for _, found in excluded),
        assignment=text(spec, "assignment") or "Automatic",
        priority=number(spec, "priority") if "priority" in spec else DEFAULT_PRIORITY,
        namespaces=frozenset(map(str, sequence(spec, "namespaces"))),
        namespace_selector=_optional_selector(spec, "namespaceSelector"),
        service_selector=parse_selector(mapping(spec, "serviceSelector")),
        max_per_namespace=limit or None,
        reuse_delay=parse_duration(text(spec, "reuseDelay")),
        retain=text(spec, "reclaimPolicy") == "Retain",
        problems=tuple(problems),
        unusable=bool(unreadable),
    )


def pool_key(name: str) -> NamespacedName:
    """Identity of a pool as the stores key it."""
    return NamespacedName("", name)


def parse_duration(written: str) -> float:
    """Seconds of a Kubernetes duration such as `1h30m` or `500ms`; 0 where it is empty or malformed."""
    parts = _DURATION.findall(written)
    if "".join(value + unit for value, unit in parts) != written:
        return 0.0
    return sum(float(value) * _SECONDS[unit] for value, unit in parts)


def _optional_selector(spec: Raw, field: str) -> LabelSelector | None:
    """None where the selector is absent or empty, which is not the same as one that matches nothing."""
    selector = parse_selector(mapping(spec, field))
    return selector if selector else None


def _parse_entries(spec: Raw, field: str) -> tuple[list[tuple[str, AddressRange]], list[str]]:
    found: list[tuple[str, AddressRange]] = []
    problems: list[str] = []
    for index, entry in enumerate(sequence(spec, field)):
        try:
            found.append((str(entry), parse_range(str(entry))))
        except RangeError as error:
            problems.append(f"spec.{field}[{index}]: {error}")
    return found, problems


def _overlaps(entries: Sequence[tuple[str, Any]]) -> list[str]:
    """Each entry that shares addresses with an earlier one; both serve, an address counts once."""
    problems = []
    by_start = sorted(enumerate(entries), key=lambda item: (item[1][1].family, item[1][1].first, item[0]))
    widest: tuple[int, tuple[str, AddressRange]] | None = None
    for index, (entry, found) in by_start:
        if widest is not None and widest[1][1].overlaps(found):
            later, earlier = max(index, widest[0]), min(index, widest[0])
            problems.append(
                f'spec.addresses[{later}]: "{entries[later][0]}" overlaps "{entries[earlier][0]}":'
                " take the shared addresses out of one of them"
            )
        if widest is None or widest[1][1].family != found.family or found.last > widest[1][1].last:
            widest = (index, (entry, found))
    return problems


def _without_ends(entry: str, found: AddressRange) -> AddressRange:
    if "/" not in entry or found.family != "IPv4" or found.size <= 2:
        return found
    return AddressRange(found.family, found.first + 1, found.last - 1)
