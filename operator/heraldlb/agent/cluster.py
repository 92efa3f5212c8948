"""What the agent knows of the cluster: a mirror of each kind it reads, and slices by their Service."""

from __future__ import annotations

from heraldlb.api.announcements import L2Announcement, parse_announcement
from heraldlb.api.endpoints import EndpointSlice, parse_endpoint_slice
from heraldlb.api.nodes import Node, parse_node
from heraldlb.api.objects import NamespacedName
from heraldlb.api.serviceaddress import ServiceAddress, parse_service_address
from heraldlb.api.services import Service, parse_service
from heraldlb.kube.mirror import Change, Mirror


class Cluster:
    """The mirrors, filled and kept current by a feed. Slice changes go through `slice_changed`."""

    def __init__(self) -> None:
        self.services: Mirror[Service] = Mirror(parse_service)
        self.slices: Mirror[EndpointSlice] = Mirror(parse_endpoint_slice)
        self.nodes: Mirror[Node] = Mirror(parse_node)
        self.records: Mirror[ServiceAddress] = Mirror(parse_service_address)
        self.announcements: Mirror[L2Announcement] = Mirror(parse_announcement)
        self._slices_of: dict[NamespacedName, dict[NamespacedName, EndpointSlice]] = {}

    def index_slices(self) -> None:
        """Build the index of slices anew, as after the first list."""
        self._slices_of.clear()
        for slice_ in self.slices.values():
            self._slices_of.setdefault(slice_.service, {})[slice_.id] = slice_

    def slice_changed(self, change: Change[EndpointSlice]) -> set[NamespacedName]:
        """Take a changed slice into the index. Returns the Services concerned."""
        touched = set()
        for slice_ in (change.before, change.after):
            if slice_ is not None:
                self._slices_of.get(slice_.service, {}).pop(slice_.id, None)
                touched.add(slice_.service)
        if change.after is not None:
            self._slices_of.setdefault(change.after.service, {})[change.key] = change.after
        for service in touched:
            if not self._slices_of.get(service):
                self._slices_of.pop(service, None)
        return touched

    def slices_of(self, service: NamespacedName) -> list[EndpointSlice]:
        """The slices of a Service."""
        return list(self._slices_of.get(service, {}).values())

    def node(self, name: str) -> Node | None:
        """The Node of that name."""
        return self.nodes.get(NamespacedName("", name))
