"""The chapter on announcing: who may answer for an address, who does, and what keeps the others. Pure.

Judged by the agents' own code; what only they can know (interfaces, who hears whom) is told in their words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from heraldlb.agent.announceable import Rules, Shared, announceable, covering, hindrances, holders
from heraldlb.agent.cluster import Cluster
from heraldlb.agent.refusals import hindrances_told
from heraldlb.api.explanations import HINDRANCES
from heraldlb.api.objects import NamespacedName, text
from heraldlb.api.ranges import IPAddress
from heraldlb.api.reasons import Hindrance
from heraldlb.api.serviceaddress import ANNOUNCED_CONDITION, CONFLICT_CONDITION, ServiceAddress
from heraldlb.cli.kubectl.explain.counters import Counters
from heraldlb.cli.kubectl.installation import Installation
from heraldlb.cli.kubectl.services.condition import condition_of

_OF_ENDPOINTS: Final = frozenset({Hindrance.NO_ENDPOINT, Hindrance.NO_LOCAL_ENDPOINT})

_OF_NODES: Final = frozenset(
    {Hindrance.NOT_HEARD, Hindrance.NOT_SERVING, Hindrance.NO_INTERFACE, Hindrance.NO_PREFIX}
)
"""What agents alone know. Of the rest, what they have said may be out of date."""


class Standing(StrEnum):
    """How a node stands to an address."""

    ANNOUNCES = "Announces"
    SHARES = "Shares"
    MAY = "May"
    MAY_NOT = "MayNot"


@dataclass(frozen=True, slots=True)
class NodeStanding:
    """One node."""

    node: str
    standing: Standing
    hindrances: tuple[Hindrance, ...]
    """What hinders it, by the objects, and by what the agents say where nobody announces the address."""
    why: tuple[str, ...]
    """The same in words, and what its agent's pod tells."""


@dataclass(frozen=True, slots=True)
class AddressChapter:
    """One address."""

    address: IPAddress
    pool: str
    shared_with: tuple[NamespacedName, ...]
    """Other Services that hold it."""
    policies: tuple[str, ...]
    """L2Announcements that cover it; none are needed where there are none in the cluster."""
    per_client: bool
    """Whether all nodes that may announce it share its clients."""
    node: str
    interface: str
    mac_address: str
    since: str
    """RFC 3339: since when that node announces it."""
    reason: str
    message: str
    """What the agents say of announcing it."""
    contested: str
    """What they say of a host that claims it, too; empty: none does."""
    nodes: tuple[NodeStanding, ...]
    """Every node; empty where they could not be read."""
    counters: Mapping[str, Counters]
    """Requests seen and answered, by the node whose agent was asked."""
    unasked: Mapping[str, str]
    """Nodes whose agent could not be asked, and why."""


def address_chapter(
    record: ServiceAddress,
    service: NamespacedName,
    view: Cluster,
    under: Rules,
    herald: Installation,
    *,
    endpoints_known: bool = True,
) -> AddressChapter:
    """One address of the Service, without counters. Where endpoints are not known, they hinder nobody."""
    services = holders(view, record)
    wanted = announceable(view, record, under, Shared())
    per_client = wanted is not None and wanted.per_client
    found = _hindrances(record, view, under, endpoints_known=endpoints_known)
    said = condition_of(record.conditions, ANNOUNCED_CONDITION)
    conflict = condition_of(record.conditions, CONFLICT_CONDITION)
    return AddressChapter(
        address=record.address,
        pool=record.pool,
        shared_with=tuple(sorted({each.service for each in record.holders} - {service})),
        policies=tuple(sorted(policy.announcement.name for policy in covering(under, record, services))),
        per_client=per_client,
        node=record.node,
        interface=record.interface,
        mac_address=record.mac_address,
        since=record.since,
        reason=text(said, "reason"),
        message=text(said, "message") or "no agent has said anything of it yet",
        contested=text(conflict, "message") if record.contested_since is not None else "",
        nodes=_nodes(record, found, under, herald, per_client=per_client),
        counters={},
        unasked={},
    )


def _hindrances(
    record: ServiceAddress, view: Cluster, under: Rules, *, endpoints_known: bool
) -> Mapping[str, tuple[Hindrance, ...]]:
    """What keeps each node from announcing, as objects say; and where nobody announces, as agents do."""
    found = hindrances(view, record, under)
    if not endpoints_known:
        found = {name: tuple(each for each in why if each not in _OF_ENDPOINTS) for name, why in found.items()}
    if record.node:
        return found
    told = hindrances_told(text(condition_of(record.conditions, ANNOUNCED_CONDITION), "message"))
    only_known_there = {name: tuple(each for each in why if each in _OF_NODES) for name, why in told.items()}
    return {name: (*found.get(name, ()), *only_known_there.get(name, ())) for name in under.nodes}


def _nodes(
    record: ServiceAddress,
    found: Mapping[str, tuple[Hindrance, ...]],
    under: Rules,
    herald: Installation,
    *,
    per_client: bool,
) -> tuple[NodeStanding, ...]:
    standings = []
    for name in sorted(under.nodes):
        own = found.get(name, ())
        why = [HINDRANCES[each] for each in own]
        if herald.agents and (agent := herald.agent_on(name)) is None:
            why.append("no agent runs on it")
        elif herald.agents and agent is not None and not agent.ready:
            why.append("its agent is not ready" + (f" ({agent.trouble})" if agent.trouble else ""))
        if name == record.node:
            standing = Standing.ANNOUNCES
        elif why:
            standing = Standing.MAY_NOT
        else:
            standing = Standing.SHARES if per_client else Standing.MAY
        standings.append(NodeStanding(name, standing, own, tuple(why)))
    return tuple(standings)
