"""What an agent does beside forwarding: it follows its own rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.forwarding import ForwardingRole
from heraldlb.agent.healthchecks import HealthCheckRole
from heraldlb.agent.settings import AgentSettings
from heraldlb.agent.staleflows import StaleFlowsRole
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.healthserver import HealthServer
from heraldlb.forwarding.nft import Nft, NftError, NftFailure
from heraldlb.forwarding.readback import KernelReader
from heraldlb.forwarding.watch import TableWatch
from heraldlb.kube.recorder import Happening
from tests.lab.forwarding_net import ANSWER_SECONDS, Net, network
from tests.lab.test_stale_flows import clients, flows
from tests.unit.agent.clusters import NODE_ADDRESS, cluster_of, endpoint_slice, node, service
from tests.unit.forwarding.builders import WEB, frontend
from tests.unit.forwarding.cases import CLUSTER_IP, POD, VIP

NODE, PORT, HEALTH_PORT = "node-1", 53, 30500


class BreakableNft(Nft):
    """nft that hangs while told to, and when it is broken, fails as where no program has that name."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__(command)
        self.broken = False
        self.free = asyncio.Event()
        self.free.set()

    async def apply(self, text: str) -> None:
        await self.free.wait()
        if self.broken:
            raise NftError(NftFailure.NOT_FOUND, "nft is not installed")
        await super().apply(text)


class Unheard:
    """Takes Events."""

    def record(self, happening: Happening) -> None:
        """Nobody asks for it."""


class Agent:
    """The forwarder of an agent on node-1 with all that follows it, in a cluster with one UDP Service."""

    def __init__(self, net: Net) -> None:
        self.nft = BreakableNft(("ip", "netns", "exec", net.prefix + NODE, "nft"))
        self._net = net
        self._cluster: Cluster = cluster_of([node(NODE)], [_service()], [_slice(5353)])
        watch = TableWatch(self.nft.ran, lambda: net.netlink(NODE))
        checks = HealthCheckRole(
            self._cluster,
            NODE,
            lambda _: None,
            HealthServer(lambda family: net.socket(NODE, family, "TCP")),
            retry=0.2,
        )
        flows = StaleFlowsRole(lambda: net.netlink(NODE))
        self._role = ForwardingRole(
            self._cluster,
            AgentSettings(NODE),
            Unheard(),
            Forwarder(self.nft, KernelReader(lambda: net.netlink(NODE))),
            watch,
            [checks, flows],
        )
        self.works = [watch.run, self._role.run, checks.run, flows.run]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(work()) for work in self.works]
        try:
            await self._role.applied.wait()
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def serve(self, *ports: int) -> None:
        """The endpoint listens on another port from now on, or is gone."""
        change = self._cluster.slices.observe("MODIFIED", _slice(*ports))
        assert change is not None
        self._role.touch(self._cluster.slice_changed(change))

    async def health(self, holds: Callable[[str], bool]) -> None:
        """Until the answer at the health-check node port is such; empty where there is none."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while not holds(await self.asked()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def asked(self) -> str:
        """The answer at the health-check node port; empty where there is none."""
        sock = self._net.socket("client", "IPv4", "TCP")
        try:
            await asyncio.get_running_loop().sock_connect(sock, (NODE_ADDRESS, HEALTH_PORT))
        except OSError:
            sock.close()
            return ""
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            return (await reader.read()).decode()
        finally:
            writer.close()


def _service() -> dict[str, Any]:
    made = service(WEB.name, CLUSTER_IP["IPv4"], vip=VIP["IPv4"], port=PORT)
    made["spec"]["ports"][0]["protocol"] = "UDP"
    made["spec"] |= {"externalTrafficPolicy": "Local", "healthCheckNodePort": HEALTH_PORT}
    return made


def _slice(*ports: int) -> dict[str, Any]:
    made = endpoint_slice(WEB.name, *([POD["IPv4"]["pod-1"]] if ports else []), port=(ports or (1,))[0])
    made["ports"][0]["protocol"] = "UDP"
    return made


async def test_health_checks_and_conntrack_follow_what_the_node_forwards_and_where() -> None:
    with network() as net:
        for port in (5353, 5354):
            await net.serve("pod-1", "IPv4", "UDP", port, f"port-{port}")
        agent = Agent(net)
        try:
            async with clients(net, "IPv4", (VIP["IPv4"], PORT)) as [client], agent.running():
                await agent.health(lambda text: " 200 " in text)
                assert await client.ask() == "port-5353"
                agent.serve(5354)
                async with asyncio.timeout(ANSWER_SECONDS):
                    while await client.ask() != "port-5354":
                        pass

                agent.nft.broken = True
                agent.serve(5353)
                await agent.health(lambda text: " 503 " in text and '"serviceProxyHealthy": false' in text)
                agent.nft.broken = False
                await agent.health(lambda text: " 200 " in text)
                agent.serve()
                await agent.health(lambda text: '"localEndpoints": 0' in text and " 503 " in text)
            assert not await agent.asked(), "an agent that has stopped answers nothing"
        finally:
            await net.stop_servers()


async def test_who_sent_while_the_rules_were_flushed_is_served_once_they_are_back() -> None:
    with network() as net:
        await net.serve("pod-1", "IPv4", "UDP", 5353, "pod")
        net.run(NODE, "ip", "neigh", "replace", "192.168.77.254", "lladdr", "02:00:00:00:00:fe", "dev", "eth0")
        # Keeps conntrack at work while our table is gone.
        await net.nft(NODE).apply(
            "table ip other { chain c { type filter hook forward priority 0; ct state new accept; }; }\n"
        )
        agent = Agent(net)
        try:
            async with agent.running():
                async with clients(net, "IPv4", (VIP["IPv4"], PORT)) as [first]:
                    assert await first.ask() == "pod"
                for how in ("late", "after failures"):
                    agent.nft.free.clear()
                    agent.nft.broken = how == "after failures"
                    net.run(NODE, "nft", "delete table ip heraldlb")
                    async with clients(net, "IPv4", (VIP["IPv4"], PORT)) as [client]:
                        async with asyncio.timeout(ANSWER_SECONDS):
                            while not _is_untranslated(net):
                                await client.send()
                                await asyncio.sleep(0.05)
                        agent.nft.free.set()
                        if agent.nft.broken:
                            await agent.health(lambda text: " 503 " in text)
                            agent.nft.broken = False
                        assert await client.ask() == "pod", how
        finally:
            await net.stop_servers()


def _is_untranslated(net: Net) -> bool:
    """Whether somebody sends to the Service and nothing is made of it."""
    dialled = frontend(VIP["IPv4"], PORT, "UDP")
    return any(flow.backend.address == dialled.address for flow in flows(net, [dialled]))
