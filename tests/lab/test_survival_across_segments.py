"""Connections to an endpoint behind a router go on whoever announces their address, under real packets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from ipaddress import ip_address, ip_network

import pytest

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import ServicePort
from heraldlb.forwarding.node import NodeView
from heraldlb.forwarding.overlay import DEVICE
from tests.lab.forwarding_net import Answer, Net, both_families
from tests.lab.segments_net import ADDRESS, NODES, segments
from tests.lab.surviving_agent import agent
from tests.lab.surviving_net import SURVIVES, Crowd
from tests.unit.forwarding.cases import TARGET, VIP, pods, web

FIRST, NEXT, ENDPOINTS_NODE = "node-1", "node-4", "node-2"
PORTS = (ServicePort("http", "TCP", 80), ServicePort("dns", "UDP", 80))
SUBJECT = web(ports=PORTS, annotations=SURVIVES)


@pytest.fixture(name="net")
async def segmented() -> AsyncIterator[Net]:
    with segments() as built:
        try:
            yield built
        finally:
            await built.stop_servers()


@both_families
async def test_connections_through_the_tunnel_go_on_when_their_announcer_dies(net: Net, family: Family) -> None:
    for protocol in ("TCP", "UDP"):
        await net.serve("pod", family, protocol, TARGET, name="pod-2")  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        agents = [
            await stack.enter_async_context(agent(net, seen(node), NODES)) for node in (FIRST, NEXT, ENDPOINTS_NODE)
        ]
        for each in agents:
            await each.forward(pods("pod-2"), SUBJECT)
        for each in agents:
            await each.until_loaded()
        clients = Crowd(net, family)
        stack.push_async_callback(clients.close)
        announce(net, family, FIRST)
        await clients.grow(4)
        assert clients.firsts == {Answer("pod-2", ADDRESS["client"][family])}
        net.run(FIRST, "ip", "link", "set", "eth0", "down")
        announce(net, family, NEXT)
        before = tunnelled(net, NEXT)
        assert await clients.lost() == []
        assert tunnelled(net, NEXT) - before >= len(clients.members)


def seen(node: str) -> NodeView:
    number = node.removeprefix("node-")
    own = tuple(ip_address(NODES[node][family]) for family in FAMILIES)
    cidrs = (ip_network(f"10.244.{number}.0/24"), ip_network(f"fd00:244:{number}::/64"))
    return NodeView(node, node_port_addresses=own, pod_cidrs=cidrs, addresses=own)


def announce(net: Net, family: Family, node: str) -> None:
    """That node announces the address in the client's segment from now on."""
    net.run("client", "ip", "route", "replace", VIP[family], "via", NODES[node][family])


def tunnelled(net: Net, node: str) -> int:
    """Packets that it has sent into the tunnel."""
    return int(net.run(node, "cat", f"/sys/class/net/{DEVICE}/statistics/tx_packets"))
