"""Network segments, as the nodes that announce on them see them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from heraldlb.api.ranges import AddressRange, family_of
from heraldlb.examination.facts import LinkFacts, LinkKind, NodeFacts, Prefix


@dataclass(frozen=True, slots=True)
class Attachment:
    """A link by which a node is on a segment."""

    node: str
    link: LinkFacts

    def __str__(self) -> str:
        return f"{self.link.name} of {self.node}"


def announcing(facts: Iterable[NodeFacts]) -> Iterator[Attachment]:
    """Every link that addresses are announced on."""
    return (Attachment(each.node, link) for each in facts for link in each.links if link.announces)


def attached(facts: Iterable[NodeFacts]) -> Iterator[Attachment]:
    """Every link with a network of its own, whether or not it announces."""
    return (
        Attachment(each.node, link)
        for each in facts
        for link in each.links
        if link.kind != LinkKind.LOOPBACK and any(is_segment(prefix) for prefix in link.prefixes)
    )


def segments(attachments: Iterable[Attachment]) -> Mapping[Prefix, tuple[Attachment, ...]]:
    """Who is on each network. Link-local networks tell segments apart no more than single hosts do."""
    found: dict[Prefix, list[Attachment]] = {}
    for each in attachments:
        for prefix in each.link.prefixes:
            if is_segment(prefix):
                found.setdefault(prefix, []).append(each)
    return {prefix: tuple(found[prefix]) for prefix in sorted(found, key=_order)}


def is_segment(prefix: Prefix) -> bool:
    """Whether hosts of a network are to be found in it."""
    return not prefix.is_link_local and not prefix.is_multicast and prefix.num_addresses > 1


def as_range(prefix: Prefix) -> AddressRange:
    """Its addresses, network and broadcast addresses among them."""
    first, last = prefix.network_address, prefix.broadcast_address
    return AddressRange(family_of(first), int(first), int(last))


def _order(prefix: Prefix) -> tuple[int, int, int]:
    return prefix.version, int(prefix.network_address), prefix.prefixlen
