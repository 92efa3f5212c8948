"""ICMP errors about answers of surviving connections: tables that pass them on to the nodes that may know. Pure.

Such an answer goes from the endpoint's node straight to the client. A router on that way which cannot deliver it
("fragmentation needed", RFC 1191; "packet too big", RFC 8201; or unreachable) tells the answer's source, which is
the Service's address, and so the node that announces it. That one has never seen the connection. It copies the
message to all nodes that have endpoints of the address, and conntrack there relates it to a connection or does not.
The embedded packet says which slot the connection has, but nft 1.0.6 cannot look that up: parts of a packet that
it has no name for are of another type than the key of a map.

A copy is never copied again: what comes from an agent's hardware address and is not known is dropped. Nor is there
more than a bounded number of them, since anybody can make up such messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of
from heraldlb.forwarding.detour import Hop
from heraldlb.forwarding.frame import DNAT_PRIORITY, WORDS

TABLE: Final = "heraldlb-icmp-errors"
"""In the families `ip` and `ip6`: only those know `dup`."""

TABLES: Final = tuple(f"{WORDS[family].ip} {TABLE}" for family in FAMILIES)

PRIORITY: Final = DNAT_PRIORITY - 11
"""After conntrack (-200), which relates what belongs to connections of this node."""

MESSAGES_PER_SECOND: Final = 200
"""That a node passes on for addresses with the same nodes; a client's path shrinks once, and says so once for each
connection."""

_KINDS: Final[dict[Family, str]] = {"IPv4": "ipv4_addr", "IPv6": "ipv6_addr"}

ERRORS: Final[dict[Family, str]] = {
    "IPv4": "icmp type { destination-unreachable, time-exceeded, parameter-problem }",
    "IPv6": "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }",
}
"""What nft matches ICMP errors by (RFC 792, RFC 4443)."""


@dataclass(frozen=True, slots=True)
class Relays:
    """All that the tables say."""

    hops: Mapping[IPAddress, tuple[Hop, ...]] = field(default_factory=dict)
    """By address of surviving connections, the ways to the other nodes that may know them."""
    agents: frozenset[str] = frozenset()
    """The hardware addresses of all other nodes."""


def full(relays: Relays) -> str:
    """Text for `nft -f`: these relays and no others, whatever was there before. Without addresses, no tables."""
    return removal() + "".join(f"{line}\n" for family in FAMILIES for line in _table(family, relays))


def diff(old: Relays, new: Relays) -> str:
    """From one content to the other; empty where they are the same. The tables are small, and made anew."""
    return "" if old == new else full(new)


def removal() -> str:
    """Leave nothing of ours."""
    return "".join(f"add table {table}\ndelete table {table}\n" for table in TABLES)


def _table(family: Family, relays: Relays) -> Iterator[str]:
    places = {address: hops for address, hops in relays.hops.items() if family_of(address) == family}
    if not places:
        return
    table, ip = f"{WORDS[family].ip} {TABLE}", WORDS[family].ip
    yield f"add table {table}"
    yield f"add set {table} agents {{ type ether_addr; }}"
    yield f"add map {table} addresses {{ type {_KINDS[family]} : verdict; }}"
    chains: dict[tuple[Hop, ...], str] = {}
    for address in sorted(places, key=int):
        chains.setdefault(_ordered(places[address]), f"nodes-{len(chains)}")
    for hops, chain in chains.items():
        yield f"add chain {table} {chain}"
        for rule in (
            # A copy that nobody here knows would else go on to wherever this node routes the address.
            "ether saddr @agents drop",
            f"limit rate over {MESSAGES_PER_SECOND}/second burst {MESSAGES_PER_SECOND} packets drop",
            *(f"dup to {hop.gateway} device {hop.interface}" for hop in hops),
            "drop",
        ):
            yield f"add rule {table} {chain} {rule}"
    yield f"add chain {table} prerouting {{ type filter hook prerouting priority {PRIORITY}; policy accept; }}"
    yield f"add rule {table} prerouting {ERRORS[family]} ct state invalid {ip} daddr vmap @addresses"
    yield from _element(table, "agents", relays.agents)
    names = (f"{address} : goto {chains[_ordered(hops)]}" for address, hops in places.items())
    yield from _element(table, "addresses", names)


def _ordered(hops: Iterable[Hop]) -> tuple[Hop, ...]:
    return tuple(sorted(set(hops), key=lambda hop: (int(hop.gateway), hop.interface)))


def _element(table: str, name: str, elements: Iterable[str]) -> Iterator[str]:
    if text := ", ".join(sorted(elements)):
        yield f"add element {table} {name} {{ {text} }}"
