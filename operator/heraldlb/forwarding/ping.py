"""Answers to ping: a table of its own that turns echo requests for our addresses to the node itself. Pure.

An address of a Service is on no interface, so the kernel would forward an echo request to nobody. Redirected
(nft(8)) it is the kernel's own to answer, and conntrack puts the address back as the source of the reply. Apart
from the Services' tables, so that it is there whoever forwards connections on the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of

TABLE: Final = "inet heraldlb-ping"

PRIORITY: Final = -100
"""As a destination NAT; by number, as nft 1.0.6 refuses the name on the output hook."""

_SETS: Final[dict[Family, tuple[str, str]]] = {
    "IPv4": ("ipv4_addr", "icmp type echo-request ip daddr"),
    "IPv6": ("ipv6_addr", "icmpv6 type echo-request ip6 daddr"),
}


def full(addresses: Iterable[IPAddress]) -> str:
    """Text for `nft -f`: answer for these and no others, whatever was there before."""
    statements = [removal(), f"add table {TABLE}\n"]
    for family, (kind, _) in _SETS.items():
        statements.append(f"add set {TABLE} {family} {{ type {kind}; }}\n")
    for hook in ("prerouting", "output"):
        statements.append(
            f"add chain {TABLE} {hook} {{ type nat hook {hook} priority {PRIORITY}; policy accept; }}\n"
        )
        for family, (_, request) in _SETS.items():
            statements.append(f"add rule {TABLE} {hook} {request} @{family} redirect\n")
    return "".join((*statements, *_elements("add", addresses)))


def diff(old: AbstractSet[IPAddress], new: AbstractSet[IPAddress]) -> str:
    """From the answers of `old` to those of `new`; empty where they are the same."""
    return "".join((*_elements("delete", old - new), *_elements("add", new - old)))


def removal() -> str:
    """Answer for nothing, and leave nothing."""
    return f"add table {TABLE}\ndelete table {TABLE}\n"


def _elements(verb: str, addresses: Iterable[IPAddress]) -> Iterator[str]:
    by_family: dict[Family, list[IPAddress]] = {family: [] for family in FAMILIES}
    for address in addresses:
        by_family[family_of(address)].append(address)
    for family, found in by_family.items():
        if found:
            yield f"{verb} element {TABLE} {family} {{ {', '.join(map(str, sorted(found)))} }}\n"
