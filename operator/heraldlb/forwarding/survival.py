"""Connections that outlive the node that announces their address: what each node does with a packet. Pure.

The announcing node keeps nothing in mind about a connection. A hash of its client says which endpoint it has
(`ranking`), the packet goes as it is to that endpoint's node (`dup` and a drop, see `detour`), and that node
translates, delivers, and answers the client directly. So whichever node announces the address, packets arrive where
they are known.

Whose slot changed hands, because an endpoint came, goes or is not ready, has its connections on another node of the
slot's *ring*: the nodes of the endpoint that has it now (first) and of those that had it before (second, third).
Who of them does not know a packet passes it on:

    first   a new TCP connection                   is its own
            back from the third, or the last       nobody knows it: its own, too
            from the second                        to the third
            from anybody else                      to the second
    second  from the first                         to the third, if there is one
            from anybody else                      to the first
    third   from the first or second               back to the first
            from anybody else                      to the second; a new TCP connection to the first

So a packet that nobody knows comes back to the first from the last, whoever of them had it to begin with. What the
third sends back has few hops left (`RETURNING`): a third that has not heard yet that first and second have changed
places, as when an endpoint becomes ready, begins by asking who is the first now, and must not be believed. Of TCP
only what is older than a change is passed on. Of UDP nothing says whether a datagram is the first of its flow, so
that a new flow goes round once.

A *lost* node, whose agent fell silent, is probably dead: it is the last to be asked about TCP, and not asked about
UDP, since what is sent there may be gone. A node that cannot be reached is not asked at all, and what is meant for
it is forwarded by the ordinary table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2s
from typing import Final, NamedTuple

from heraldlb.api.ranges import Family
from heraldlb.forwarding.detour import TIME_TO_LIVE, Hop
from heraldlb.forwarding.model import Backend, Candidate, Frontend, IPNetwork, Plan
from heraldlb.forwarding.ranking import SLOTS, Seat, seats


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node: where packets go to reach it, and by what those are known that come from it."""

    hops: Mapping[Family, Hop] = field(default_factory=dict)
    """Without an entry for a family in which it cannot be reached."""
    macs: frozenset[str] = frozenset()
    """Its hardware addresses, written as `02:00:00:00:00:01`."""


@dataclass(frozen=True, slots=True)
class Survivor:
    """A frontend whose connections survive."""

    candidates: tuple[Candidate, ...]
    sources: tuple[IPNetwork, ...] | None = None
    """The only clients that may connect, without overlaps. None: all may."""


@dataclass(frozen=True, slots=True)
class Survival:
    """All that a node's tables say."""

    node: str
    frontends: Mapping[Frontend, Survivor] = field(default_factory=dict)
    peers: Mapping[str, Peer] = field(default_factory=dict)
    """By name; without this node."""
    lost: frozenset[str] = frozenset()
    """Nodes whose agent fell silent."""
    pod_cidrs: tuple[IPNetwork, ...] = ()
    """Of this node's pods, which are forwarded ordinarily, as all that is in the cluster."""
    seed: int = 0
    """32 bits, the same on every node of the cluster."""
    slots: int = SLOTS


class Chain(NamedTuple):
    """What becomes of packets in a slot; its name says all but how nodes are reached."""

    role: str
    """`via`: to that node. `first`, `second`, `third`: what this node is in a ring, and `nodes` are the others, in
    their order."""
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        return _name(self)


class Duty(NamedTuple):
    """What a node does with the packets of a slot."""

    passing: Chain | None = None
    """Where it is not in the ring. Before conntrack, so that it keeps nothing of such packets."""
    asking: Chain | None = None
    """Where it is, with others."""
    backend: Backend | None = None
    """Where new connections are its own."""


@lru_cache(maxsize=1024)
def label(node: str) -> str:
    """A node's name for nft: 48 bits of a digest, since a name may be as long as any."""
    return blake2s(node.encode(), digest_size=6).hexdigest()


@lru_cache(maxsize=4096)
def _name(chain: Chain) -> str:
    return "-".join((chain.role, *map(label, chain.nodes)))


def duty(node: str, seat: Seat) -> Duty:
    """What `node` does with the slots that have this seat."""
    backend, ring = seat
    if node not in ring:
        return Duty(passing=Chain("via", ring[:1]))
    place = ring.index(node)
    others = (*ring[:place], *ring[place + 1 :])
    asking = Chain(("first", "second", "third")[place], others) if others else None
    return Duty(asking=asking, backend=backend if place == 0 else None)


@lru_cache(maxsize=8192)
def chains_of(node: str, candidates: tuple[Candidate, ...], slots: int = SLOTS) -> frozenset[Chain]:
    """The chains that the slots of a frontend with these endpoints lead to. They are asked about for all frontends
    whenever one changes, and are small enough to be kept for each, as slots are not."""
    duties = (duty(node, seat) for seat in seats(candidates, slots).kinds)
    return frozenset(chain for each in duties for chain in (each.passing, each.asking) if chain is not None)


UNKNOWN: Final = "unknown"
"""The chain for what has been asked about everywhere."""

RETURNING: Final = 9
"""Hops that are left at most of what the third of a ring sends back to the first. A client's packets have more.
By nothing else could the first tell it from what a third begins with that has not heard of a change of places."""

OPENS: Final = "tcp flags & (fin | syn | rst | ack) == syn"


def rules_of(chain: Chain, survival: Survival, family: Family) -> Iterator[str]:
    """The rules of a chain, as its nodes can be reached now."""

    def reached(name: str) -> bool:
        peer = survival.peers.get(name)
        return peer is not None and family in peer.hops and bool(peer.macs)

    hops = TIME_TO_LIVE[family]
    if chain.role == "via":
        [name] = chain.nodes
        if (peer := survival.peers.get(name)) is not None and (hop := peer.hops.get(family)) is not None:
            # `dup` counts hops down and past zero: nodes that do not agree yet would send a packet round for ever.
            yield f"{hops} < 2 drop"
            yield f"dup to {hop.gateway} device {hop.interface} drop"
        return
    yield "ct status dnat accept"
    if chain.role == "first":
        yield f"{OPENS} accept"
        others = list(filter(reached, chain.nodes))
        alive = [name for name in others if name not in survival.lost]
        returning = dict.fromkeys(chain.nodes[1:], f"{hops} < {RETURNING} ")
        if len(alive) < len(others):
            yield from _ask(alive, returning, "meta l4proto udp ")
        yield from _ask(sorted(others, key=lambda name: name in survival.lost), returning)
        return
    first, other = chain.nodes[0], next(iter(chain.nodes[1:]), "")
    onward = reached(other) and other not in survival.lost
    if chain.role == "second" and onward:
        yield f"{_from(first)} {_to(other)}"
    if chain.role == "third":
        for node in chain.nodes:
            yield f"{_from(node)} {hops} > {RETURNING} {hops} set {RETURNING}"
        if onward:
            yield from (f"{which} {_to(first)}" for which in (_from(first), _from(other), OPENS))
            yield _to(other)
            return
    yield _to(first)


def _ask(nodes: Sequence[str], returning: Mapping[str, str], which: str = "") -> Iterator[str]:
    """The first node of a ring asks these, one after the other. `which`: only about such packets."""
    answers = [f"goto {UNKNOWN}", *map(_to, reversed(nodes))]
    for name, answer in zip(reversed(nodes), answers, strict=False):
        condition = returning.get(name, "") if answer is answers[0] else ""
        yield f"{which}{_from(name)} {condition}{answer}"
    yield f"{which}{answers[-1]}"


def _from(node: str) -> str:
    return f"ether saddr @{senders(node)}"


def _to(node: str) -> str:
    return f"goto {Chain('via', (node,))}"


def senders(node: str) -> str:
    """The set of a node's hardware addresses."""
    return f"node-{label(node)}"


def survivors_in(plan: Plan) -> dict[Frontend, Survivor]:
    """The frontends of a plan whose connections survive, by the Services that have the best claim to them."""
    return {
        frontend: Survivor(candidates, service.servers[frontend].sources)
        for service in plan.services.values()
        for frontend, candidates in service.survivors.items()
        if candidates and plan.claims[frontend][0] == service.id
    }
