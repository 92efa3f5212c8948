"""Connections under way while their address moves from node-1 to node-2, under real packets."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Self

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.detouring import DetourRole
from heraldlb.agent.formers import LIMIT
from heraldlb.api.ranges import FAMILIES, Family, IPAddress
from heraldlb.forwarding.onlink import on_link
from heraldlb.speaker.changes import OwnersChanged
from heraldlb.speaker.losses import Outlook
from lab.namespaces import Surroundings, named, run_in
from lab.waiting import wait_for
from tests.lab.forwarding_net import (
    ANSWER_SECONDS,
    CLIENT,
    NODE_ADDRESS,
    NODES,
    Answer,
    Connection,
    Net,
    both_families,
)
from tests.lab.test_forwarding_packets import VIP, pods, program, serve, web

FORMER, NEXT = NODES
ETH_P_ALL = 3
VERSIONS = itertools.count(1)
THIRD = "02:00:00:00:00:77"
"""The hardware address of another node."""
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


@dataclass(slots=True)
class Agent:
    """An agent's part in it."""

    net: Net
    node: str
    role: DetourRole
    cluster: Cluster

    def owner(self, node: str | None) -> None:
        """As the speaker says from now on."""
        macs = {each: frozenset({mac(self.net, each)}) for each in NODES} | {"node-3": frozenset({THIRD})}
        self.role.owners_changed(OwnersChanged({ip_address(each): node for each in VIP.values()}, macs))

    def peers(self, outlook: Outlook) -> None:
        self.cluster.alive, self.cluster.lost = outlook.alive, outlook.lost
        self.role.peers_changed(outlook)

    def declare(self, name: str, *, ready: bool = True, addresses: Iterable[str] = ()) -> None:
        """As the API server says from now on."""
        internal = tuple(addresses) or [NODE_ADDRESS[family][name] for family in FAMILIES]
        body = {
            "metadata": {"name": name, "resourceVersion": str(next(VERSIONS))},
            "status": {
                "addresses": [{"type": "InternalIP", "address": each} for each in internal],
                "conditions": [{"type": "Ready", "status": str(ready)}],
            },
        }
        self.cluster.nodes.observe("MODIFIED", body)
        self.role.touch()

    async def until(self, family: Family, *, active: bool) -> None:
        """Until the kernel has, or has not, a detour for the address."""

        def holds() -> bool:
            return (f"{VIP[family]} : " in table(self.net, self.node, family)) is active

        await asyncio.to_thread(wait_for, f"a detour on {self.node}: {active}", holds, PATIENCE)


@asynccontextmanager
async def agent(net: Net, node: str = NEXT, *, keep: bool = True, limit: float = LIMIT) -> AsyncIterator[Agent]:
    cluster = Cluster()

    def neighbours(hosts: Iterable[IPAddress]) -> Mapping[IPAddress, int]:
        return run_in(Surroundings(network=named(net.prefix + node)), lambda: on_link(hosts))

    role = DetourRole(cluster, node, net.nft(node), neighbours, keep=keep, limit=limit)
    running = asyncio.create_task(role.run())
    made = Agent(net, node, role, cluster)
    for each in NODES:
        made.declare(each)
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


@asynccontextmanager
async def opened(net: Net, family: Family, **fields: Any) -> AsyncIterator[list[Connection]]:
    """Several connections through node-1, to all endpoints that it uses."""
    await serve(net, family)
    await program(net, web(**fields), pods("pod-1", "pod-2"))
    found = [await net.connect("client", VIP[family], 80) for _ in range(8)]
    try:
        yield found
    finally:
        for each in found:
            await each.close()


class Wire:
    """All that comes in at a host from the LAN, from when this was made."""

    def __init__(self, net: Net, host: str) -> None:
        where = Surroundings(network=named(net.prefix + host))
        self._socket = run_in(where, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
        self._socket.setblocking(False)
        self._socket.bind(("eth0", ETH_P_ALL))
        self._heard: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, frame: Any) -> None:
        self._socket.send(bytes(frame))

    def segments(self, port: int) -> list[Any]:
        """TCP segments from or to that port of the client."""
        with suppress(BlockingIOError):
            while True:
                data, about = self._socket.recvfrom(65_536)
                frame = Ether(data)
                if about[2] != socket.PACKET_OUTGOING and TCP in frame:
                    self._heard.append(frame)
        return [each for each in self._heard if port in (each[TCP].sport, each[TCP].dport)]


def segment(net: Net, family: Family, flags: str, port: int, *, source: str = "", to: str = NEXT) -> Any:
    """A segment of the client's to a node, of a connection that nobody knows; `source`: by which way it comes."""
    ip = IP if family == "IPv4" else IPv6
    return (
        Ether(src=source or mac(net, "client"), dst=mac(net, to))
        / ip(src=CLIENT[family], dst=VIP[family])
        / TCP(sport=port, dport=80, flags=flags, seq=1000, ack=2000)
    )


async def reset(client: Wire, port: int) -> None:
    """Until the client is told that there is no such connection."""

    def came() -> bool:
        return any("R" in each[TCP].flags for each in client.segments(port))

    await asyncio.to_thread(wait_for, "a reset", came, PATIENCE)


@both_families
async def test_connections_follow_and_new_ones_are_the_next_owners(net: Net, family: Family) -> None:
    async with opened(net, family) as connections:
        assert {each.first.seen for each in connections} <= BY_NODE[family][FORMER]
        async with agent(net) as there:
            there.owner(FORMER)
            await there.until(family, active=True)
            there.owner(NEXT)
            move(net, family, NEXT)
            for _ in range(3):
                assert all([await answered(each) for each in connections])
            fresh = await net.gather("client", VIP[family], 80)
            assert {each.seen for each in fresh} <= BY_NODE[family][NEXT]
        assert all([await answered(each) for each in connections]), "an agent's end ends nothing"


@both_families
async def test_connections_of_either_node_live_on_when_the_address_goes_back(net: Net, family: Family) -> None:
    async with opened(net, family) as connections, agent(net) as there, agent(net, FORMER) as here:
        there.owner(FORMER)
        here.owner(FORMER)
        await there.until(family, active=True)
        for each in (there, here):
            each.owner(NEXT)
        move(net, family, NEXT)
        await here.until(family, active=True)
        connections += [await net.connect("client", VIP[family], 80) for _ in range(4)]
        assert all([await answered(each) for each in connections])
        for each in (there, here):
            each.owner(FORMER)
        move(net, family, FORMER)
        assert all([await answered(each) for each in connections])


@both_families
async def test_they_break_where_they_are_not_to_follow(net: Net, family: Family) -> None:
    async with opened(net, family) as connections, agent(net, keep=False) as there:
        there.owner(FORMER)
        there.owner(NEXT)
        move(net, family, NEXT)
        assert not any([await answered(each) for each in connections])


@both_families
async def test_with_a_local_policy_they_keep_their_endpoint_and_the_client_its_address(
    net: Net, family: Family
) -> None:
    async with opened(net, family, external_traffic_policy="Local") as connections, agent(net) as there:
        assert {each.first for each in connections} == {Answer("pod-1", CLIENT[family])}
        there.owner(FORMER)
        await there.until(family, active=True)
        there.owner(NEXT)
        move(net, family, NEXT)
        assert all([await answered(each) for each in connections])
        assert await net.gather("client", VIP[family], 80) == {Answer("pod-2", CLIENT[family])}


@both_families
async def test_what_the_kernel_sends_in_one_piece_arrives_whole(net: Net, family: Family) -> None:
    async with opened(net, family) as connections, agent(net) as there:
        there.owner(FORMER)
        await there.until(family, active=True)
        there.owner(NEXT)
        move(net, family, NEXT)
        for each in connections:
            # More than a frame holds: handed to the network card, or received, as one packet (GSO, GRO).
            each.writer.write(b"x" * 60_000)
            assert await answered(each)


@both_families
async def test_a_connection_can_be_closed_after_the_move(net: Net, family: Family) -> None:
    async with opened(net, family) as connections, agent(net) as there:
        there.owner(FORMER)
        await there.until(family, active=True)
        move(net, family, NEXT)
        for each in connections:
            # The first that node-2 sees of it, and conntrack picks up no connection from there.
            each.writer.write_eof()
        async with asyncio.timeout(ANSWER_SECONDS):
            for each in connections:
                assert await each.reader.read() == b""


@both_families
async def test_they_are_reset_once_the_former_owner_is_lost_and_its_return_changes_nothing(
    net: Net, family: Family
) -> None:
    async with opened(net, family) as connections, agent(net) as there:
        there.owner(FORMER)
        await there.until(family, active=True)
        there.owner(NEXT)
        move(net, family, NEXT)
        assert all([await answered(each) for each in connections])
        there.peers(Outlook(alive=frozenset(), lost=frozenset({FORMER})))
        await there.until(family, active=False)
        for each in connections:
            with pytest.raises(ConnectionError):
                await each.ask()
        there.peers(EVERYBODY)
        there.owner(None)
        there.owner(FORMER)
        await there.until(family, active=True)


@both_families
async def test_what_was_taken_over_from_a_dead_node_is_not_handed_to_it(net: Net, family: Family) -> None:
    async with opened(net, family) as connections, agent(net) as there:
        there.owner(FORMER)
        await there.until(family, active=True)
        there.peers(Outlook(alive=frozenset(), lost=frozenset({FORMER})))
        there.owner(NEXT)
        there.peers(EVERYBODY)
        await there.until(family, active=False)
        move(net, family, NEXT)
        assert not any([await answered(each) for each in connections])


@both_families
async def test_an_agent_that_said_goodbye_leaves_a_node_that_is_asked_while_it_is_ready(
    net: Net, family: Family
) -> None:
    async with opened(net, family) as connections, agent(net) as there:
        there.owner(FORMER)
        await there.until(family, active=True)
        there.peers(Outlook())
        there.owner(NEXT)
        move(net, family, NEXT)
        assert all([await answered(each) for each in connections])
        there.declare(FORMER, ready=False)
        await there.until(family, active=False)


@both_families
async def test_what_neither_node_knows_ends_in_a_reset_after_one_detour(net: Net, family: Family) -> None:
    async with opened(net, family), agent(net) as there, agent(net, FORMER) as elsewhere:
        for each in (there, elsewhere):
            each.owner(FORMER if each is there else NEXT)
            await each.until(family, active=True)
        with Wire(net, "client") as client, Wire(net, FORMER) as former, Wire(net, NEXT) as following:
            client.send(segment(net, family, "A", 4444))
            await reset(client, 4444)
            assert [each.src for each in former.segments(4444)] == [mac(net, NEXT)]
            assert [each.src for each in following.segments(4444)] == [mac(net, "client")]


@both_families
async def test_the_end_of_a_connection_that_neither_node_knows_goes_no_further_than_the_former_owner(
    net: Net, family: Family
) -> None:
    async with opened(net, family), agent(net) as there, agent(net, FORMER) as elsewhere:
        for each in (there, elsewhere):
            each.owner(FORMER if each is there else NEXT)
            await each.until(family, active=True)
        # A router that sends what is for the address back to its owner.
        everything = "default" if family == "IPv4" else "::/0"
        net.run(FORMER, "ip", "route", "replace", everything, "via", NODE_ADDRESS[family][NEXT])
        with Wire(net, "client") as client, Wire(net, FORMER) as former, Wire(net, NEXT) as following:
            client.send(segment(net, family, "FA", 4444))
            client.send(segment(net, family, "R", 4444))
            client.send(segment(net, family, "A", 5555))
            await reset(client, 5555)
            assert [each.src for each in former.segments(4444)] == [mac(net, NEXT)] * 2
            assert [each.src for each in following.segments(4444)] == [mac(net, "client")] * 2


@both_families
async def test_what_comes_from_a_node_is_not_handed_on(net: Net, family: Family) -> None:
    async with opened(net, family), agent(net) as there:
        there.owner(FORMER)
        await there.until(family, active=True)
        with Wire(net, "client") as client, Wire(net, FORMER) as former:
            client.send(segment(net, family, "A", 4444, source=THIRD))
            await reset(client, 4444)
            assert not former.segments(4444)


@both_families
async def test_datagrams_go_where_the_address_is(net: Net, family: Family) -> None:
    await serve(net, family, "UDP")
    await program(net, web("UDP"), pods("pod-1", "pod-2"))
    async with agent(net) as there:
        there.owner(FORMER)
        await there.until(family, active=True)
        move(net, family, NEXT)
        answers = await net.gather("client", VIP[family], 80, "UDP")
        assert {each.seen for each in answers} <= BY_NODE[family][NEXT]


@both_families
async def test_a_detour_has_an_end_in_time(net: Net, family: Family) -> None:
    async with agent(net, limit=1.0) as there:
        there.owner(FORMER)
        await there.until(family, active=True)
        there.owner(NEXT)
        await there.until(family, active=False)


@both_families
async def test_nothing_is_handed_to_a_node_behind_a_router(net: Net, family: Family) -> None:
    async with agent(net) as there:
        there.owner(FORMER)
        await there.until(family, active=True)
        there.declare(FORMER, addresses=("203.0.113.9", "2001:db8::9"))
        await there.until(family, active=False)


@both_families
async def test_a_restarted_agent_puts_right_what_its_predecessor_left(net: Net, family: Family) -> None:
    async with agent(net) as there:
        there.owner(FORMER)
        await there.until(family, active=True)
    async with agent(net) as there:
        assert f"{VIP[family]} : " in table(net, NEXT, family)
        there.owner(NEXT)
        await there.until(family, active=False)


async def test_switched_off_it_leaves_nothing_and_others_rules_as_they_are(net: Net) -> None:
    await program(net, web(), pods("pod-1", "pod-2"))
    before = net.run(NEXT, "nft", "list", "ruleset")
    async with agent(net) as there:
        there.owner(FORMER)
        await there.until("IPv4", active=True)
        await there.until("IPv6", active=True)
    async with agent(net, keep=False):
        await asyncio.to_thread(
            wait_for, "the tables to be gone", lambda: net.run(NEXT, "nft", "list", "ruleset") == before, PATIENCE
        )
