"""What the controller knows of the cluster: a mirror of each kind it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from heraldlb.api.addresspool import AddressPool, parse_pool
from heraldlb.api.announcements import L2Announcement, parse_announcement
from heraldlb.api.nodes import Node, parse_node
from heraldlb.api.objects import NamespacedName, Raw, mapping
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import ServiceAddress, parse_service_address, record_key
from heraldlb.api.services import Service, parse_service
from heraldlb.kube.mirror import Mirror

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WithStatus(Generic[T]):
    """One of our own objects: what its user wrote, and the status that we wrote last."""

    spec: T
    status: Raw


class Cluster:
    """The mirrors, filled and kept current by a feed."""

    def __init__(self) -> None:
        self.services: Mirror[Service] = Mirror(parse_service)
        self.namespaces: Mirror[Mapping[str, str]] = Mirror(_labels)
        self.nodes: Mirror[Node] = Mirror(parse_node)
        self.records: Mirror[ServiceAddress] = Mirror(parse_service_address)
        self.pools: Mirror[WithStatus[AddressPool]] = Mirror(_with_status(parse_pool))
        self.announcements: Mirror[WithStatus[L2Announcement]] = Mirror(_with_status(parse_announcement))

    def record(self, address: IPAddress) -> ServiceAddress | None:
        """The ServiceAddress of that address."""
        return self.records.get(record_key(address))

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """The labels of a namespace; none if it is not known."""
        return self.namespaces.get(NamespacedName("", namespace)) or {}

    def address_pools(self) -> Iterable[AddressPool]:
        """Every pool as its user wrote it."""
        return [pool.spec for pool in self.pools.values()]


def _labels(raw: Raw) -> Mapping[str, str]:
    return mapping(raw, "metadata", "labels")


def _with_status(parse: Callable[[Raw], T]) -> Callable[[Raw], WithStatus[T]]:
    return lambda raw: WithStatus(parse(raw), mapping(raw, "status"))
