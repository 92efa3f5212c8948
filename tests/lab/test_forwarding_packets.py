"""The forwarder's rules under real packets: clients, nodes and pods in network namespaces, no kube-proxy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from heraldlb.api.endpoints import Endpoint, EndpointPort
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import Protocol, Service, ServicePort
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.model import Frame, Plan
from heraldlb.forwarding.plan import make_plan
from lab.namespaces import NAMED
from tests.lab.forwarding_net import CLIENT, NODE_ADDRESS, NODES, POD, Answer, Net, network, view
from tests.unit.forwarding.builders import WEB, service, slice_of

VIP: dict[Family, str] = {"IPv4": "172.16.0.1", "IPv6": "fd00:16::1"}
CLUSTER_IP: dict[Family, str] = {"IPv4": "10.96.0.1", "IPv6": "fd00:96::1"}
EXTERNAL_IP: dict[Family, str] = {"IPv4": "203.0.113.1", "IPv6": "2001:db8::1"}
NODE_PORT, TARGET = 30080, 8080

both_families = pytest.mark.parametrize("family", FAMILIES)
both_protocols = pytest.mark.parametrize("protocol", ["TCP", "UDP"])


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    with network() as built:
        try:
            yield built
        finally:
            await built.stop_servers()


def web(protocol: Protocol = "TCP", **fields: Any) -> Service:
    """A dual-stack LoadBalancer Service with every kind of address."""
    return service(
        **{
            "type": "LoadBalancer",
            "cluster_ips": tuple(CLUSTER_IP.values()),
            "ingress": tuple(VIP.values()),
            "external_ips": tuple(EXTERNAL_IP.values()),
            "ports": (ServicePort("http", protocol, 80, NODE_PORT),),
            **fields,
        }
    )


def pods(*names: str) -> list[Endpoint]:
    """Both addresses of each pod as endpoints."""
    return [
        Endpoint(ip_address(POD[family][name]), name.replace("pod", "node"))
        for name in names
        for family in FAMILIES
    ]


def plan_for(node: str, subject: Service, endpoints: list[Endpoint]) -> Plan:
    target = EndpointPort("http", subject.ports[0].protocol, TARGET)
    seen = view(node)
    return make_plan(
        [subject], {subject.id: [slice_of(*endpoints, of=subject.id, ports=(target,))]}, seen, Frame(seen.pod_cidrs)
    )


async def program(net: Net, subject: Service, endpoints: list[Endpoint]) -> dict[str, Forwarder]:
    """Both nodes forward the Service."""
    forwarders = {node: net.forwarder(node) for node in NODES}
    for node, forwarder in forwarders.items():
        await forwarder.apply(plan_for(node, subject, endpoints))
    return forwarders


async def serve(net: Net, family: Family, protocol: Protocol = "TCP") -> None:
    for pod in ("pod-1", "pod-2"):
        await net.serve(pod, family, protocol, TARGET)


def names(answers: set[Answer]) -> set[str]:
    return {answer.backend for answer in answers}


@both_families
@both_protocols
async def test_every_outside_address_reaches_both_endpoints(net: Net, family: Family, protocol: Protocol) -> None:
    await serve(net, family, protocol)
    await program(net, web(protocol), pods("pod-1", "pod-2"))
    dialled = [
        (VIP[family], 80),
        (EXTERNAL_IP[family], 80),
        *((NODE_ADDRESS[family][node], NODE_PORT) for node in NODES),
    ]
    for address, port in dialled:
        assert names(await net.gather("client", address, port, protocol)) == {"pod-1", "pod-2"}, address


@both_families
@both_protocols
async def test_pods_and_nodes_reach_every_address_too(net: Net, family: Family, protocol: Protocol) -> None:
    await serve(net, family, protocol)
    await program(net, web(protocol), pods("pod-1", "pod-2"))
    for host in ("pod-2", "node-1"):
        for address, port in (
            (CLUSTER_IP[family], 80),
            (VIP[family], 80),
            (NODE_ADDRESS[family]["node-1"], NODE_PORT),
        ):
            assert names(await net.gather(host, address, port, protocol)) == {"pod-1", "pod-2"}, (host, address)


@both_families
async def test_a_pod_keeps_its_address_on_the_way_to_a_cluster_ip(net: Net, family: Family) -> None:
    await serve(net, family)
    await program(net, web(), pods("pod-2"))
    assert await net.ask("pod-1", CLUSTER_IP[family], 80) == Answer("pod-2", POD[family]["pod-1"])


@both_families
async def test_outside_clients_are_masqueraded_so_that_answers_come_back_the_same_way(
    net: Net, family: Family
) -> None:
    await serve(net, family)
    await program(net, web(), pods("pod-2"))
    assert await net.ask("client", VIP[family], 80) == Answer("pod-2", NODE_ADDRESS[family]["node-1"])


@both_families
@both_protocols
async def test_a_pod_reaches_itself_through_its_service(net: Net, family: Family, protocol: Protocol) -> None:
    await serve(net, family, protocol)
    await program(net, web(protocol), pods("pod-1"))
    for address in (CLUSTER_IP[family], VIP[family]):
        answer = await net.ask("pod-1", address, 80, protocol)
        assert answer.backend == "pod-1"
        assert answer.seen != POD[family]["pod-1"]


@both_families
async def test_external_local_keeps_the_clients_address_and_the_node(net: Net, family: Family) -> None:
    await serve(net, family)
    await program(net, web(external_traffic_policy="Local"), pods("pod-1", "pod-2"))
    expected = {Answer("pod-1", CLIENT[family])}
    assert await net.gather("client", VIP[family], 80) == expected
    assert await net.gather("client", NODE_ADDRESS[family]["node-1"], NODE_PORT) == expected
    assert await net.ask("client", NODE_ADDRESS[family]["node-2"], NODE_PORT) == Answer("pod-2", CLIENT[family])


@both_families
async def test_external_local_without_an_endpoint_here_drops_outside_traffic_only(net: Net, family: Family) -> None:
    await serve(net, family)
    await program(net, web(external_traffic_policy="Local"), pods("pod-2"))
    assert await net.is_silent("client", VIP[family], 80)
    assert await net.is_silent("client", NODE_ADDRESS[family]["node-1"], NODE_PORT)
    assert await net.ask("client", NODE_ADDRESS[family]["node-2"], NODE_PORT) == Answer("pod-2", CLIENT[family])
    assert await net.ask("pod-1", VIP[family], 80) == Answer("pod-2", POD[family]["pod-1"])
    assert await net.ask("node-1", VIP[family], 80) == Answer("pod-2", NODE_ADDRESS[family]["node-1"])


@both_families
async def test_internal_local_stays_on_the_node_and_drops_where_none_is(net: Net, family: Family) -> None:
    await serve(net, family)
    await program(net, web(internal_traffic_policy="Local"), pods("pod-2"))
    assert await net.is_silent("pod-1", CLUSTER_IP[family], 80)
    assert (await net.ask("pod-2", CLUSTER_IP[family], 80)).backend == "pod-2"
    assert (await net.ask("client", VIP[family], 80)).backend == "pod-2"


@both_families
@both_protocols
async def test_without_endpoints_connections_are_refused_at_once(
    net: Net, family: Family, protocol: Protocol
) -> None:
    await program(net, web(protocol), [])
    for host, address, port in (
        ("client", VIP[family], 80),
        ("client", NODE_ADDRESS[family]["node-2"], NODE_PORT),
        ("pod-1", CLUSTER_IP[family], 80),
        ("node-1", CLUSTER_IP[family], 80),
    ):
        # A datagram that the node itself sends is refused by sendto() already, before the ICMP message arrives.
        refusal = PermissionError if (host, protocol) == ("node-1", "UDP") else ConnectionRefusedError
        with pytest.raises(refusal):
            await net.ask(host, address, port, protocol)


@both_families
async def test_open_connections_outlive_the_removal_of_their_endpoint_and_new_ones_go_elsewhere(
    net: Net, family: Family
) -> None:
    await serve(net, family)
    forwarders = await program(net, web(), pods("pod-1"))
    connection = await net.connect("client", VIP[family], 80)
    applied = await forwarders["node-1"].apply(plan_for("node-1", web(), pods("pod-2")))
    assert not applied.full
    assert names(await net.gather("client", VIP[family], 80)) == {"pod-2"}
    assert (await connection.ask()).backend == "pod-1"
    await connection.close()


async def test_replacing_the_rules_loses_no_connection_old_or_new(net: Net) -> None:
    """As when an agent restarts or is upgraded, ten times."""
    await net.nft("node-1").apply(
        "table inet watch { chain leaked { type filter hook forward priority 0; ip daddr 172.16.0.1 counter; }; }\n"
    )
    await serve(net, "IPv4")
    await program(net, web(), pods("pod-1", "pod-2"))
    connection = await net.connect("client", VIP["IPv4"], 80)
    stop = asyncio.Event()

    async def dial_until_stopped() -> int:
        dialled = 0
        while not stop.is_set():
            await net.ask("client", VIP["IPv4"], 80)
            dialled += 1
        return dialled

    async with asyncio.TaskGroup() as tasks:
        dialling = [tasks.create_task(dial_until_stopped()) for _ in range(4)]
        for number in range(10):
            plan = plan_for("node-1", web(), pods("pod-1", "pod-2"))
            # Alternately one that finds all as it should be, and one that replaces it.
            mark = plan.frame.masquerade_mark << (number + 1) // 2 % 2
            applied = await net.forwarder("node-1").apply(replace(plan, frame=Frame(plan.frame.pod_cidrs, mark)))
            assert (applied.full, applied.transactions) == (number % 2 == 1, number % 2)
            await connection.ask()
        stop.set()
    assert all(task.result() > 0 for task in dialling)
    await connection.close()
    assert _packets(net, "leaked") == [0]


async def test_a_service_that_nft_refuses_goes_without_and_alone(net: Net) -> None:
    await serve(net, "IPv4")
    good = plan_for("node-1", web(), pods("pod-1"))
    poisoned = replace(
        plan_for("node-1", web(ports=(ServicePort("http", "TCP", 70_000),)), pods("pod-1")).services[WEB],
        id=NamespacedName("default", "poisoned"),
    )
    others = [
        replace(good.services[WEB], id=NamespacedName("default", f"other-{number}"), servers={})
        for number in range(5)
    ]
    forwarder = net.forwarder("node-1")
    applied = await forwarder.apply(good.replace([poisoned, *others]))
    (quarantined,) = applied.quarantined
    assert str(quarantined.service) == "default/poisoned"
    assert "out of range" in quarantined.message
    assert (await net.ask("client", VIP["IPv4"], 80)).backend == "pod-1"


async def test_other_tables_are_untouched_and_nothing_of_ours_is_left_after_removal(net: Net) -> None:
    await net.nft("node-1").apply(
        "table inet filter { chain input { type filter hook input priority 0; tcp dport 1 drop; }; }\n"
        "table ip kube-proxy { map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }; }\n"
    )
    before = net.run("node-1", "nft", "list", "ruleset")
    forwarder = net.forwarder("node-1")
    await forwarder.apply(plan_for("node-1", web(), pods("pod-1")))
    await forwarder.apply(plan_for("node-1", web(), pods("pod-2")))
    assert net.run("node-1", "nft", "list", "ruleset").startswith(before)
    await forwarder.remove()
    assert net.run("node-1", "nft", "list", "ruleset") == before
    await forwarder.remove()


async def test_differences_leave_the_kernel_with_what_a_full_load_would(net: Net) -> None:
    """Every transition between different shapes of one Service, read back from the kernel."""
    shapes = [
        plan_for("node-1", web(**fields), endpoints)
        for fields in ({}, {"external_traffic_policy": "Local"}, {"internal_traffic_policy": "Local"})
        for endpoints in ([], pods("pod-1"), pods("pod-2"), pods("pod-1", "pod-2"))
    ]
    forwarder = net.forwarder("node-1")
    await forwarder.apply(shapes[-1])
    for shape in (*shapes, *reversed(shapes)):
        applied = await forwarder.apply(shape)
        assert not applied.full
        await net.forwarder("node-2").apply(shape)
        assert _elements(net, "node-1") == _elements(net, "node-2")


def _elements(net: Net, host: str) -> dict[tuple[str, str], list[str]]:
    listed = {}
    for family in ("ip", "ip6"):
        for entry in json.loads(net.run(host, "nft", "-j", "list", "table", family, "heraldlb"))["nftables"]:
            for kind in ("map", "set"):
                if kind in entry:
                    found = entry[kind]
                    listed[family, found["name"]] = sorted(json.dumps(item) for item in found.get("elem", []))
    return listed


@both_families
async def test_the_mark_is_cleared_before_the_packet_leaves_and_other_bits_are_kept(
    net: Net, family: Family
) -> None:
    await serve(net, family)
    await net.serve("node-1", family, "TCP", TARGET)
    await net.nft("node-1").apply(
        "table inet watch {\n"
        "chain before { type filter hook prerouting priority -200; meta mark set meta mark | 0x10; }\n"
        "chain after { type filter hook postrouting priority 200; tcp dport 8080 meta mark 0x10 counter;"
        " tcp dport 8080 meta mark != 0x10 counter; }\n"
        "chain local { type filter hook input priority 200; tcp dport 8080 meta mark 0x10 counter;"
        " tcp dport 8080 meta mark != 0x10 counter; }\n}\n"
    )
    on_node = [Endpoint(ip_address(NODE_ADDRESS[family]["node-1"]), "node-1")]
    forwarder = net.forwarder("node-1")
    for endpoints, chain in ((pods("pod-2"), "after"), (on_node, "local")):
        await forwarder.apply(plan_for("node-1", web(), endpoints))
        await net.ask("client", VIP[family], 80)
        right, wrong = _packets(net, chain)
        assert right > 0
        assert wrong == 0


def _packets(net: Net, chain: str) -> list[int]:
    listed = json.loads(net.run("node-1", "nft", "-j", "list", "chain", "inet", "watch", chain))["nftables"]
    rules = [entry["rule"] for entry in listed if "rule" in entry]
    return [part["counter"]["packets"] for rule in rules for part in rule["expr"] if "counter" in part]


async def test_sctp_rules_are_taken_by_the_kernel(net: Net) -> None:
    applied = await net.forwarder("node-1").apply(plan_for("node-1", web("SCTP"), pods("pod-1", "pod-2")))
    assert applied.quarantined == ()
    assert "172.16.0.1 . sctp . 80 : goto external-2" in net.run("node-1", "nft", "list", "table", "ip", "heraldlb")


def test_the_network_leaves_nothing_behind_also_after_a_failure() -> None:
    with pytest.raises(RuntimeError, match="as planned"), network() as built:
        raise RuntimeError("as planned")
    assert not list(NAMED.glob(f"{built.prefix}*"))
