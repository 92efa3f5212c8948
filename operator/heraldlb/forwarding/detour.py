"""Detours: a packet in the middle of a connection that this node does not know goes on to the node that may. Pure.

When an address moves, so do the packets of connections that its former node accepted and translated. A packet that
would make conntrack pick up a connection midway is therefore copied (`dup`, as xt_TEE does) to the node that had
the address before, unchanged but for one hop of its time to live, and dropped here. The former node's conntrack
does the rest, and its answers go to the client directly.

| map, set        | key             | value, meaning                                                   |
|-----------------|-----------------|------------------------------------------------------------------|
| `gateways`      | service address | the node that may know its connections                           |
| `interfaces`    | service address | the interface on whose link that node is                         |
| `addresses` (set) | service address | every one in the cluster                                       |
| `agents` (set)  | hardware address | of every node: what comes from one has had its detour           |

The packet itself never gets past this table: conntrack keeps nothing of it, and neither NAT nor firewalls of the
forward hook nor routing rules nor reverse path filters see it, so the end of an entry is the end of the detour.
Packets of connections that conntrack knows are not looked at, nor are those that open one, but for their flags.

UDP is left alone: nothing in a datagram says whether it is the first. So is SCTP, whose associations have several
addresses at either end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of
from heraldlb.forwarding.frame import DNAT_PRIORITY, WORDS

TABLE: Final = "heraldlb-detour"
"""In the families `ip` and `ip6`: only those know `dup`."""

TABLES: Final = tuple(f"{words.ip} {TABLE}" for words in WORDS.values())

PRIORITY: Final = DNAT_PRIORITY - 10
"""After conntrack (-200), without which nothing is known, and before whoever picks an endpoint."""

TIME_TO_LIVE: Final[Mapping[Family, str]] = {"IPv4": "ip ttl", "IPv6": "ip6 hoplimit"}

_KINDS: Final[dict[Family, str]] = {"IPv4": "ipv4_addr", "IPv6": "ipv6_addr"}

_Key = IPAddress | str
_Elements = Mapping[str, Mapping[_Key, IPAddress | int | None]]
"""By map; the value of an element of a set is None. Not yet text, since most of it stays as it is."""


@dataclass(frozen=True, slots=True)
class Hop:
    """A neighbour: a node's address that is on the link of this interface, which is named by its index."""

    gateway: IPAddress
    interface: int


@dataclass(frozen=True, slots=True)
class Detours:
    """All that the tables say."""

    hops: Mapping[IPAddress, Hop] = field(default_factory=dict)
    """By service address, the neighbour of the same family that had it before."""
    addresses: frozenset[IPAddress] = frozenset()
    """All addresses of Services."""
    agents: frozenset[str] = frozenset()
    """Hardware addresses of all nodes, written as `02:00:00:00:00:01`."""


def full(detours: Detours) -> str:
    """Text for `nft -f`: these detours and no others, whatever was there before."""
    return "".join((removal(), *map(_frame, FAMILIES), *_changes("add", _elements(detours))))


def diff(old: Detours, new: Detours) -> str:
    """From the tables of `old` to those of `new`; empty where they are the same."""
    before, after = _elements(old), _elements(new)
    return "".join((*_changes("delete", _beyond(before, after)), *_changes("add", _beyond(after, before))))


def removal() -> str:
    """Leave nothing of ours."""
    return "".join(f"add table {table}\ndelete table {table}\n" for table in map(_table, FAMILIES))


def _table(family: Family) -> str:
    return f"{WORDS[family].ip} {TABLE}"


def _frame(family: Family) -> str:
    table, kind = _table(family), _KINDS[family]
    daddr = f"{WORDS[family].ip} daddr"
    rules = {
        # A node that does not know it either must not send it round: NAT passes invalid packets over.
        "detour": (
            f"ether saddr @agents {daddr} @addresses ct state invalid drop",
            # `dup` counts hops down and past zero: a packet would go round where an agent's address is not known.
            f"{TIME_TO_LIVE[family]} < 2 drop",
            f"ether saddr != @agents dup to {daddr} map @gateways device {daddr} map @interfaces drop",
        ),
        # Conntrack picks up no connection from its end, which it calls invalid.
        "prerouting": (
            "ct state new tcp flags & syn == 0 goto detour",
            "ct state invalid tcp flags & (fin | rst) != 0 goto detour",
        ),
    }
    return "".join(
        f"{line}\n"
        for line in (
            f"add table {table}",
            f"add map {table} gateways {{ type {kind} : {kind}; }}",
            f"add map {table} interfaces {{ type {kind} : iface_index; }}",
            f"add set {table} addresses {{ type {kind}; }}",
            f"add set {table} agents {{ type ether_addr; }}",
            f"add chain {table} detour",
            f"add chain {table} prerouting {{ type filter hook prerouting priority {PRIORITY}; policy accept; }}",
            *(f"add rule {table} {chain} {rule}" for chain, each in rules.items() for rule in each),
        )
    )


def _elements(detours: Detours) -> _Elements:
    return {
        "gateways": {address: hop.gateway for address, hop in detours.hops.items()},
        "interfaces": {address: hop.interface for address, hop in detours.hops.items()},
        "addresses": dict.fromkeys(detours.addresses),
        "agents": dict.fromkeys(detours.agents),
    }


def _beyond(some: _Elements, others: _Elements) -> _Elements:
    missing = object()
    return {
        name: {key: value for key, value in elements.items() if others[name].get(key, missing) != value}
        for name, elements in some.items()
    }


def _changes(verb: str, changed: _Elements) -> Iterator[str]:
    for family in FAMILIES:
        for name, elements in changed.items():
            entries = [
                f"{key} : {value}" if value is not None and verb == "add" else str(key)
                for key, value in elements.items()
                if isinstance(key, str) or family_of(key) == family
            ]
            if entries:
                body = ",\n".join(sorted(entries))
                yield f"{verb} element {_table(family)} {name} {{\n{body}\n}}\n"
