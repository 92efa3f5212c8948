"""What to ask the network, and which nodes to have ask it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from heraldlb.api.nodes import parse_node
from heraldlb.api.ranges import IPAddress
from heraldlb.cli.kubectl.doctor.contents import Contents, contents, first_free, held
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.doctor.segments import announcing, as_range, segments
from heraldlb.examination.facts import Prefix
from heraldlb.examination.survey import MAX_PROBED, Question

MOST_OF_A_POOL: Final = 256
"""Addresses of a pool that are probed: those that would be given next."""


@dataclass(slots=True)
class _Work:
    """What one node is to ask."""

    addresses: list[IPAddress] = field(default_factory=list)
    dhcp: bool = False

    @property
    def room(self) -> int:
        """Addresses that fit in."""
        return MAX_PROBED - len(self.addresses)


def questions(seen: Seen) -> Mapping[str, Question]:
    """By node. Each network is asked by one node, or by several where that is too much for one.

    Probed are addresses that nobody is known to have: neither a Service nor a node, nor, as it is known already,
    the host that an address was quarantined for.
    """
    networks = segments(announcing(seen.facts))
    work: dict[str, _Work] = {each.node: _Work() for members in networks.values() for each in members}
    taken = _taken(seen)
    for pool in contents(seen.snapshot):
        left = MOST_OF_A_POOL
        for network, members in networks.items():
            nodes = sorted({each.node for each in members})
            left -= _share_out(_candidates(pool, network, taken | pool.quarantined, left), nodes, work)
    _choose_for_dhcp(seen, networks, work)
    return {
        node: Question(tuple(each.addresses), each.dhcp)
        for node, each in sorted(work.items())
        if each.addresses or each.dhcp
    }


def _taken(seen: Seen) -> frozenset[IPAddress]:
    own = {address for facts in seen.facts for link in facts.links for address in link.addresses}
    named = {address for raw in seen.snapshot.nodes for address in parse_node(raw).internal_ips}
    return held(seen.snapshot) | own | named


def _candidates(pool: Contents, network: Prefix, taken: frozenset[IPAddress], most: int) -> list[IPAddress]:
    found: list[IPAddress] = []
    for part in pool.within(as_range(network)):
        found += first_free(part, taken, most - len(found))
    return found


def _share_out(addresses: Sequence[IPAddress], nodes: Sequence[str], work: dict[str, _Work]) -> int:
    """Give them to the nodes that have least to do; how many found a place."""
    placed = 0
    while placed < len(addresses):
        node = max(nodes, key=lambda name: work[name].room)
        if not (room := work[node].room):
            break
        work[node].addresses += addresses[placed : placed + room]
        placed += min(room, len(addresses) - placed)
    return placed


def _choose_for_dhcp(seen: Seen, networks: Mapping[Prefix, Sequence[object]], work: dict[str, _Work]) -> None:
    """A node asks on all of its links at once, so that few nodes cover all networks."""
    covered: set[Prefix] = set()
    for node in sorted(work, key=lambda name: (not work[name].addresses, name)):
        links = (each.link for each in announcing((seen.examined[node].facts,)))
        own = {prefix for link in links for prefix in link.prefixes if prefix.version == 4} & set(networks)
        if own - covered:
            work[node].dhcp = True
            covered |= own
