"""What was read of the cluster for one command, and how the two processes would see it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from heraldlb.agent.cluster import Cluster as AgentView
from heraldlb.api.objects import Raw
from heraldlb.controller.cluster import Cluster as ControllerView
from heraldlb.kube.mirror import Mirror


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Objects as the API server has them, each kind complete; a kind that was not asked for is empty."""

    now: float
    """Unix seconds."""
    pools: tuple[Raw, ...] = ()
    announcements: tuple[Raw, ...] = ()
    records: tuple[Raw, ...] = ()
    """ServiceAddresses."""
    services: tuple[Raw, ...] = ()
    """Of `type: LoadBalancer`."""
    namespaces: tuple[Raw, ...] = ()
    nodes: tuple[Raw, ...] = ()
    slices: tuple[Raw, ...] = ()
    """EndpointSlices."""
    pods: tuple[Raw, ...] = ()
    """Herald's own."""
    leases: tuple[Raw, ...] = ()
    """Of the controller."""
    events: tuple[Raw, ...] = ()
    """`events.k8s.io/v1`, Herald's own."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Kinds that could not be read, by the name of the field here, and why."""


def controller_view(snapshot: Snapshot) -> ControllerView:
    """The snapshot as the controller knows the cluster."""
    view = ControllerView()
    _fill(view.services, snapshot.services)
    _fill(view.namespaces, snapshot.namespaces)
    _fill(view.nodes, snapshot.nodes)
    _fill(view.records, snapshot.records)
    _fill(view.pools, snapshot.pools)
    _fill(view.announcements, snapshot.announcements)
    return view


def agent_view(snapshot: Snapshot, known: ControllerView | None = None) -> AgentView:
    """The snapshot as an agent knows the cluster, but for which of its peers live.

    `known`: the controller's view of the same snapshot. What both read is taken from there, not parsed again: of
    ten thousand Services that takes a second.
    """
    view = AgentView()
    if known is not None:
        view.services, view.nodes, view.records = known.services, known.nodes, known.records
    else:
        _fill(view.services, snapshot.services)
        _fill(view.nodes, snapshot.nodes)
        _fill(view.records, snapshot.records)
    _fill(view.slices, snapshot.slices)
    _fill(view.announcements, snapshot.announcements)
    view.index()
    return view


def _fill(mirror: Mirror[Any], objects: tuple[Raw, ...]) -> None:
    for each in objects:
        mirror.observe(None, dict(each))
