"""The agent's part in connections that outlive their announcer: its tables in the kernel, under traffic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import Service, ServicePort
from heraldlb.forwarding.survivaltables import TABLES
from tests.lab.forwarding_net import NODE_ADDRESS, NODES, Connection, Net, both_families, view
from tests.lab.surviving_agent import Agent, agent
from tests.lab.surviving_net import SURVIVES, Crowd, Flow, crowd, listed, move
from tests.unit.forwarding.cases import TARGET, pods, web

PORTS = (ServicePort("http", "TCP", 80), ServicePort("dns", "UDP", 80))
SUBJECT, PLAIN = web(ports=PORTS, annotations=SURVIVES), web(ports=PORTS)
GONE = web(
    id_=NamespacedName("default", "gone"),
    ports=(ServicePort("gone", "TCP", 81),),
    annotations=SURVIVES,
    cluster_ips=("10.96.0.3", "fd00:96::3"),
    external_ips=(),
    source_ranges=("192.0.2.0/24", "2001:db8:1::/48"),
)
"""While nobody runs, it goes."""
ENDPOINTS = pods("pod-1", "pod-2")
ADDRESSES = {name: {family: NODE_ADDRESS[family][name] for family in FAMILIES} for name in NODES}


@both_families
async def test_a_restart_under_traffic_is_not_noticed_and_what_others_remove_comes_back(
    net: Net, family: Family
) -> None:
    for pod in ("pod-1", "pod-2"):
        await net.serve(pod, family, "TCP", TARGET)
        await net.serve(pod, family, "UDP", TARGET)
    async with (
        agents(net, SUBJECT) as former,
        crowd(net, family, "node-1") as clients,
        asyncio.TaskGroup() as tasks,
    ):
        fresh = [names(each) for each in former]
        for each in former:
            await each.forward(ENDPOINTS, SUBJECT, GONE)
            await each.until_loaded("tcp-81")
        ended = asyncio.Event()
        talking = tasks.create_task(talk(clients, ended))
        for each in former:
            each.stop()
        async with agents(net, SUBJECT) as successors:
            for each in successors:
                await each.until("-tcp-81-", there=False)
            assert [names(each) for each in successors] == fresh
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
                await each.forward(ENDPOINTS, PLAIN)
                await each.until("table", there=False)


async def talk(clients: Crowd, ended: asyncio.Event) -> list[Connection | Flow]:
    """Those whose answers were not as before, sooner or later."""
    while not ended.is_set():
        if lost := await clients.lost():
            return lost
    return await clients.lost()


def names(of: Agent) -> list[str]:
    """Of all that its tables consist of."""
    texts = [listed(of.net, of.node, family) for family in FAMILIES]
    return sorted(line for text in texts for line in text.splitlines() if line.endswith("{"))


@asynccontextmanager
async def agents(net: Net, *services: Service) -> AsyncIterator[list[Agent]]:
    """Of both nodes, once all of theirs is in force."""
    async with agent(net, view("node-1"), ADDRESSES) as first, agent(net, view("node-2"), ADDRESSES) as second:
        for each in (first, second):
            await each.forward(ENDPOINTS, *services)
        for each in (first, second):
            await each.until_loaded()
        yield [first, second]
