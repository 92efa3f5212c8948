"""Health-check node ports, asked over HTTP from the client's host."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address

import pytest

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.healthchecks import HealthCheckRole
from heraldlb.api.endpoints import Endpoint
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import ServicePort
from heraldlb.forwarding import healthserver
from heraldlb.forwarding.healthserver import CONNECTIONS, HealthServer
from heraldlb.forwarding.model import Frame, Plan
from heraldlb.forwarding.node import NodeView
from heraldlb.forwarding.plan import make_plan
from heraldlb.kube.recorder import Happening
from tests.lab.forwarding_net import ANSWER_SECONDS, Net, network
from tests.unit.forwarding.builders import WEB, endpoint, service, slice_of
from tests.unit.forwarding.cases import NODE_ADDRESS, POD, view

PORT, OTHER_PORT = 30500, 30501
OTHER = NamespacedName("default", "other")
VIEW = view("node-1")
GET = b"GET /healthz?probe=1 HTTP/1.1\r\nHost: node\r\n\r\n"
LAST = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

HERE = [Endpoint(ip_address(POD[family]["pod-1"]), "node-1") for family in FAMILIES]
ELSEWHERE = [Endpoint(ip_address(POD[family]["pod-2"]), "node-2") for family in FAMILIES]


def raw_service(id_: NamespacedName, port: int) -> dict[str, object]:
    """The Service as the API server has it, for the agent to look up."""
    return {
        "metadata": {"namespace": id_.namespace, "name": id_.name, "uid": "u", "resourceVersion": "1"},
        "spec": {"type": "LoadBalancer", "healthCheckNodePort": port},
    }


def plan(*endpoints: Endpoint, ports: dict[NamespacedName, int] | None = None) -> Plan:
    services = [
        service(
            id_,
            type="LoadBalancer",
            cluster_ips=(f"10.96.0.{number}", f"fd00:96::{number}"),
            external_traffic_policy="Local",
            health_check_node_port=port,
            ports=(ServicePort("http", "TCP", 80),),
        )
        for number, (id_, port) in enumerate((ports or {WEB: PORT}).items(), start=1)
    ]
    return make_plan(services, {each.id: [slice_of(*endpoints, of=each.id)] for each in services}, VIEW, Frame())


@dataclass
class Node:
    """The agent's part for health checks, on node-1, and what a client there is told."""

    net: Net
    role: HealthCheckRole
    told: asyncio.Queue[Happening]

    def applied(self, plan: Plan, seen: NodeView = VIEW) -> None:
        self.role.applied(plan, seen, ())

    async def open(self, family: Family, port: int = PORT) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection from the client. Raises ConnectionRefusedError."""
        sock = self.net.socket("client", family, "TCP")
        try:
            await asyncio.get_running_loop().sock_connect(sock, (NODE_ADDRESS[family]["node-1"], port))
        except OSError:
            sock.close()
            raise
        return await asyncio.open_connection(sock=sock)

    async def ask(self, family: Family, port: int = PORT, request: bytes = LAST) -> str:
        """The whole response; empty where nobody listens."""
        try:
            reader, writer = await self.open(family, port)
        except ConnectionRefusedError:
            return ""
        try:
            writer.write(request)
            async with asyncio.timeout(ANSWER_SECONDS):
                return re.sub("Date: [^\r]+", "Date: *", (await reader.read()).decode())
        finally:
            writer.close()

    async def until(self, family: Family, holds: Callable[[str], bool], port: int = PORT) -> str:
        """The first response of which it holds."""
        async with asyncio.timeout(ANSWER_SECONDS):
            while not holds(found := await self.ask(family, port)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return found


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    with network() as net:
        cluster = Cluster()
        cluster.services.replace([raw_service(WEB, PORT), raw_service(OTHER, OTHER_PORT)], 1)
        server = HealthServer(lambda family: net.socket("node-1", family, "TCP"))
        queue: asyncio.Queue[Happening] = asyncio.Queue()
        role = HealthCheckRole(cluster, "node-1", queue.put_nowait, server, retry=0.2)
        running = asyncio.create_task(role.run())
        try:
            yield Node(net, role, queue)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await net.stop_servers()


def answer(status: str, endpoints: int, *, healthy: str = "true", name: str = "web") -> str:
    body = (
        f'{{\n\t"service": {{\n\t\t"namespace": "default",\n\t\t"name": "{name}"\n\t}},\n'
        f'\t"localEndpoints": {endpoints},\n\t"serviceProxyHealthy": {healthy}\n}}'
    )
    return (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n"
        f"X-Load-Balancing-Endpoint-Weight: {endpoints}\r\nDate: *\r\nContent-Length: {len(body)}\r\n"
        f"Connection: close\r\n\r\n{body}"
    )


async def test_load_balancers_are_told_of_local_endpoints_as_they_come_and_go() -> None:
    async with node() as here:
        assert await here.ask("IPv4") == "", "nothing is served before rules are in force"
        here.applied(plan(*HERE))
        for family in FAMILIES:
            assert await here.until(family, bool) == answer("200 OK", 1)
        assert await here.ask("IPv4", request=LAST.replace(b"GET", b"HEAD")) == answer("200 OK", 1).split("{")[0]

        reader, writer = await here.open("IPv4")
        for endpoints, status in (
            (ELSEWHERE, "503 "),
            ([*HERE, endpoint("10.244.1.6", "node-1")], "200 "),
            ([], "503 "),
        ):
            here.applied(plan(*endpoints, ports={WEB: PORT, OTHER: OTHER_PORT}))
            found = await here.until("IPv4", lambda text, status=status: f" {status}" in text)  # type: ignore[misc]
            writer.write(GET)
            kept = (await reader.readuntil(b"\n}")).decode()
            assert kept.splitlines()[0] == found.splitlines()[0], (
                "a connection that stays open gets the same answer"
            )
        assert "503" in await here.ask("IPv6", OTHER_PORT)

        here.applied(plan(*HERE))
        here.role.failed()
        assert await here.until("IPv6", lambda text: "false" in text) == answer(
            "503 Service Unavailable", 1, healthy="false"
        )

        here.applied(plan(*HERE, ports={OTHER: OTHER_PORT}))
        await here.until("IPv4", lambda text: not text)
        async with asyncio.timeout(ANSWER_SECONDS):
            assert await reader.read() == b"", "the Service is gone, and so are connections to its port"
        writer.close()
        here.applied(
            plan(*HERE, ports={OTHER: OTHER_PORT}), replace(VIEW, node_port_addresses=VIEW.node_port_addresses[:1])
        )
        await here.until("IPv6", lambda text: not text, OTHER_PORT)
        assert await here.ask("IPv4", OTHER_PORT) == answer("200 OK", 1, name="other")


async def test_a_port_that_another_process_has_is_told_and_taken_once_it_is_free() -> None:
    async with node() as here:
        squatter = here.net.socket("node-1", "IPv4", "TCP")
        with squatter:
            squatter.bind(("0.0.0.0", PORT))
            squatter.listen()
            here.applied(plan(*HERE, ports={WEB: PORT, OTHER: OTHER_PORT}))
            happening = await here.told.get()
            assert (happening.subject.id, happening.reason) == (WEB, "HealthCheckUnavailable")
            assert f"192.168.77.1:{PORT}" in happening.note
            assert await here.ask("IPv4", OTHER_PORT) == answer("200 OK", 1, name="other")
            assert await here.ask("IPv6") == answer("200 OK", 1)
        assert await here.until("IPv4", bool) == answer("200 OK", 1)
        assert here.told.empty()


async def test_clients_that_are_slow_or_say_nothing_keep_nobody_from_asking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(healthserver, "REQUEST_SECONDS", 10 * ANSWER_SECONDS)
    async with node() as here:
        here.applied(plan(*HERE))
        await here.until("IPv4", bool)
        silent = [await here.open("IPv4") for _ in range(CONNECTIONS)]
        assert await here.ask("IPv4") == answer("200 OK", 1)
        async with asyncio.timeout(ANSWER_SECONDS):
            assert await silent[0][0].read() == b"", "the one that was silent for longest made room"
        for _, writer in silent:
            writer.close()

        monkeypatch.setattr(healthserver, "REQUEST_SECONDS", 0.2)
        reader, writer = await here.open("IPv4")
        writer.write(GET[:-1])
        async with asyncio.timeout(ANSWER_SECONDS):
            assert await reader.read() == b"", "half a request is not waited for"
        writer.close()

        reader, writer = await here.open("IPv4")
        writer.write(b"POST / HTTP/1.1\r\nHost: node\r\nContent-Length: 9\r\n\r\n")
        writer.write(b"nobody reads it")
        async with asyncio.timeout(ANSWER_SECONDS):
            assert (await reader.read()).decode().endswith("}")
        writer.close()
        assert (await here.ask("IPv4", request=b"\x16\x03\x01\r\n\r\n")).startswith("HTTP/1.1 400 Bad Request")
