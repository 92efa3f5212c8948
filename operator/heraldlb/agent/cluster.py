"""What the agent knows of the cluster: a mirror of each kind it reads; slices and addresses by their Service."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from typing import Generic, TypeVar

from heraldlb.api.announcements import L2Announcement, parse_announcement
from heraldlb.api.endpoints import EndpointSlice, parse_endpoint_slice
from heraldlb.api.nodes import Node, parse_node
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import ServiceAddress, parse_service_address, record_key
from heraldlb.api.servicecidrs import ServiceCIDR, parse_service_cidr
from heraldlb.api.services import Service, parse_service
from heraldlb.kube.mirror import Change, Mirror

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class ByService(Generic[K, V]):
    """Values that belong to Services, each under a key of its own."""

    def __init__(self) -> None:
        self._groups: dict[NamespacedName, dict[K, V]] = {}

    def put(self, service: NamespacedName, key: K, value: V) -> None:
        """Add the value, or replace that of the same key."""
        self._groups.setdefault(service, {})[key] = value

    def drop(self, service: NamespacedName, key: K) -> None:
        """Remove the value of that key, if there is one."""
        group = self._groups.get(service, {})
        group.pop(key, None)
        if not group:
            self._groups.pop(service, None)

    def of(self, service: NamespacedName) -> Collection[V]:
        """The values of one Service."""
        return tuple(self._groups.get(service, {}).values())


class Cluster:
    """The mirrors, filled and kept current by a feed.

    After the first lists `index` must be called once; from then on `slice_changed` and `record_changed`, for each
    change of their kinds.
    """

    def __init__(self) -> None:
        self.services: Mirror[Service] = Mirror(parse_service)
        self.slices: Mirror[EndpointSlice] = Mirror(parse_endpoint_slice)
        self.nodes: Mirror[Node] = Mirror(parse_node)
        self.service_cidrs: Mirror[ServiceCIDR] = Mirror(parse_service_cidr)
        self.records: Mirror[ServiceAddress] = Mirror(parse_service_address)
        self.announcements: Mirror[L2Announcement] = Mirror(parse_announcement)
        self.alive: frozenset[str] = frozenset()
        """Other nodes whose agent lives, as this node's speaker knows."""
        self.lost: frozenset[str] = frozenset()
        """Nodes whose agent lived and fell silent, long before the API server can know. Most likely they are dead
        or cut off, and their endpoints with them; but an agent can die alone, so that those are used where there
        are no others."""
        self._slices: ByService[NamespacedName, EndpointSlice] = ByService()
        self._addresses: ByService[IPAddress, IPAddress] = ByService()

    def index(self) -> None:
        """Build the indexes from the mirrors."""
        for slice_ in self.slices.values():
            self.slice_changed(Change(slice_.id, None, slice_))
        for record in self.records.values():
            self.record_changed(Change(record_key(record.address), None, record))

    def slice_changed(self, change: Change[EndpointSlice]) -> set[NamespacedName]:
        """Take a changed slice into the index. Returns the Services concerned."""
        if change.before is not None:
            self._slices.drop(change.before.service, change.key)
        if change.after is not None:
            self._slices.put(change.after.service, change.key, change.after)
        return {slice_.service for slice_ in (change.before, change.after) if slice_ is not None}

    def record_changed(self, change: Change[ServiceAddress]) -> None:
        """Take a changed record into the index."""
        if change.before is not None:
            for holder in change.before.holders:
                self._addresses.drop(holder.service, change.before.address)
        if change.after is not None:
            for holder in change.after.holders:
                self._addresses.put(holder.service, change.after.address, change.after.address)

    def slices_of(self, service: NamespacedName) -> Collection[EndpointSlice]:
        """The slices of a Service."""
        return self._slices.of(service)

    def services_on(self, nodes: Collection[str]) -> set[NamespacedName]:
        """The Services with an endpoint on one of these nodes. Looks at every slice."""
        return {
            slice_.service
            for slice_ in self.slices.values()
            if any(endpoint.node_name in nodes for endpoint in slice_.endpoints)
        }

    def addresses_of(self, service: NamespacedName) -> Collection[IPAddress]:
        """The addresses recorded for a Service."""
        return self._addresses.of(service)

    def record(self, address: IPAddress) -> ServiceAddress | None:
        """The ServiceAddress of an address."""
        return self.records.get(record_key(address))

    @property
    def uid(self) -> str:
        """What this cluster has of its own and every node can know: the UID of the Service default/kubernetes."""
        kubernetes = self.services.get(NamespacedName("default", "kubernetes"))
        return kubernetes.uid if kubernetes is not None else ""

    def node(self, name: str) -> Node | None:
        """The Node of that name."""
        return self.nodes.get(NamespacedName("", name))
