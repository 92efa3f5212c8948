"""Connections that outlive the node that announces them, under real packets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from heraldlb.api.ranges import Family
from heraldlb.api.services import ServicePort
from tests.lab.forwarding_net import CLIENT, Answer, Net, both_families, network
from tests.lab.surviving_net import SURVIVES, Site, crowd, mac, move
from tests.lab.test_detours import Wire, reset, segment
from tests.unit.forwarding.cases import NODE_PORT, TARGET, VIP, draining, pods, web

NODES = ("node-1", "node-2", "node-3")
PODS = ("pod-1", "pod-2", "pod-3")
PORTS = (ServicePort("http", "TCP", 80, NODE_PORT), ServicePort("dns", "UDP", 80, NODE_PORT))
SUBJECT = web(ports=PORTS, annotations=SURVIVES)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Three nodes, each with a pod."""
    with network(nodes=3) as built:
        try:
            yield Site(built)
        finally:
            await built.stop_servers()


async def serve(net: Net, family: Family) -> None:
    for pod in PODS:
        await net.serve(pod, family, "TCP", TARGET)
        await net.serve(pod, family, "UDP", TARGET)


def seen_from(family: Family, *names: str) -> set[Answer]:
    """Answers of these pods to the client, whose own address they see."""
    return {Answer(name, CLIENT[family]) for name in names}


@both_families
async def test_connections_go_on_whoever_announces_planned_or_by_power_off(site: Site, family: Family) -> None:
    net = site.net
    await serve(net, family)
    await site.program(SUBJECT, pods("pod-1", "pod-2"))
    async with crowd(net, family, "node-3") as clients:
        assert clients.firsts == seen_from(family, "pod-1", "pod-2")
        net.run("node-3", "ip", "link", "set", "eth0", "down")
        for announcer in ("node-1", "node-2"):
            move(net, family, announcer)
            assert await clients.lost() == []
            await clients.grow(4)


@both_families
async def test_only_connections_of_the_endpoint_that_went_are_disturbed(site: Site, family: Family) -> None:
    net = site.net
    await serve(net, family)
    await site.program(SUBJECT, pods(*PODS[:2]))
    async with crowd(net, family, "node-3") as clients:
        for endpoints in (pods(*PODS), [*pods(*PODS[1:]), *draining("pod-1")], pods(*PODS)):
            await site.program(SUBJECT, endpoints)
            for announcer in NODES:
                move(net, family, announcer)
                assert await clients.lost() == [], f"{endpoints} through {announcer}"
            await clients.grow(8)
        assert clients.firsts == seen_from(family, *PODS)
        await site.program(SUBJECT, pods(*PODS[:2]))
        for announcer in NODES:
            move(net, family, announcer)
            assert {each.first for each in await clients.lost()} <= seen_from(family, "pod-3")
