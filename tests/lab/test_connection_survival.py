"""Connections that outlive the node that announces them, under real packets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, TCPerror, UDPerror
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether

from heraldlb.api.ranges import Family
from heraldlb.api.services import ServicePort
from lab.waiting import wait_for
from tests.lab.forwarding_net import ANSWER_SECONDS, CLIENT, POD, Answer, Connection, Net, both_families, network
from tests.lab.surviving_net import SURVIVES, Flow, Site, crowd, mac, move, port_of
from tests.lab.test_detours import Wire, reset, segment
from tests.lab.test_pathways import PATIENCE, Tap
from tests.unit.forwarding.cases import NODE_PORT, TARGET, VIP, draining, pods, web

NODES = ("node-1", "node-2", "node-3")
PODS = ("pod-1", "pod-2", "pod-3")
PORTS = (ServicePort("http", "TCP", 80, NODE_PORT), ServicePort("dns", "UDP", 80, NODE_PORT))
SUBJECT = web(ports=PORTS, annotations=SURVIVES)

HOPS = 64
"""That a segment has to live when it is sent."""


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


@both_families
async def test_answers_take_no_way_through_the_announcer(site: Site, family: Family) -> None:
    net = site.net
    await serve(net, family)
    await site.program(SUBJECT, pods("pod-1", "pod-2"))
    with Wire(net, "client") as wire:
        async with crowd(net, family, "node-3") as clients:
            assert await clients.lost() == []
            ports = [port_of(each) for each in clients.members]
        senders = {frame.src for port in ports for frame in wire.segments(port)}
        assert senders == {mac(net, "node-1"), mac(net, "node-2")}


@both_families
async def test_what_nobody_knows_is_reset_wherever_it_comes_in_and_wanders_no_further(
    site: Site, family: Family
) -> None:
    net = site.net
    await serve(net, family)
    await site.program(SUBJECT, pods(*PODS))
    with ExitStack() as stack:
        client = stack.enter_context(Wire(net, "client"))
        wires = [stack.enter_context(Wire(net, node)) for node in NODES]
        for number, announcer in enumerate(NODES):
            move(net, family, announcer)
            for port in range(4000 + number, 4060, 3):
                client.send(segment(net, family, "A", port, to=announcer))
                await reset(client, port)
                # Once to the announcer, and at most four times among the three until all were asked.
                passed = sum(len(wire.segments(port)) for wire in wires)
                assert passed <= 5
                assert len(client.segments(port)) == 1


@both_families
async def test_nodes_that_disagree_do_not_send_a_packet_round_for_ever(site: Site, family: Family) -> None:
    net = site.net
    for node, pod in zip(NODES, ("pod-2", "pod-3", "pod-1"), strict=True):
        await site.tell(node, SUBJECT, pods(pod))
    with ExitStack() as stack:
        client = stack.enter_context(Wire(net, "client"))
        wires = [stack.enter_context(Wire(net, node)) for node in NODES]

        def passes(port: int) -> int:
            return sum(len(wire.segments(port)) for wire in wires)

        async def send(port: int) -> None:
            client.send(segment(net, family, "A", port, to="node-1"))
            await asyncio.to_thread(wait_for, "its last hop", lambda: passes(port) >= HOPS, ANSWER_SECONDS)

        await send(4000)
        await send(4001)
        assert passes(4000) == HOPS


@both_families
async def test_large_datagrams_and_what_the_kernel_sends_in_one_piece_arrive_whole(
    site: Site, family: Family
) -> None:
    net = site.net
    await serve(net, family)
    await site.program(SUBJECT, pods(*PODS))
    async with crowd(net, family, "node-1") as clients:
        for each in clients.members:
            if isinstance(each, Flow):
                assert await each.ask(b"x" * 4_000) == each.first
            else:
                # More than a frame holds: handed to the network card, or received, as one packet (GSO, GRO).
                each.writer.write(b"x" * 60_000)
        assert await clients.lost() == []


@both_families
async def test_an_endpoint_of_a_lost_node_gets_nothing_new_and_keeps_its_tcp_connections_if_it_lives(
    site: Site, family: Family
) -> None:
    net = site.net
    await serve(net, family)
    await site.program(SUBJECT, pods("pod-1", "pod-2"))
    async with crowd(net, family, "node-3") as clients:
        await site.program(SUBJECT, pods("pod-1", "pod-2"), lost={"node-1"})
        for announcer in ("node-3", "node-2"):
            move(net, family, announcer)
            assert not [each for each in await clients.lost() if isinstance(each, Connection)]
        async with crowd(net, family, "node-3") as others:
            assert others.firsts == seen_from(family, "pod-2")


@both_families
async def test_connections_go_on_while_an_endpoint_becomes_ready_and_one_node_after_the_other_hears_of_it(
    site: Site, family: Family
) -> None:
    net = site.net
    await serve(net, family)
    await site.program(SUBJECT, [*pods(*PODS[:2]), *pods("pod-3", ready=False)])
    async with crowd(net, family, "node-1") as clients:
        for node in reversed(NODES):
            await site.tell(node, SUBJECT, pods(*PODS))
            for announcer in NODES:
                move(net, family, announcer)
                assert await clients.lost() == [], f"{node} has heard of it, through {announcer}"


@both_families
async def test_a_routers_error_about_an_answer_finds_its_connection_after_the_slot_changed_hands(
    site: Site, family: Family
) -> None:
    net = site.net
    await serve(net, family)
    await site.program(SUBJECT, pods("pod-1"))
    async with crowd(net, family, "node-3") as clients:
        await site.program(SUBJECT, pods(*PODS))
        ports = {port_of(each) for each in clients.members}
        with ExitStack() as stack:
            client = stack.enter_context(Tap(net, "client", "eth0"))
            pod = stack.enter_context(Tap(net, "pod-1", "eth0"))
            others = [stack.enter_context(Tap(net, node, "eth0")) for node in NODES[1:]]
            for announcer in NODES:
                for each in clients.members:
                    client.send(error(net, family, each, to=announcer))
            wanted = sorted(port for port in ports for _ in NODES)
            await asyncio.to_thread(
                wait_for,
                "every error at the pod",
                lambda: sorted(quoted(pod, POD[family]["pod-1"])) == wanted,
                PATIENCE,
            )
            # Of the slots that are another's now, each of the others has some.
            for tap in others:
                assert len(quoted(tap, VIP[family])) > len(ports)


def error(net: Net, family: Family, about: Connection | Flow, *, to: str) -> Any:
    """A router's message, to that node, that an answer was too long."""
    answer = (UDP if isinstance(about, Flow) else TCP)(sport=80, dport=port_of(about))
    node = Ether(dst=mac(net, to))
    if family == "IPv4":
        packet = IP(src=VIP[family], dst=CLIENT[family]) / answer
        return node / IP(src="192.168.77.254", dst=VIP[family]) / ICMP(type=3, code=4, nexthopmtu=1_300) / packet
    packet = IPv6(src=VIP[family], dst=CLIENT[family]) / answer
    return node / IPv6(src="fd77::254", dst=VIP[family]) / ICMPv6PacketTooBig(mtu=1_300) / packet


def quoted(tap: Tap, address: str) -> list[int]:
    """The client's ports of the connections that errors to this address are about."""
    return [frame[layer].dport for frame in tap.about(address) for layer in (TCPerror, UDPerror) if layer in frame]
