"""An agent as far as surviving connections go: forwarder, tables, and the ways to other nodes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.pathways import PathwaysRole
from heraldlb.agent.surviving import SurvivalRole
from heraldlb.api.endpoints import Endpoint, EndpointPort
from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import Service
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.model import Frame
from heraldlb.forwarding.node import NodeView
from heraldlb.forwarding.overlay import TunnelSettings
from heraldlb.forwarding.plan import make_plan
from heraldlb.forwarding.readback import KernelReader
from lab.waiting import wait_for
from tests.lab.forwarding_net import Net
from tests.lab.kernels import kernel
from tests.lab.surviving_net import listed
from tests.unit.forwarding.builders import slice_of
from tests.unit.forwarding.cases import TARGET

PATIENCE = 30.0
VERSIONS = itertools.count(1)


@dataclass(slots=True)
class Agent:
    """One node's forwarder and what follows it."""

    net: Net
    seen: NodeView
    role: SurvivalRole
    cluster: Cluster
    forwarder: Forwarder
    running: asyncio.Future[tuple[None, None]]

    @property
    def node(self) -> str:
        return self.seen.name

    def stop(self) -> None:
        """End as a process that is killed."""
        self.running.cancel()

    async def forward(self, endpoints: list[Endpoint], *services: Service) -> None:
        """These, and no others, from now on."""
        slices = {
            each.id: [
                slice_of(
                    *endpoints,
                    of=each.id,
                    ports=tuple(EndpointPort(port.name, port.protocol, TARGET) for port in each.ports),
                )
            ]
            for each in services
        }
        plan = make_plan(services, slices, self.seen, Frame(self.seen.pod_cidrs, seed=7))
        await self.forwarder.apply(plan)
        self.role.applied(plan, self.seen, ())

    async def until_loaded(self, *frontends: str) -> None:
        """Until the kernel has all of these frontends, by protocol and port."""
        for each in frontends or ("tcp-80", "udp-80"):
            await self.until(f"goto translate-{each}-", "translating")

    async def until(self, what: str, map_: str = "", *, there: bool = True) -> None:
        """Until that is in what nft lists of the table or map, or is there no more, in both families."""

        def holds() -> bool:
            return all((what in listed(self.net, self.node, family, map_)) is there for family in FAMILIES)

        await asyncio.to_thread(wait_for, f"{what} on {self.node}: {there}", holds, PATIENCE)


@asynccontextmanager
async def agent(net: Net, seen: NodeView, nodes: Mapping[str, Mapping[Family, str]]) -> AsyncIterator[Agent]:
    """`nodes`: the InternalIPs of all."""
    cluster = Cluster()
    for name, addresses in nodes.items():
        internal = [{"type": "InternalIP", "address": each} for each in addresses.values()]
        metadata = {"name": name, "resourceVersion": str(next(VERSIONS))}
        cluster.nodes.observe("ADDED", {"metadata": metadata, "status": {"addresses": internal}})
    ways = PathwaysRole(
        cluster,
        seen.name,
        TunnelSettings(),
        net.nft(seen.name),
        lambda ways: role.ways_changed(ways),
        lambda _: None,
        kernel(net, seen.name),
    )
    reader = KernelReader(lambda: net.netlink(seen.name))
    role = SurvivalRole(cluster, seen.name, net.nft(seen.name), reader, ways.want, lambda _: None)
    running = asyncio.gather(role.run(), ways.run())
    try:
        yield Agent(net, seen, role, cluster, net.forwarder(seen.name), running)
    finally:
        running.cancel()
        await asyncio.wait({running})
