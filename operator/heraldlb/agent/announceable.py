"""Which addresses are to be announced, and by which nodes as far as the cluster's objects say. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from heraldlb.agent.cluster import Cluster
from heraldlb.api.announcements import ANY_INTERFACE, InterfaceFilter, L2Announcement
from heraldlb.api.nodes import Node
from heraldlb.api.objects import NamespacedName
from heraldlb.api.serviceaddress import ServiceAddress
from heraldlb.api.services import Service
from heraldlb.speaker.desired import Announceable, Desired, Peer


def desired(cluster: Cluster, node_name: str, *, ignore_exclude_label: bool = False) -> Desired:
    """Everything the speaker of `node_name` should know, from the present objects."""
    nodes = [node for node in cluster.nodes.values() if _may_announce(node, ignore_exclude_label)]
    policies = list(cluster.announcements.values())
    # Addresses with equal candidates share one set, which makes elections for thousands of them cheap.
    shared: dict[frozenset[str], frozenset[str]] = {}
    addresses = {}
    for record in cluster.records.values():
        services = holders(cluster, record)
        if not services:
            continue
        matching = [policy for policy in policies if policy.covers(record.pool, services)]
        names = _candidates(cluster, services, nodes, matching if policies else None)
        candidates = shared.setdefault(names, names)
        filters = [policy.interfaces for policy in matching]
        addresses[record.address] = Announceable(record.address, combine(filters), candidates)
    peers = {
        node.name: Peer(node.name, node.internal_ips) for node in cluster.nodes.values() if node.name != node_name
    }
    return Desired(addresses, peers)


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
