"""The keeper of ways where the kernel does not do as it is asked; where it does, packets tell (`tests/lab`)."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.pathways import Kernel, PathwaysRole
from heraldlb.api.ranges import Family, IPAddress
from heraldlb.api.reasons import Reason
from heraldlb.forwarding.detour import Hop
from heraldlb.forwarding.model import Frontend
from heraldlb.forwarding.overlay import Tunnel, TunnelSettings
from heraldlb.forwarding.pathfindings import Readings
from heraldlb.forwarding.pathways import Pathways, Reach
from heraldlb.kube.recorder import Happening

NODES = {"me": "10.1.0.1", "near": "10.1.0.2", "far": "10.2.0.1"}
FRONTEND = Frontend(ip_address("203.0.113.1"), "TCP", 80)


class NoRules:
    """Takes all rules."""

    async def apply(self, text: str) -> None:
        return

    async def check(self, text: str) -> None:
        return


def reach(hosts: Iterable[IPAddress]) -> dict[IPAddress, Reach]:
    return {host: Reach(2, host == ip_address(NODES["near"]), 1500, "02:00:00:00:00:02") for host in hosts}


def silent() -> socket.socket:
    """On which nothing comes."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)


def counted(role: PathwaysRole) -> dict[str, float]:
    """Nodes by the way to them."""
    [nodes, _] = role.metrics.collect()
    return {sample.labels["way"]: sample.value for sample in nodes.samples}


async def test_without_the_kernels_module_neighbours_are_reached_and_one_event_says_what_to_do() -> None:
    cluster = Cluster()
    for version, (name, address) in enumerate(NODES.items(), start=1):
        addresses = [{"type": "InternalIP", "address": address}]
        metadata = {"name": name, "resourceVersion": str(version)}
        cluster.nodes.observe("ADDED", {"metadata": metadata, "status": {"addresses": addresses}})
    published: asyncio.Queue[Pathways | None] = asyncio.Queue()
    tried = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()
    events: list[Happening] = []

    def keep(tunnel: Tunnel) -> dict[Family, int]:
        loop.call_soon_threadsafe(tried.release)
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    kernel = Kernel(reach, keep, lambda: False, lambda *_: Readings(), silent)
    role = PathwaysRole(cluster, "me", TunnelSettings(), NoRules(), published.put_nowait, events.append, kernel)
    role.want(frozenset({FRONTEND}))
    running = asyncio.create_task(role.run())
    try:
        async with asyncio.timeout(20):
            ways = await published.get()
            assert ways is not None
            assert ways.hops == {("near", "IPv4"): Hop(ip_address(NODES["near"]), 2)}
            role.touch()
            for _ in range(2):
                await tried.acquire()
            assert counted(role) == {"link": 1.0, "tunnel": 0.0, "none": 1.0}
            [finding] = role.findings
            assert "modprobe vxlan" in finding.message
            assert role.tunnel_port == 0
            role.want(frozenset())
            assert await published.get() is None
    finally:
        running.cancel()
        await asyncio.wait({running})
    [event] = events
    assert event.reason is Reason.NODES_UNREACHABLE
    assert "modprobe vxlan" in event.note
