"""The forwarder's rules under real packets: clients, nodes and pods in network namespaces, no kube-proxy."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from ipaddress import ip_address

import pytest

from heraldlb.api.endpoints import Endpoint, EndpointPort
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import Family
from heraldlb.api.services import Protocol, Service, ServicePort
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.model import Frame, Plan
from heraldlb.forwarding.plan import make_plan
from lab.namespaces import NAMED
from tests.lab.forwarding_net import NODE_ADDRESS, NODES, Answer, Net, both_families, network, view
from tests.unit.forwarding.builders import WEB, slice_of
from tests.unit.forwarding.cases import TARGET, VIP, pods, web


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


def test_the_network_leaves_nothing_behind_also_after_a_failure() -> None:
    with pytest.raises(RuntimeError, match="as planned"), network() as built:
        raise RuntimeError("as planned")
    assert not list(NAMED.glob(f"{built.prefix}*"))
