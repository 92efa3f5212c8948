"""Clients whose packets conntrack would go on sending where they went before, with real packets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address
from itertools import count

import pytest

from heraldlb.agent.staleflows import StaleFlowsRole
from heraldlb.api.endpoints import Endpoint, EndpointPort
from heraldlb.api.ranges import Family
from heraldlb.api.services import ServicePort
from heraldlb.forwarding.conntrack import Flow
from heraldlb.forwarding.ctnetlink import forget_stale_flows, read_flows
from heraldlb.forwarding.model import Frame, Frontend, Plan
from heraldlb.forwarding.plan import make_plan
from heraldlb.forwarding.staleness import disturbed
from tests.lab.forwarding_net import ANSWER_SECONDS, Net, both_families, network
from tests.unit.forwarding.builders import WEB, service, slice_of
from tests.unit.forwarding.cases import NODE_ADDRESS, POD, VIP, view

PORT, NODE_PORT, TARGET = 53, 30053, 5353
VIEW = view("node-1")


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    with network() as built:
        try:
            # So that nobody answers what is translated by nobody, nor says that it did not arrive.
            for gateway in ("192.168.77.254", "fd77::254"):
                built.run("node-1", "ip", "neigh", "replace", gateway, "lladdr", "02:00:00:00:00:fe", "dev", "eth0")
            yield built
        finally:
            await built.stop_servers()


def plan(*endpoints: Endpoint) -> Plan:
    """One Service with the same port in both protocols."""
    subject = service(
        type="LoadBalancer",
        cluster_ips=("10.96.0.1", "fd00:96::1"),
        ingress=tuple(VIP.values()),
        ports=(ServicePort("dns", "UDP", PORT, NODE_PORT), ServicePort("dns-tcp", "TCP", PORT, NODE_PORT)),
    )
    targets = (EndpointPort("dns", "UDP", TARGET), EndpointPort("dns-tcp", "TCP", TARGET))
    return make_plan([subject], {WEB: [slice_of(*endpoints, ports=targets)]}, VIEW, Frame(VIEW.pod_cidrs))


def pod(family: Family, name: str, *, draining: bool = False) -> Endpoint:
    return Endpoint(
        ip_address(POD[family][name]), name.replace("pod", "node"), ready=not draining, terminating=draining
    )


async def serve(net: Net, family: Family) -> None:
    for name in ("pod-1", "pod-2"):
        await net.serve(name, family, "UDP", TARGET)
        await net.serve(name, family, "TCP", TARGET)


def forget(net: Net, before: Plan | None, after: Plan) -> int:
    """Clean up on node-1, as its agent does when `after` has been applied."""
    return forget_stale_flows(after, disturbed(before, after), lambda: net.netlink("node-1"))


def flows(net: Net, frontends: Collection[Frontend]) -> list[Flow]:
    """What conntrack has on node-1 for these frontends."""
    with net.netlink("node-1") as sock:
        return list(read_flows(sock, frontends, count(1)))


class UdpClient:
    """Keeps its port, as DNS forwarders, SIP and syslog clients do."""

    def __init__(self, net: Net, family: Family) -> None:
        self._socket = net.socket("client", family, "UDP")
        self._asked = 0

    def dial(self, address: str, port: int) -> UdpClient:
        self._socket.connect((address, port))
        return self

    async def ask(self) -> str:
        """Who answers, sooner or later: each question is repeated until it is answered."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                await self.send()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        return (await loop.sock_recv(self._socket, 512)).decode().split()[0]

    async def send(self) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, b"hello\n")

    def close(self) -> None:
        self._socket.close()


@asynccontextmanager
async def clients(net: Net, family: Family, *places: tuple[str, int]) -> AsyncIterator[list[UdpClient]]:
    made = [UdpClient(net, family).dial(*place) for place in places]
    try:
        yield made
    finally:
        for each in made:
            each.close()


@both_families
async def test_udp_clients_that_keep_their_port_follow_and_established_tcp_stays(net: Net, family: Family) -> None:
    await serve(net, family)
    forwarder = net.forwarder("node-1")
    first, second = plan(pod(family, "pod-1")), plan(pod(family, "pod-2"))
    drained = plan(pod(family, "pod-1", draining=True), pod(family, "pod-2"))
    await forwarder.apply(first)
    places = ((VIP[family], PORT), (NODE_ADDRESS[family]["node-1"], NODE_PORT))
    async with clients(net, family, *places) as udp:
        connection = await net.connect("client", VIP[family], PORT)
        assert [await each.ask() for each in udp] == ["pod-1", "pod-1"]

        await forwarder.apply(drained)
        assert forget(net, first, drained) == 0
        assert forget(net, None, drained) == 0
        assert [await each.ask() for each in udp] == ["pod-1", "pod-1"], "it serves until it has terminated"

        await forwarder.apply(second)
        assert [await each.ask() for each in udp] == ["pod-1", "pod-1"], "conntrack is not what it was"
        assert forget(net, drained, second) == 2
        assert [await each.ask() for each in udp] == ["pod-2", "pod-2"]
        assert (await connection.ask()).backend == "pod-1"
        await connection.close()

        await forwarder.apply(plan())
        assert forget(net, second, plan()) == 0
        assert [await each.ask() for each in udp] == ["pod-2", "pod-2"], "there is nobody else to ask"


@both_families
async def test_who_asked_before_there_was_a_service_is_answered_once_there_is(net: Net, family: Family) -> None:
    """Also by TCP, whose client has sent its first segment and repeats it from the same port."""
    await serve(net, family)
    forwarder = net.forwarder("node-1")
    nothing, served = Plan(Frame(VIEW.pod_cidrs)), plan(pod(family, "pod-1"))
    await forwarder.apply(nothing)
    role = StaleFlowsRole(lambda: net.netlink("node-1"))
    async with clients(net, family, (VIP[family], PORT)) as [udp], asyncio.TaskGroup() as tasks:
        running = tasks.create_task(role.run())
        role.applied(nothing, VIEW, ())
        await udp.send()
        dialling = tasks.create_task(net.connect("client", VIP[family], PORT))
        while len(untranslated := flows(net, served.claims)) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert {flow.backend.address for flow in untranslated} == {ip_address(VIP[family])}

        await forwarder.apply(served)
        role.applied(served, VIEW, ())
        assert await udp.ask() == "pod-1"
        connection = await dialling
        assert connection.first.backend == "pod-1"
        await connection.close()
        running.cancel()
    assert role.deleted == 2
