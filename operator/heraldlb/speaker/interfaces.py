"""Which interfaces of a node may announce, and which of them an address belongs on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from heraldlb.api.announcements import InterfaceFilter
from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import MAX_INTERFACES, MAX_PREFIXES

Prefix = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface as the kernel describes it."""

    index: int
    name: str
    mac: bytes
    prefixes: tuple[Prefix, ...] = ()
    ethernet: bool = True
    """Its hardware type is Ethernet and its address six octets."""
    up: bool = True
    carrier: bool = True
    """IFF_LOWER_UP: the layer below can carry frames."""
    loopback: bool = False
    arp: bool = True
    """Not IFF_NOARP."""
    enslaved: bool = False
    """A port of a bridge, bond or team, whose frames belong to its master. A member of a VRF is not enslaved."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An interface that could announce, as heartbeats carry it to the peers."""

    name: str
    mac: bytes
    prefixes: tuple[Prefix, ...] = ()


def usable(link: Link) -> bool:
    """Whether frames sent here reach neighbours that speak ARP and NDP."""
    return link.up and link.carrier and link.ethernet and link.arp and not link.loopback and not link.enslaved


def offers(links: Iterable[Link], filters: Iterable[InterfaceFilter]) -> tuple[Offer, ...]:
    """What this node offers its peers, ordered by name.

    An interface without a useful prefix (a container's veth, say) is left out unless one of the filters names
    it. Prefixes of one address and link-local ones hold no address that could be announced.
    """
    named = [each for each in filters if each.include]
    found = []
    for link in sorted(filter(usable, links), key=lambda each: each.name):
        prefixes = tuple(sorted(filter(_useful, link.prefixes), key=_order))[:MAX_PREFIXES]
        if prefixes or any(each.allows(link.name) for each in named):
            found.append(Offer(link.name, link.mac, prefixes))
    return tuple(found[:MAX_INTERFACES])


def interface_for(address: IPAddress, allowed: InterfaceFilter, offered: Iterable[Offer]) -> Offer | None:
    """The one interface that `address` is announced on: of those the filter allows, the one with the longest
    prefix that holds it, then the first by name. Where the filter names interfaces, one without such a prefix
    will do."""
    best: Offer | None = None
    longest = -1
    for offer in offered:
        if not allowed.allows(offer.name):
            continue
        length = max((prefix.prefixlen for prefix in offer.prefixes if address in prefix), default=-1)
        if length > longest or (best is None and allowed.include):
            best, longest = offer, length
    return best


def _useful(prefix: Prefix) -> bool:
    return prefix.prefixlen < prefix.max_prefixlen and not prefix.is_link_local


def _order(prefix: Prefix) -> tuple[int, int, int]:
    return prefix.version, int(prefix.network_address), prefix.prefixlen
