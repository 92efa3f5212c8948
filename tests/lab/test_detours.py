"""Connections under way while their address moves from node-1 to node-2, under real packets."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.detouring import DetourRole
from heraldlb.api.ranges import FAMILIES, Family, IPAddress
from heraldlb.forwarding.onlink import on_link
from heraldlb.speaker.changes import OwnersChanged
from heraldlb.speaker.losses import Outlook
from lab.namespaces import Surroundings, named, run_in
from lab.waiting import wait_for
from tests.lab.forwarding_net import CLIENT, NODE_ADDRESS, NODES, Connection, Net, network
from tests.lab.test_forwarding_packets import VIP, pods, program, serve, web

FORMER, NEXT = NODES
PATIENCE = 20.0
EVERYBODY = Outlook(alive=frozenset(NODES))
BY_NODE: dict[Family, dict[str, frozenset[str]]] = {
    "IPv4": {
        FORMER: frozenset({"10.244.1.1", "192.168.77.1"}),
        NEXT: frozenset({"10.244.2.1", "192.168.77.2"}),
    },
    "IPv6": {
        FORMER: frozenset({"fd00:244:1::1", "fd77::1"}),
        NEXT: frozenset({"fd00:244:2::1", "fd77::2"}),
    },
}
"""What endpoints see as the source of what a node forwards."""

both_families = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    with network() as built:
        try:
            yield built
        finally:
            await built.stop_servers()


@dataclass(slots=True)
class Agent:
    """An agent's part in it."""

    net: Net
    node: str
    role: DetourRole
    cluster: Cluster

    def owner(self, node: str | None) -> None:
        """As the speaker says from now on."""
        macs = frozenset(mac(self.net, each) for each in NODES)
        self.role.owners_changed(OwnersChanged({ip_address(each): node for each in VIP.values()}, macs))

    def peers(self, outlook: Outlook) -> None:
        self.cluster.alive, self.cluster.lost = outlook.alive, outlook.lost
        self.role.peers_changed(outlook)

    async def until(self, family: Family, *, active: bool) -> None:
        """Until the kernel has, or has not, a detour for the address."""

        def holds() -> bool:
            return (f"{VIP[family]} : " in table(self.net, self.node, family)) is active

        await asyncio.to_thread(wait_for, f"a detour on {self.node}: {active}", holds, PATIENCE)


@asynccontextmanager
async def agent(net: Net, node: str = NEXT, *, keep: bool = True) -> AsyncIterator[Agent]:
    cluster = Cluster()
    for each in NODES:
        addresses = [{"type": "InternalIP", "address": NODE_ADDRESS[family][each]} for family in FAMILIES]
        ready = [{"type": "Ready", "status": "True"}]
        body = {
            "metadata": {"name": each, "resourceVersion": "1"},
            "status": {"addresses": addresses, "conditions": ready},
        }
        cluster.nodes.observe("ADDED", body)

    def neighbours(hosts: Iterable[IPAddress]) -> Mapping[IPAddress, int]:
        return run_in(Surroundings(network=named(net.prefix + node)), lambda: on_link(hosts))

    role = DetourRole(cluster, node, net.nft(node), neighbours, keep=keep)
    running = asyncio.create_task(role.run())
    made = Agent(net, node, role, cluster)
    made.peers(EVERYBODY)
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.wait({running})


def mac(net: Net, host: str) -> str:
    return net.run(host, "cat", "/sys/class/net/eth0/address").strip()


def table(net: Net, node: str, family: Family) -> str:
    ruleset = net.run(node, "nft", "list", "ruleset", "ip" if family == "IPv4" else "ip6")
    return ruleset.partition("heraldlb-detour")[2].partition("\ntable")[0]


def move(net: Net, family: Family, to: str) -> None:
    """What the client sends to Services goes to that node from now on."""
    everything = "default" if family == "IPv4" else "::/0"
    net.run("client", "ip", "route", "replace", everything, "via", NODE_ADDRESS[family][to])


async def answered(connection: Connection) -> bool:
    """Whether a connection still works."""
    try:
        return await connection.ask() == connection.first
    except (OSError, TimeoutError):
        return False


async def opened(net: Net, family: Family) -> list[Connection]:
    """Several connections through node-1: to either endpoint."""
    await serve(net, family)
    await program(net, web(), pods("pod-1", "pod-2"))
    found = [await net.connect("client", VIP[family], 80) for _ in range(8)]
    assert {each.first.seen for each in found} <= BY_NODE[family][FORMER]
    return found


@both_families
async def test_connections_follow_and_new_ones_are_the_next_owners(net: Net, family: Family) -> None:
    connections = await opened(net, family)
    async with agent(net) as there:
        there.owner(FORMER)
        await there.until(family, active=True)
        there.owner(NEXT)
        move(net, family, NEXT)
        for _ in range(3):
            assert all([await answered(each) for each in connections])
        fresh = await net.gather("client", VIP[family], 80)
        assert {each.seen for each in fresh} <= BY_NODE[family][NEXT]
        assert all([await answered(each) for each in connections])
        await there.until(family, active=True)
    assert all([await answered(each) for each in connections]), "an agent's end ends nothing"
