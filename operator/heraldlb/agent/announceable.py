"""Which addresses are to be announced, and by which nodes as far as the cluster's objects say. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from heraldlb.agent.cluster import Cluster
from heraldlb.api.announcements import ANY_INTERFACE, Balancing, InterfaceFilter, L2Announcement
from heraldlb.api.nodes import Node
from heraldlb.api.reasons import Hindrance
from heraldlb.api.serviceaddress import ServiceAddress
from heraldlb.api.services import Service
from heraldlb.speaker.desired import Announceable, Peer


@dataclass(frozen=True, slots=True)
class Policy:
    """An L2Announcement, and the nodes that it selects: each with its weight, 0 where none is preferred."""

    announcement: L2Announcement
    weights: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for all addresses alike: which nodes may announce at all, and the policies."""

    nodes: Mapping[str, tuple[Hindrance, ...]]
    """What is wrong with each node, whatever the address. Empty: nothing."""
    policies: tuple[Policy, ...]

    def nodes_under(self, policies: Collection[Policy]) -> set[str]:
        """The nodes that one of these policies selects; all of them where there is no policy in the cluster."""
        if not self.policies:
            return set(self.nodes)
        return {name for policy in policies for name in policy.weights}


class Shared:
    """Makes equal parts of what is to be announced one, by which elections for thousands of addresses are cheap."""

    def __init__(self) -> None:
        self._candidates: dict[frozenset[str], frozenset[str]] = {}
        self._interfaces: dict[InterfaceFilter, InterfaceFilter] = {}

    def candidates(self, names: frozenset[str]) -> frozenset[str]:
        """The first set that was equal to this one."""
        return self._candidates.setdefault(names, names)

    def interfaces(self, wanted: InterfaceFilter) -> InterfaceFilter:
        """The first filter that was equal to this one."""
        return self._interfaces.setdefault(wanted, wanted)


def rules(cluster: Cluster, *, ignore_exclude_label: bool = False, ignore_cordon: bool = False) -> Rules:
    """The rules from the present objects; a change of a Node or an L2Announcement makes new ones."""
    ignored = {
        hindrance
        for hindrance, ignore in ((Hindrance.EXCLUDED, ignore_exclude_label), (Hindrance.CORDONED, ignore_cordon))
        if ignore
    }
    nodes = tuple(cluster.nodes.values())
    return Rules(
        {node.name: tuple(each for each in _hindrances(node) if each not in ignored) for node in nodes},
        tuple(_policy(announcement, nodes) for announcement in cluster.announcements.values()),
    )


def announceable(cluster: Cluster, record: ServiceAddress, under: Rules, shared: Shared) -> Announceable | None:
    """How one address is to be announced, or None where no Service holds it any more.

    The caller keeps `shared` from one address to the next.
    """
    services = holders(cluster, record)
    if not services:
        return None
    policies = covering(under, record, services)
    usable = usable_nodes(cluster, services, under.nodes)
    names = frozenset(name for name in under.nodes_under(policies) & usable if not under.nodes.get(name))
    candidates = shared.candidates(names)
    interfaces = shared.interfaces(combine([policy.announcement.interfaces for policy in policies]))
    weights = _weights(policies, candidates)
    return Announceable(
        record.address,
        interfaces,
        candidates,
        weights,
        # Single is what policies say that say nothing, so one that asks for more is heard.
        per_client=any(policy.announcement.balancing == Balancing.PER_CLIENT for policy in policies),
        probe=not record.announced_before,
    )


def hindrances(cluster: Cluster, record: ServiceAddress, under: Rules) -> dict[str, tuple[Hindrance, ...]]:
    """What keeps each node from being a candidate for the address; candidates are left out."""
    services = holders(cluster, record)
    selected = under.nodes_under(covering(under, record, services))
    usable = usable_nodes(cluster, services, under.nodes)
    anywhere = any(endpoint_nodes(cluster, service) for service in services)
    lacking = Hindrance.NO_LOCAL_ENDPOINT if anywhere else Hindrance.NO_ENDPOINT
    found = {}
    for name, own in under.nodes.items():
        if name not in selected:
            own = (*own, Hindrance.NOT_SELECTED)
        if name not in usable:
            own = (*own, lacking)
        if own:
            found[name] = own
    return found


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


def covering(under: Rules, record: ServiceAddress, services: Sequence[Service]) -> list[Policy]:
    """The policies that speak for an address held by `services`."""
    return [policy for policy in under.policies if policy.announcement.covers(record.pool, services)]


def combine(filters: Sequence[InterfaceFilter]) -> InterfaceFilter:
    """Where any of several policies would announce: includes add up, an exclusion holds if all agree on it."""
    if not filters:
        return ANY_INTERFACE
    includes = [each.include for each in filters]
    include = () if not all(includes) else tuple(sorted({name for names in includes for name in names}))
    exclude = set(filters[0].exclude).intersection(*(each.exclude for each in filters[1:]))
    return InterfaceFilter(include, tuple(sorted(exclude)))


def usable_nodes(cluster: Cluster, services: Sequence[Service], nodes: Iterable[str]) -> set[str]:
    """The nodes from which the Services' traffic reaches an endpoint: those that have one, for Services with
    `externalTrafficPolicy: Local`, or else all of `nodes`."""
    usable: set[str] = set()
    for service in services:
        hosts = endpoint_nodes(cluster, service)
        usable.update(hosts if service.external_local or not hosts else nodes)
    return usable


def endpoint_nodes(cluster: Cluster, service: Service) -> set[str]:
    """Nodes with a ready endpoint of the Service; where there is none, with one that still serves.

    Endpoints of lost nodes count only where there are no others (see `Cluster.lost`). One outside the cluster
    counts under the empty name.
    """
    endpoints = [endpoint for slice_ in cluster.slices_of(service.id) for endpoint in slice_.endpoints]
    ready = {endpoint.node_name for endpoint in endpoints if endpoint.ready}
    draining = {endpoint.node_name for endpoint in endpoints if endpoint.serving and endpoint.terminating}
    return ready - cluster.lost or draining - cluster.lost or ready or draining


def _hindrances(node: Node) -> list[Hindrance]:
    found = {
        Hindrance.CORDONED: node.unschedulable,
        Hindrance.EXCLUDED: node.excluded,
        Hindrance.NETWORK_UNAVAILABLE: node.network_unavailable,
    }
    return [hindrance for hindrance, holds in found.items() if holds]


def _policy(announcement: L2Announcement, nodes: Iterable[Node]) -> Policy:
    return Policy(
        announcement,
        {
            node.name: sum(each.weight for each in announcement.preferences if each.selector.matches(node.labels))
            for node in nodes
            if announcement.admits(node)
        },
    )


def _weights(policies: Iterable[Policy], candidates: frozenset[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for policy in policies:
        for name, weight in policy.weights.items():
            if weight and name in candidates:
                found[name] = found.get(name, 0) + weight
    return found
