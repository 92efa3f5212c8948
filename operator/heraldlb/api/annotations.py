"""The annotations that a Service may carry, explained: rows of `docs/reference.md`.

Their names are in `group`; what they ask for is read in `allocation.requests`, `forwarding.schedulers` and
`forwarding.survivors`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from heraldlb.api.group import (
    ADDRESS_POOL_ALIASES,
    ADDRESS_POOL_ANNOTATION,
    ADDRESSES_ALIASES,
    ADDRESSES_ANNOTATION,
    CONNECTION_SURVIVAL_ANNOTATION,
    NODE_WEIGHTS_ANNOTATION,
    SCHEDULER_ANNOTATION,
    SHARING_ANNOTATION,
    SHARING_KEY_ALIASES,
    SHARING_KEY_ANNOTATION,
)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One annotation. Texts are Markdown."""

    name: str
    values: str
    effect: str
    example: str
    """A value that is accepted."""
    aliases: tuple[str, ...] = ()
    """Other projects' names for it, read as if they were ours unless that is switched off."""


ANNOTATIONS: Final = (
    Annotation(
        ADDRESSES_ANNOTATION,
        "One IPv4 address, one IPv6 address, or one of each, separated by a comma.",
        "The Service gets these addresses and no others, from whatever pools they are in. A dual-stack Service"
        " that names one address gets the other family as if nothing was asked for. An address of a pool with"
        " `assignment: OnRequest` can be asked for; a pool's namespaces and selectors hold all the same.",
        "192.168.1.245,fd00:1::245",
        ADDRESSES_ALIASES,
    ),
    Annotation(
        ADDRESS_POOL_ANNOTATION,
        "The name of an AddressPool.",
        "The Service gets its addresses from this pool only. With `heraldlb.io/addresses`, too, those must lie in"
        " this pool.",
        "dmz",
        ADDRESS_POOL_ALIASES,
    ),
    Annotation(
        SHARING_KEY_ANNOTATION,
        "Any text; the same on every Service that may share.",
        "The Service may have an address that others of the same key hold, and gets such a one first. No two of"
        " them may have the same protocol and port; with `externalTrafficPolicy: Local` on one, all need it and"
        " the same selector. They may be in different namespaces.",
        "web",
        SHARING_KEY_ALIASES,
    ),
    Annotation(
        SHARING_ANNOTATION,
        "`Required`.",
        "Where a sharing key is in use and none of its addresses can be shared, the Service waits, rather than"
        " getting an address of its own.",
        "Required",
    ),
    Annotation(
        SCHEDULER_ANNOTATION,
        "`random`, `rr`, `weighted`, `wrr`, `sh`, `dh`, `maglev` (or `mh`), `lc` or `wlc`.",
        "How new connections are spread over the endpoints, on every kind of address that the Service has; the"
        " default is the installation's `agent.forwarding.scheduler`. Which is good for what:"
        " [Scheduling](scheduling.md). Session affinity comes before it.",
        "maglev",
    ),
    Annotation(
        NODE_WEIGHTS_ANNOTATION,
        "`NODE=WEIGHT`, separated by commas; weights from 0 to 100.",
        "Pods on that node get as many shares of the new connections, under the schedulers that have weights: all"
        " but `random`, `rr` and `lc`. Nodes that are not named have the weight of their label"
        " `heraldlb.io/weight`, or 1. With weight 0, pods get no new connections while others can serve.",
        "node-1=3,node-2=1",
    ),
    Annotation(
        CONNECTION_SURVIVAL_ANNOTATION,
        "`true` or `false`.",
        "Whether TCP and UDP connections to the load balancer's addresses go on when another node announces them,"
        " also after the death of the one that did; the default is the installation's"
        " `agent.forwarding.connectionSurvival`. Endpoints then see the client's own address, and answer past the"
        " announcing node. Not together with session affinity or `externalTrafficPolicy: Local`."
        " A packet's path, and what it asks of the network: [Connection survival](connection-survival.md).",
        "true",
    ),
)
