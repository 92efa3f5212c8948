"""The small network with three nodes, on which the connections of a Service survive."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import subprocess
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field
from ipaddress import ip_address

from heraldlb.api.endpoints import Endpoint, EndpointPort
from heraldlb.api.group import CONNECTION_SURVIVAL_ANNOTATION
from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import Service
from heraldlb.forwarding.detour import Hop
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.model import Frame, Plan
from heraldlb.forwarding.plan import make_plan
from heraldlb.forwarding.ranking import SLOTS
from heraldlb.forwarding.survival import Peer, Survival, survivors_in
from heraldlb.forwarding.survivaltables import TABLE, diff, full
from tests.lab.forwarding_net import ANSWER_SECONDS, NODE_ADDRESS, Answer, Connection, Net, parse, view
from tests.unit.forwarding.builders import slice_of
from tests.unit.forwarding.cases import TARGET, VIP

SURVIVES = {CONNECTION_SURVIVAL_ANNOTATION: "true"}


def mac(net: Net, node: str) -> str:
    """Of its interface on the LAN."""
    return net.run(node, "cat", "/sys/class/net/eth0/address").strip()


def peers(net: Net, node: str) -> dict[str, Peer]:
    """The other nodes as this one reaches them."""
    index = int(net.run(node, "cat", "/sys/class/net/eth0/ifindex"))
    return {
        other: Peer(
            {family: Hop(ip_address(NODE_ADDRESS[family][other]), index) for family in FAMILIES},
            frozenset({mac(net, other)}),
        )
        for other in net.nodes
        if other != node
    }


def listed(net: Net, node: str, family: Family, map_: str = "") -> str:
    """That node's table of surviving connections but for elements, or one of its maps; empty without a table."""
    table = ("ip" if family == "IPv4" else "ip6", TABLE)
    what = ("list", "map", *table, map_) if map_ else ("--terse", "list", "table", *table)
    try:
        return net.run(node, "nft", *what)
    except subprocess.CalledProcessError:
        return ""


def move(net: Net, family: Family, to: str) -> None:
    """That node announces all addresses from now on."""
    everything = "default" if family == "IPv4" else "::/0"
    net.run("client", "ip", "route", "replace", everything, "via", NODE_ADDRESS[family][to])


@dataclass(slots=True)
class Site:
    """The nodes' agents, as far as they forward."""

    net: Net
    slots: int = SLOTS
    _forwarders: dict[str, Forwarder] = field(default_factory=dict)
    _loaded: dict[str, Survival] = field(default_factory=dict)
    _peers: dict[str, dict[str, Peer]] = field(init=False)

    def __post_init__(self) -> None:
        self._peers = {node: peers(self.net, node) for node in self.net.nodes}

    async def program(self, subject: Service, endpoints: list[Endpoint], lost: Collection[str] = ()) -> None:
        """All nodes forward the Service, and nothing else."""
        for node in self.net.nodes:
            await self.tell(node, subject, endpoints, lost)

    async def tell(
        self, node: str, subject: Service, endpoints: list[Endpoint], lost: Collection[str] = ()
    ) -> None:
        """This node alone does."""
        ports = tuple(EndpointPort(port.name, port.protocol, TARGET) for port in subject.ports)
        slices = {subject.id: [slice_of(*endpoints, of=subject.id, ports=ports)]}
        seen = view(node)
        await self.apply(node, make_plan([subject], slices, seen, Frame(seen.pod_cidrs, seed=7), lost), lost)

    async def apply(self, node: str, plan: Plan, lost: Collection[str] = ()) -> None:
        """This node forwards that."""
        forwarder = self._forwarders.setdefault(node, self.net.forwarder(node))
        assert (await forwarder.apply(plan)).quarantined == ()
        wanted = Survival(
            node,
            survivors_in(plan),
            self._peers[node],
            frozenset(lost) - {node},
            plan.frame.pod_cidrs,
            plan.frame.seed,
            self.slots,
        )
        loaded = self._loaded.get(node)
        for step in full(wanted) if loaded is None else diff(loaded, wanted):
            await self.net.nft(node).apply(step.text)
        self._loaded[node] = wanted


_PORTS = itertools.count(40_000)
"""Of the client's datagrams: one that is used again would be translated as it was before."""


@dataclass(slots=True)
class Flow:
    """Datagrams between one port of the client and the Service."""

    sock: socket.socket
    first: Answer

    async def ask(self, payload: bytes = b"again") -> Answer:
        """Send one and wait for the answer. Raises OSError or TimeoutError."""
        return await _exchange(self.sock, payload)


@dataclass(slots=True)
class Crowd:
    """The client's connections to the Service, half of them TCP, half UDP."""

    net: Net
    family: Family
    members: list[Connection | Flow] = field(default_factory=list)

    async def grow(self, count: int = 16) -> None:
        """So many new ones of either kind, through the node that announces the address now."""
        for _ in range(count):
            self.members.append(await self.net.connect("client", VIP[self.family], 80))
            sock = self.net.socket("client", self.family, "UDP")
            try:
                sock.bind(("", next(_PORTS)))
                await asyncio.get_running_loop().sock_connect(sock, (VIP[self.family], 80))
                self.members.append(Flow(sock, await _exchange(sock, b"hello")))
            except BaseException:
                sock.close()
                raise

    @property
    def firsts(self) -> set[Answer]:
        """What they were answered at first."""
        return {each.first for each in self.members}

    async def lost(self) -> list[Connection | Flow]:
        """Those that are not answered by the same endpoint any more."""
        answers = await asyncio.gather(*(each.ask() for each in self.members), return_exceptions=True)
        return [each for each, answer in zip(self.members, answers, strict=True) if answer != each.first]

    async def close(self) -> None:
        for each in self.members:
            if isinstance(each, Flow):
                each.sock.close()
            else:
                await each.close()


@contextlib.asynccontextmanager
async def crowd(net: Net, family: Family, announcer: str) -> AsyncIterator[Crowd]:
    """Connections that were made through that node."""
    made = Crowd(net, family)
    move(net, family, announcer)
    try:
        await made.grow()
        yield made
    finally:
        await made.close()


async def _exchange(sock: socket.socket, payload: bytes) -> Answer:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(ANSWER_SECONDS):
        await loop.sock_sendall(sock, payload)
        return parse(await loop.sock_recv(sock, 512))


def port_of(member: Connection | Flow) -> int:
    """The client's own."""
    name = member.sock.getsockname() if isinstance(member, Flow) else member.writer.get_extra_info("sockname")
    return int(name[1])
