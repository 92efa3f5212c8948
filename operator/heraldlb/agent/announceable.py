"""Which addresses are to be announced, and by which nodes as far as the cluster's objects say. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from heraldlb.agent.cluster import Cluster
from heraldlb.api.announcements import ANY_INTERFACE, InterfaceFilter, L2Announcement
from heraldlb.api.nodes import Node
from heraldlb.api.objects import NamespacedName
from heraldlb.api.serviceaddress import ServiceAddress
from heraldlb.api.services import Service
from heraldlb.speaker.desired import Announceable, Peer


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all addresses alike: which nodes may announce at all, and the policies."""

    nodes: tuple[Node, ...]
    policies: tuple[L2Announcement, ...]


def rules(cluster: Cluster, *, ignore_exclude_label: bool = False) -> Rules:
    """The rules from the present objects; a change of a Node or an L2Announcement makes new ones."""
    nodes = (node for node in cluster.nodes.values() if _may_announce(node, ignore_exclude_label))
    return Rules(tuple(nodes), tuple(cluster.announcements.values()))


def announceable(
    cluster: Cluster, record: ServiceAddress, under: Rules, shared: dict[frozenset[str], frozenset[str]]
) -> Announceable | None:
    """How one address is to be announced, or None where no Service holds it any more.

    `shared` makes equal sets of candidates one: the caller keeps it from one address to the next.
    """
    services = holders(cluster, record)
    if not services:
        return None
    matching = [policy for policy in under.policies if policy.covers(record.pool, services)]
    names = _candidates(cluster, services, under.nodes, matching if under.policies else None)
    candidates = shared.setdefault(names, names)
    return Announceable(record.address, combine([policy.interfaces for policy in matching]), candidates)


def peers(cluster: Cluster, node_name: str) -> dict[str, Peer]:
    """Every other node."""
    return {
        node.name: Peer(node.name, node.internal_ips) for node in cluster.nodes.values() if node.name != node_name
    }


def holders(cluster: Cluster, record: ServiceAddress) -> list[Service]:
    """The Services that hold the address and still exist as those that it was given to."""
    found = []
    for holder in record.holders:
        service = cluster.services.get(holder.service)
        if service is not None and service.uid == holder.uid and service.is_load_balancer:
            found.append(service)
    return found


def combine(filters: Sequence[InterfaceFilter]) -> InterfaceFilter:
    """Where any of several policies would announce: includes add up, an exclusion holds if all agree on it."""
    if not filters:
        return ANY_INTERFACE
    includes = [each.include for each in filters]
    include = () if not all(includes) else tuple(sorted({name for names in includes for name in names}))
    exclude = set(filters[0].exclude).intersection(*(each.exclude for each in filters[1:]))
    return InterfaceFilter(include, tuple(sorted(exclude)))


def _may_announce(node: Node, ignore_exclude_label: bool) -> bool:
    return not node.network_unavailable and (ignore_exclude_label or not node.excluded)


def _candidates(
    cluster: Cluster, services: Sequence[Service], nodes: Sequence[Node], policies: Sequence[L2Announcement] | None
) -> frozenset[str]:
    """Nodes that may announce: admitted by a policy if there are any, and of use to the Services' traffic."""
    usable: set[str] = set()
    anywhere = False
    for service in services:
        hosts = endpoint_nodes(cluster, service.id)
        if service.external_local:
            usable |= hosts
        else:
            anywhere = anywhere or bool(hosts)
    return frozenset(
        node.name
        for node in nodes
        if (anywhere or node.name in usable)
        and (policies is None or any(policy.admits(node) for policy in policies))
    )


def endpoint_nodes(cluster: Cluster, service: NamespacedName) -> set[str]:
    """Nodes with a ready endpoint of the Service; where there is none, with one that still serves.

    An endpoint outside the cluster counts under the empty name.
    """
    endpoints = [endpoint for slice_ in cluster.slices_of(service) for endpoint in slice_.endpoints]
    ready = {endpoint.node_name for endpoint in endpoints if endpoint.ready}
    return ready or {endpoint.node_name for endpoint in endpoints if endpoint.serving and endpoint.terminating}
