"""The part of the table that is there whatever Services exist, and the chains that pick a backend. Pure.

The path of the first packet of a connection (netfilter consults nat chains for no other):

    prerouting, output -> dispatch -> local-services: local-N     returns for pods and this node, else DNAT or drop
                                   -> services: external-N        mark, DNAT
                                                internal-N        mark unless from a pod, DNAT
                                                refuse            reset or port unreachable
    postrouting        -> masquerade what carries the mark, and what talks to itself

A backend is picked by `numgen random mod N` as the slot in the backends map. Another scheduler is another chain
role whose slot expression differs: `jhash ip saddr . tcp sport mod M seed S` over M slots filled Maglev's way,
weights as repeated slots; only round robin, whose counter belongs to the rule, needs a chain for each Service.
Session affinity is a first rule in chains of a `sticky-` role, which asks one learning map (client, address, port)
for all Services and falls through to the scheduler; source ranges are an interval set asked first in `dispatch`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Final

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.forwarding.elements import (
    HAIRPINS,
    LOCAL_SERVICES,
    LOCAL_SLOTS,
    REFUSE,
    SERVICES,
    Chain,
    backends_map,
)
from heraldlb.forwarding.model import Frame

TABLE: Final = "heraldlb"
"""The name of our table in the families `ip` and `ip6`. No other table is ever named in what we send to nft."""

PROTOCOLS: Final = ("tcp", "udp", "sctp")

DNAT_PRIORITY: Final = -101
SNAT_PRIORITY: Final = 100
"""By number: nft 1.0.6 refuses the names `dstnat` and `srcnat` on the output and input hooks.

One before where kube-proxy and iptables translate destinations (-100): the first translation of a connection is
the last, so while both program, as until a proxy that starts is found, ours alone decides."""


@dataclass(frozen=True, slots=True)
class Words:
    """What the two families are called in nft."""

    ip: str
    icmp: str

    @property
    def table(self) -> str:
        return f"{self.ip} {TABLE}"


WORDS: Final[dict[Family, Words]] = {"IPv4": Words("ip", "icmp"), "IPv6": Words("ip6", "icmpv6")}


def remove_statements() -> Iterator[str]:
    """Removes our tables, whether they are there or not."""
    for family in FAMILIES:
        yield f"add table {WORDS[family].table}"
        yield f"delete table {WORDS[family].table}"


def frame_statements(family: Family, frame: Frame) -> Iterator[str]:
    """Makes the table of one family without any Service."""
    words = WORDS[family]
    ip, table = words.ip, words.table
    service_key = f"typeof {ip} daddr . meta l4proto . th dport : verdict"
    yield f"add table {table}"
    yield f"add map {table} {SERVICES} {{ {service_key}; }}"
    yield f"add map {table} {LOCAL_SERVICES} {{ {service_key}; }}"
    for protocol in PROTOCOLS:
        # One map for each protocol: in a value `th dport` is refused by nft 1.0.6 once a rule names the protocol.
        slot_key = f"{ip} daddr . {protocol} dport . numgen random mod 2"
        yield f"add map {table} {backends_map(protocol)} {{ typeof {slot_key} : {ip} daddr . {protocol} dport; }}"
    yield f"add set {table} {HAIRPINS} {{ typeof {ip} saddr . {ip} daddr; }}"

    yield from _chain(
        table,
        REFUSE,
        "meta l4proto tcp reject with tcp reset",
        f"reject with {words.icmp} port-unreachable",
    )
    yield from _chain(
        table,
        "dispatch",
        f"{ip} daddr . meta l4proto . th dport vmap @{LOCAL_SERVICES}",
        f"{ip} daddr . meta l4proto . th dport vmap @{SERVICES}",
    )
    marked = f"meta mark & {frame.masquerade_mark:#x} == {frame.masquerade_mark:#x}"
    unmark = f"meta mark set meta mark & {~frame.masquerade_mark & 0xFFFFFFFF:#x}"
    yield from _base_chain(table, "prerouting", DNAT_PRIORITY, "jump dispatch")
    yield from _base_chain(table, "output", DNAT_PRIORITY, "jump dispatch")
    yield from _base_chain(
        table,
        "postrouting",
        SNAT_PRIORITY,
        f"ct status dnat {marked} {unmark} masquerade fully-random",
        f"ct status dnat {ip} saddr . {ip} daddr @{HAIRPINS} masquerade fully-random",
    )
    yield from _base_chain(table, "input", SNAT_PRIORITY, f"ct status dnat {marked} {unmark}")


def chain_statements(family: Family, frame: Frame, chain: Chain) -> Iterator[str]:
    """Makes one of the chains that pick a backend."""
    words = WORDS[family]
    mark = f"meta mark set meta mark | {frame.masquerade_mark:#x}"
    pods = ", ".join(_networks(family, frame))
    rules: list[str] = []
    first_slot = 0
    if chain.role == "external":
        rules = [mark]
    elif chain.role == "internal":
        # Where pods cannot be told from others, only the node's own traffic is certain not to come from one.
        rules = [f"{words.ip} saddr != {{ {pods} }} {mark}" if pods else f"fib saddr type local {mark}"]
    else:
        rules = [f"{words.ip} saddr {{ {pods} }} return"] if pods else []
        rules.append("fib saddr type local return")
        first_slot = LOCAL_SLOTS
    if chain.backends:
        rules += [_pick(words.ip, protocol, chain.backends, first_slot) for protocol in PROTOCOLS]
    else:
        rules.append("drop")
    yield from _chain(words.table, str(chain), *rules)


def _networks(family: Family, frame: Frame) -> list[str]:
    """The pod CIDRs of a family without overlaps, which nft refuses."""
    cidrs = frame.pod_cidrs
    if family == "IPv4":
        return [str(cidr) for cidr in collapse_addresses(cidr for cidr in cidrs if isinstance(cidr, IPv4Network))]
    return [str(cidr) for cidr in collapse_addresses(cidr for cidr in cidrs if isinstance(cidr, IPv6Network))]


def _pick(ip: str, protocol: str, backends: int, first_slot: int) -> str:
    offset = f" offset {first_slot}" if first_slot else ""
    slot = f"{ip} daddr . {protocol} dport . numgen random mod {backends}{offset}"
    return f"meta l4proto {protocol} dnat {ip} to {slot} map @{backends_map(protocol)}"


def _chain(table: str, name: str, *rules: str, hook: str = "") -> Iterator[str]:
    yield f"add chain {table} {name}{hook}"
    for rule in rules:
        yield f"add rule {table} {name} {rule}"


def _base_chain(table: str, hook: str, priority: int, *rules: str) -> Iterator[str]:
    yield from _chain(table, hook, *rules, hook=f" {{ type nat hook {hook} priority {priority}; policy accept; }}")
