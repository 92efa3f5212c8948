"""The agent's part in connections that outlive their announcer: its tables in the kernel, under traffic."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.pathways import PathwaysRole
from heraldlb.agent.surviving import SurvivalRole
from heraldlb.api.endpoints import EndpointPort
from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import Service, ServicePort
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.model import Frame
from heraldlb.forwarding.overlay import TunnelSettings
from heraldlb.forwarding.plan import make_plan
from heraldlb.forwarding.survivaltables import TABLES
from lab.waiting import wait_for
from tests.lab.forwarding_net import NODE_ADDRESS, NODES, Connection, Net, both_families, view
from tests.lab.kernels import kernel
from tests.lab.surviving_net import SURVIVES, Crowd, Flow, crowd, move, table
from tests.unit.forwarding.builders import slice_of
from tests.unit.forwarding.cases import TARGET, pods, web

PATIENCE = 30.0
VERSIONS = itertools.count(1)
PORTS = (ServicePort("http", "TCP", 80), ServicePort("dns", "UDP", 80))
SUBJECT, PLAIN = web(ports=PORTS, annotations=SURVIVES), web(ports=PORTS)
STRAY = "ip heraldlb-survival passing { 192.0.2.1 . tcp . 1 : drop }"


@dataclass(slots=True)
class Agent:
    """One node's forwarder and what follows it."""

    net: Net
    node: str
    role: SurvivalRole
    cluster: Cluster
    forwarder: Forwarder
    running: asyncio.Future[tuple[None, None]]

    def stop(self) -> None:
        """End as a process that is killed."""
        self.running.cancel()

    async def forward(self, subject: Service) -> None:
        """To both pods, from now on."""
        targets = tuple(EndpointPort(port.name, port.protocol, TARGET) for port in subject.ports)
        seen = view(self.node)
        slices = {subject.id: [slice_of(*pods("pod-1", "pod-2"), of=subject.id, ports=targets)]}
        plan = make_plan([subject], slices, seen, Frame(seen.pod_cidrs, seed=7))
        await self.forwarder.apply(plan)
        self.role.applied(plan, seen, ())

    async def until_loaded(self) -> None:
        """Until the kernel has all of both frontends."""
        for protocol in ("tcp", "udp"):
            await self.until(f"goto translate-{protocol}-80")

    async def until(self, what: str, *, there: bool = True) -> None:
        """Until the kernel has that, or has it no more, in both families."""

        def holds() -> bool:
            return all((what in table(self.net, self.node, family)) is there for family in FAMILIES)

        await asyncio.to_thread(wait_for, f"{what} on {self.node}: {there}", holds, PATIENCE)


@asynccontextmanager
async def agent(net: Net, node: str) -> AsyncIterator[Agent]:
    cluster = Cluster()
    for name in NODES:
        addresses = [{"type": "InternalIP", "address": NODE_ADDRESS[family][name]} for family in FAMILIES]
        metadata = {"name": name, "resourceVersion": str(next(VERSIONS))}
        cluster.nodes.observe("ADDED", {"metadata": metadata, "status": {"addresses": addresses}})
    ways = PathwaysRole(
        cluster,
        node,
        TunnelSettings(),
        net.nft(node),
        lambda ways: role.ways_changed(ways),
        lambda _: None,
        kernel(net, node),
    )
    role = SurvivalRole(cluster, node, net.nft(node), ways.want, lambda _: None)
    running = asyncio.gather(role.run(), ways.run())
    try:
        yield Agent(net, node, role, cluster, net.forwarder(node), running)
    finally:
        running.cancel()
        await asyncio.wait({running})


@both_families
async def test_a_restart_under_traffic_is_not_noticed_and_what_others_remove_comes_back(
    net: Net, family: Family
) -> None:
    for pod in ("pod-1", "pod-2"):
        await net.serve(pod, family, "TCP", TARGET)
        await net.serve(pod, family, "UDP", TARGET)
    async with agents(net) as former, crowd(net, family, "node-1") as clients, asyncio.TaskGroup() as tasks:
        ended = asyncio.Event()
        talking = tasks.create_task(talk(clients, ended))
        for each in former:
            # What only a successor takes away, once all of its own is in force.
            await net.nft(each.node).apply(f"add element {STRAY}\n")
            each.stop()
        async with agents(net) as successors:
            for each in successors:
                await each.until("192.0.2.1", there=False)
            ended.set()
            assert await talking == []
            for each in successors:
                for name in TABLES:
                    await net.nft(each.node).apply(f"delete table {name}\n")
                each.role.touched()
                await each.until_loaded()
            # Connections may have met a node without the table; those made from now on survive again.
            async with crowd(net, family, "node-1") as others:
                move(net, family, "node-2")
                assert await others.lost() == []
            for each in successors:
                await each.forward(PLAIN)
                await each.until("table", there=False)


async def talk(clients: Crowd, ended: asyncio.Event) -> list[Connection | Flow]:
    """Those whose answers were not as before, sooner or later."""
    while not ended.is_set():
        if lost := await clients.lost():
            return lost
    return await clients.lost()


@asynccontextmanager
async def agents(net: Net) -> AsyncIterator[list[Agent]]:
    """Of both nodes, once all of theirs is in force."""
    async with agent(net, "node-1") as first, agent(net, "node-2") as second:
        for each in (first, second):
            await each.forward(SUBJECT)
        for each in (first, second):
            await each.until_loaded()
        yield [first, second]
