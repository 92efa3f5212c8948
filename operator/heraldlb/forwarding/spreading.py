"""How a Service's connections are spread over the endpoints that were chosen for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from heraldlb.api.endpoints import EndpointSlice
from heraldlb.api.ranges import IPAddress
from heraldlb.api.services import Protocol
from heraldlb.forwarding import maglev
from heraldlb.forwarding.endpoints import EndpointLists
from heraldlb.forwarding.leastconn import Loads, least_connections
from heraldlb.forwarding.model import Backend, Pick
from heraldlb.forwarding.node import NodeView
from heraldlb.forwarding.schedulers import Scheduler, Wishes
from heraldlb.forwarding.slots import interleave, usable

_PICKS: Final[Mapping[Scheduler, Pick]] = {
    Scheduler.ROUND_ROBIN: Pick.TURN,
    Scheduler.WEIGHTED_ROUND_ROBIN: Pick.TURN,
    Scheduler.SOURCE_HASH: Pick.SOURCE,
    Scheduler.DESTINATION_HASH: Pick.DESTINATION,
    Scheduler.MAGLEV: Pick.CONNECTION,
}
"""The others leave the choice among their slots to chance."""


@dataclass(frozen=True, slots=True)
class Spreading:
    """The scheduler of one Service and what it goes by."""

    scheduler: Scheduler
    weights: Mapping[IPAddress, int] = field(default_factory=dict)
    """Of endpoints, where it is not 1."""
    loads: Loads = field(default_factory=dict)

    @property
    def pick(self) -> Pick:
        """What says which of the slots a connection gets."""
        return _PICKS.get(self.scheduler, Pick.RANDOM)

    def spread(self, lists: EndpointLists, protocol: Protocol) -> EndpointLists:
        """Slots for backends, which come in an order that is the same on every node."""
        if not self.scheduler.weighs and not self.scheduler.counts:
            return lists
        return replace(
            lists, cluster=self._slots(lists.cluster, protocol), local=self._slots(lists.local, protocol)
        )

    def _slots(self, backends: tuple[Backend, ...], protocol: Protocol) -> tuple[Backend, ...]:
        some, weights = usable(backends, [self.weights.get(backend.address, 1) for backend in backends])
        if len(some) < 2:
            return some
        if self.scheduler.counts:
            return least_connections(some, weights, [self.loads.get((protocol, backend), 0) for backend in some])
        # With more endpoints than slots some would be left out.
        if self.scheduler is Scheduler.MAGLEV and len(some) <= maglev.TABLE_SIZE:
            return maglev.table(some, weights)
        return interleave(some, weights)


_RANDOM: Final = Spreading(Scheduler.RANDOM)


def spreading_of(wishes: Wishes, slices: Iterable[EndpointSlice], node: NodeView, loads: Loads) -> Spreading:
    """What a Service with these slices asks for, or else the node's default; its own weights win over labels."""
    scheduler = wishes.scheduler or node.scheduler
    if scheduler is Scheduler.RANDOM:
        return _RANDOM
    by_node = {**node.weights, **wishes.weights} if scheduler.weighs else {}
    weights = {
        endpoint.address: by_node[endpoint.node_name]
        for endpoint_slice in (slices if by_node else ())
        for endpoint in endpoint_slice.endpoints
        if endpoint.node_name in by_node
    }
    return Spreading(scheduler, weights, loads)
