"""The part of the table that is there whatever Services exist, and the chains that pick a backend. Pure.

The path of the first packet of a connection (netfilter consults nat chains for no other):

    prerouting, output -> dispatch -> services: external-N        mark, DNAT
                                                internal-N        mark unless from a pod, DNAT
                                                refuse            reset or port unreachable
                                                restricted        see below
                                   -> cluster-ips: refuse         a port that nobody serves
    restricted -> filtered, sources: drop                         clients that a load balancer must not answer
               -> local-services: local-N                         returns for pods and this node, else DNAT or drop
               -> restricted-services                             as services
    postrouting, input -> affine-PROTO: learn-GROUP               write down where the client went
    postrouting        -> drop what goes to an address of no Service
                       -> masquerade what carries the mark, and what talks to itself

All packets but the first of a connection pass no rule of ours, nor does the first pass those that learn, unless
there are Services with affinity.

Most Services restrict nothing, and are found by one lookup.

A backend is picked by `numgen random mod N` as the slot in the backends map. Another scheduler is another chain
whose slot expression differs: `jhash ip saddr . tcp sport mod M seed S` over M slots filled Maglev's way, weights
as repeated slots; only round robin, whose counter belongs to the rule, needs a chain for each frontend. The map's
declaration names `numgen` for all of them, since nft 1.0.6 crashes when it lists a map declared with `jhash`.

Chains of a `sticky-` role first ask where the client went before (`affinity`). Who comes for the first time is
hashed with the cluster's seed where otherwise chance would decide, so that a client whose node failed is sent to
the same backend by the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.forwarding.affinity import learn_rules, learned_maps, recall_rule
from heraldlb.forwarding.elements import (
    AFFINE,
    CLUSTER_IPS,
    FILTERED,
    HAIRPINS,
    LOCAL_SERVICES,
    LOCAL_SLOTS,
    REFUSE,
    RESTRICTED,
    RESTRICTED_SERVICES,
    SERVICES,
    SOURCES,
    Chain,
    affine_map,
    backends_map,
)
from heraldlb.forwarding.model import Frame, Pick
from heraldlb.forwarding.sources import collapse

TABLE: Final = "heraldlb"
"""The name of our table in the families `ip` and `ip6`. No other table is ever named in what we send to nft."""

PROTOCOLS: Final = ("tcp", "udp", "sctp")

DNAT_PRIORITY: Final = -101
SNAT_PRIORITY: Final = 100
"""By number: nft 1.0.6 refuses the names `dstnat` and `srcnat` on the output and input hooks.

One before where kube-proxy and iptables translate destinations (-100): the first translation of a connection is
the last, so while both program, as until a proxy that starts is found, ours alone decides."""
BEFORE_SNAT: Final = SNAT_PRIORITY - 10
"""Before all that masquerade: after the first of them a packet is shown to no other nat chain."""


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
    dialled = f"{ip} daddr . meta l4proto . th dport"
    yield f"add table {table}"
    for name in (SERVICES, RESTRICTED_SERVICES, LOCAL_SERVICES, AFFINE):
        yield f"add map {table} {name} {{ typeof {dialled} : verdict; }}"
    yield f"add set {table} {FILTERED} {{ typeof {dialled}; }}"
    yield f"add set {table} {SOURCES} {{ typeof {dialled} . {ip} saddr; flags interval; }}"
    for protocol in PROTOCOLS:
        # One map for each protocol: in a value `th dport` is refused by nft 1.0.6 once a rule names the protocol.
        slot_key = f"{ip} daddr . {protocol} dport . numgen random mod 2"
        yield f"add map {table} {backends_map(protocol)} {{ typeof {slot_key} : {ip} daddr . {protocol} dport; }}"
        yield f"add map {table} {affine_map(protocol)} {{ typeof {ip} daddr . {protocol} dport : verdict; }}"
    for name, definition in learned_maps(family):
        yield f"add map {table} {name} {{ {definition} }}"
    yield f"add set {table} {HAIRPINS} {{ typeof {ip} saddr . {ip} daddr; }}"
    yield f"add set {table} {CLUSTER_IPS} {{ typeof {ip} daddr; }}"

    yield from _chain(
        table,
        REFUSE,
        "meta l4proto tcp reject with tcp reset",
        f"reject with {words.icmp} port-unreachable",
    )
    yield from _chain(
        table,
        RESTRICTED,
        f"{dialled} @{FILTERED} {dialled} . {ip} saddr != @{SOURCES} drop",
        f"{dialled} vmap @{LOCAL_SERVICES}",
        f"{dialled} vmap @{RESTRICTED_SERVICES}",
    )
    yield from _chain(
        table,
        "dispatch",
        f"{dialled} vmap @{SERVICES}",
        f"{ip} daddr @{CLUSTER_IPS} goto {REFUSE}",
    )
    marked = f"meta mark & {frame.masquerade_mark:#x} == {frame.masquerade_mark:#x}"
    unmark = f"meta mark set meta mark & {~frame.masquerade_mark & 0xFFFFFFFF:#x}"
    yield from _base_chain(table, "prerouting", DNAT_PRIORITY, "jump dispatch")
    yield from _base_chain(table, "output", DNAT_PRIORITY, "jump dispatch")
    free = ", ".join(map(str, collapse(frame.service_cidrs, family)))
    if free:
        # On the way out, where what another proxy translated has its new destination.
        hook = _nat_hook("postrouting", BEFORE_SNAT)
        yield from _chain(table, "unallocated", f"{ip} daddr {{ {free} }} drop", hook=hook)
    yield from _base_chain(
        table,
        "postrouting",
        SNAT_PRIORITY,
        f"ct status dnat {marked} {unmark} masquerade fully-random",
        f"ct status dnat {ip} saddr . {ip} daddr @{HAIRPINS} masquerade fully-random",
    )
    yield from _base_chain(table, "input", SNAT_PRIORITY, f"ct status dnat {marked} {unmark}")


def chain_statements(family: Family, frame: Frame, chain: Chain) -> Iterator[str]:
    """Makes one of the chains that elements refer to or need."""
    hook = _nat_hook(chain.hook, BEFORE_SNAT) if chain.hook else ""
    yield from _chain(WORDS[family].table, str(chain), *_rules(family, frame, chain), hook=hook)


def _rules(family: Family, frame: Frame, chain: Chain) -> Iterator[str]:
    if chain.role == "recall":
        yield recall_rule(family, chain.protocol, chain.affinity)
        return
    if chain.role == "learn":
        yield from learn_rules(family, chain.protocol, chain.affinity)
        return
    if chain.hook:
        ip, learners = WORDS[family].ip, affine_map(chain.protocol)
        dialled = f"ct original {ip} daddr . ct original proto-dst"
        yield f"meta l4proto {chain.protocol} ct status dnat {dialled} vmap @{learners}"
        return
    role, ip = chain.role.removeprefix("sticky-"), WORDS[family].ip
    mark = f"meta mark set meta mark | {frame.masquerade_mark:#x}"
    pods = ", ".join(map(str, collapse(frame.pod_cidrs, family)))
    first_slot = 0
    if role == "external":
        yield mark
    elif role == "internal":
        # Where pods cannot be told from others, only the node's own traffic is certain not to come from one.
        yield f"{ip} saddr != {{ {pods} }} {mark}" if pods else f"fib saddr type local {mark}"
    else:
        if pods:
            yield f"{ip} saddr {{ {pods} }} return"
        yield "fib saddr type local return"
        first_slot = LOCAL_SLOTS
    if not chain.backends:
        yield "drop"
        return
    pick = chain.pick
    if role != chain.role:
        yield f"{ip} daddr . meta l4proto . th dport vmap @{AFFINE}"
        if pick is Pick.RANDOM and chain.backends > 1:
            pick = Pick.SOURCE
    for protocol in (chain.protocol,) if chain.protocol else PROTOCOLS:
        slot = _slot(frame, pick, chain.backends, ip, protocol)
        yield _dnat(ip, protocol, f"{slot} offset {first_slot}" if first_slot else slot)


def _slot(frame: Frame, pick: Pick, slots: int, ip: str, protocol: str) -> str:
    """The expression whose value is a slot."""
    hashed = f"mod {slots} seed {frame.seed:#x}"
    match pick:
        case Pick.RANDOM:
            return f"numgen random mod {slots}"
        case Pick.TURN:
            return f"numgen inc mod {slots}"
        case Pick.SOURCE:
            return f"jhash {ip} saddr {hashed}"
        case Pick.DESTINATION:
            return f"jhash {ip} daddr {hashed}"
        case Pick.CONNECTION:
            return f"jhash {ip} saddr . {protocol} sport {hashed}"


def _dnat(ip: str, protocol: str, slot: str) -> str:
    key = f"{ip} daddr . {protocol} dport . {slot}"
    return f"meta l4proto {protocol} dnat {ip} to {key} map @{backends_map(protocol)}"


def _chain(table: str, name: str, *rules: str, hook: str = "") -> Iterator[str]:
    yield f"add chain {table} {name}{hook}"
    for rule in rules:
        yield f"add rule {table} {name} {rule}"


def _base_chain(table: str, hook: str, priority: int, *rules: str) -> Iterator[str]:
    yield from _chain(table, hook, *rules, hook=_nat_hook(hook, priority))


def _nat_hook(hook: str, priority: int) -> str:
    return f" {{ type nat hook {hook} priority {priority}; policy accept; }}"
