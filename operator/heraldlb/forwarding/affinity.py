"""Session affinity in nft's words: one table of who was sent where, for all Services. Pure.

A client's new connection asks `affinity` under its own address and the group of what it dials (`recall-` chains,
before any scheduler), and once a backend is chosen it is written down there (`learn-` chains, to which `learning-`
chains send it on the way out), which begins the time of the element anew. Lookups cost the same however many
Services, clients and backends.

The group is a constant, which nft takes in a key only as an operation on a field. And nft 1.0.6 writes elements
from rules only with keys of at most 16 octets, beginning with their shorter parts in values, so that

| family | key                          | value                                             |
|--------|------------------------------|---------------------------------------------------|
| IPv4   | client . 64 bits of the group | backend address . port                           |
| IPv6   | client xor group             | backend address; in `affinity-ports`, the port    |

Two clients of two groups would share an IPv6 key only if their addresses differed by exactly what the groups,
which are hashes, differ by.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from heraldlb.api.ranges import Family
from heraldlb.forwarding.model import Affinity

AFFINITY: Final = "affinity"
PORTS: Final = "affinity-ports"

SIZE: Final = 1 << 18
"""Most clients remembered in each family, in some 40 MB of the kernel's memory. Any others are scheduled anew each
time, which takes them to the same backend for as long as the backends stay the same."""


def learned_maps(family: Family) -> Iterator[tuple[str, str]]:
    """Names and definitions of the maps that packets write."""
    flags = f"flags dynamic,timeout; size {SIZE};"
    if family == "IPv4":
        yield AFFINITY, f"type ipv4_addr . ipv4_addr . ipv4_addr : ipv4_addr . inet_service; {flags}"
    else:
        yield AFFINITY, f"type ipv6_addr : ipv6_addr; {flags}"
        yield PORTS, f"type ipv6_addr : inet_service; {flags}"


def recall_rule(family: Family, protocol: str, affinity: Affinity) -> str:
    """Translates to the backend that the client had; goes on where there is none. `protocol`: `tcp`."""
    if family == "IPv4":
        high, low = _halves(affinity)
        group = f"(ip daddr & 0.0.0.0 | {high}) . (ip daddr & 0.0.0.0 | {low})"
        return f"meta l4proto {protocol} dnat ip to ip saddr . {group} map @{AFFINITY}"
    key = f"ip6 saddr ^ {IPv6Address(affinity.group)}"
    return f"meta l4proto {protocol} dnat ip6 to {key} map @{AFFINITY} : {key} map @{PORTS}"


def learn_rules(family: Family, protocol: str, affinity: Affinity) -> Iterator[str]:
    """Write down where the client's connection goes; for chains after the translation."""
    if family == "IPv4":
        high, low = _halves(affinity)
        key = f"ct original ip saddr . {high} . {low} timeout {affinity.seconds}s"
        yield f"meta l4proto {protocol} update @{AFFINITY} {{ {key} : ip daddr . {protocol} dport }}"
        return
    key = f"ct original ip6 saddr ^ {IPv6Address(affinity.group)} timeout {affinity.seconds}s"
    yield f"meta l4proto {protocol} update @{AFFINITY} {{ {key} : ip6 daddr }}"
    yield f"meta l4proto {protocol} update @{PORTS} {{ {key} : {protocol} dport }}"


def group_of(key: str) -> int:
    """The first 64 bits of the group of an IPv4 element, which has no more of it."""
    _, high, low = key.split(" . ")
    return int(IPv4Address(high)) << 32 | int(IPv4Address(low))


def _halves(affinity: Affinity) -> tuple[IPv4Address, IPv4Address]:
    return IPv4Address(affinity.group >> 96), IPv4Address(affinity.group >> 64 & 0xFFFFFFFF)
