"""What the tunnel needs of nftables: who may send into it, what may come out of it, and the size of segments. Pure.

VXLAN knows no sender: whoever reaches the port could put packets on this node as if from a link of its own. So only
nodes are let in, and out of the tunnel only comes what it is for.

What goes through the tunnel becomes longer. That costs fragments, or over IPv6 a round trip of each client; so
clients are told, as the endpoint's node answers them, to send TCP segments that fit (RFC 9293, section 3.7.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from heraldlb.api.ranges import Family, IPAddress, family_of
from heraldlb.forwarding.frame import WORDS
from heraldlb.forwarding.icmperrors import QUOTES
from heraldlb.forwarding.model import Frontend
from heraldlb.forwarding.overlay import DEVICE

TABLE: Final = "inet heraldlb-tunnel"

ENTRY_PRIORITY: Final = -310
"""After defragmentation (-400), before all else that looks at packets."""
EXIT_PRIORITY: Final = 110
"""After source NAT (100), which puts the Service's address on answers."""

_KINDS: Final[dict[Family, str]] = {"IPv4": "ipv4_addr", "IPv6": "ipv6_addr"}


@dataclass(frozen=True, slots=True)
class TunnelRules:
    """All that the table says; without `local`, no table."""

    local: IPAddress | None = None
    """Where the tunnel's own packets arrive."""
    port: int = 0
    nodes: frozenset[IPAddress] = frozenset()
    """Where they may come from."""
    frontends: frozenset[Frontend] = frozenset()
    """Of surviving connections."""
    segment_sizes: Mapping[Family, int] = field(default_factory=dict)
    """The largest TCP segments that clients may be told to send, in octets."""


def full(rules: TunnelRules) -> str:
    """Text for `nft -f`: these rules and no others, whatever was there before."""
    return removal() + "".join(f"{line}\n" for line in _table(rules))


def diff(old: TunnelRules, new: TunnelRules) -> str:
    """From one content to the other; empty where they are the same."""
    if old == new:
        return ""
    # Elements are all that changes often.
    before, after = (TunnelRules(each.local, each.port, segment_sizes=each.segment_sizes) for each in (old, new))
    if before != after or new.local is None:
        return full(new)
    sets = _sets(old), _sets(new)
    gone = (_elements("delete", name, sets[0][name] - sets[1][name]) for name in sets[0])
    come = (_elements("add", name, sets[1][name] - sets[0][name]) for name in sets[1])
    return "".join(f"{line}\n" for lines in (*gone, *come) for line in lines)


def removal() -> str:
    """Leave nothing of ours."""
    return f"add table {TABLE}\ndelete table {TABLE}\n"


def _table(rules: TunnelRules) -> Iterator[str]:
    if rules.local is None:
        return
    underlay = family_of(rules.local)
    ip = WORDS[underlay].ip
    yield f"add table {TABLE}"
    yield f"add set {TABLE} nodes {{ type {_KINDS[underlay]}; }}"
    for family, kind in _KINDS.items():
        yield f"add set {TABLE} {family} {{ type {kind} . inet_service; }}"
    chains = {
        "prerouting": (
            f" {{ type filter hook prerouting priority {ENTRY_PRIORITY}; policy accept; }}",
            f"{ip} daddr {rules.local} udp dport {rules.port} {ip} saddr != @nodes drop",
            f"iifname {DEVICE} goto leaving",
        ),
        "leaving": (
            "",
            *(
                f"meta l4proto {{ tcp, udp }} {WORDS[family].ip} daddr . th dport @{family} accept"
                for family in _KINDS
            ),
            *(f"{quote.errors} accept" for quote in QUOTES.values()),
            "drop",
        ),
        "postrouting": (
            f" {{ type filter hook postrouting priority {EXIT_PRIORITY}; policy accept; }}",
            *(
                f"tcp flags & (syn | ack) == (syn | ack) {WORDS[family].ip} saddr . tcp sport @{family}"
                f" tcp option maxseg size set {size}"
                for family, size in sorted(rules.segment_sizes.items())
            ),
        ),
    }
    # A chain must be there before a rule leads to it.
    for name, (hook, *_) in chains.items():
        yield f"add chain {TABLE} {name}{hook}"
    for name, (_, *statements) in chains.items():
        for statement in statements:
            yield f"add rule {TABLE} {name} {statement}"
    for name, elements in _sets(rules).items():
        yield from _elements("add", name, elements)


def _sets(rules: TunnelRules) -> dict[str, frozenset[str]]:
    by_family: dict[str, set[str]] = {family: set() for family in _KINDS}
    for frontend in rules.frontends:
        by_family[family_of(frontend.address)].add(f"{frontend.address} . {frontend.port}")
    return {
        "nodes": frozenset(map(str, rules.nodes)),
        **{name: frozenset(each) for name, each in by_family.items()},
    }


def _elements(verb: str, name: str, elements: Iterable[str]) -> Iterator[str]:
    if text := ", ".join(sorted(elements)):
        yield f"{verb} element {TABLE} {name} {{ {text} }}"
