"""Schedulers under real packets: six endpoints, three behind each node."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from ipaddress import ip_address
from itertools import product

from heraldlb.agent.balancing import Balancing
from heraldlb.api.endpoints import Endpoint, EndpointPort, EndpointSlice
from heraldlb.api.group import NODE_WEIGHTS_ANNOTATION, SCHEDULER_ANNOTATION
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import FAMILIES, Family, family_of
from heraldlb.api.services import Protocol, ServicePort
from heraldlb.forwarding.census import count_connections
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.leastconn import Loads
from heraldlb.forwarding.model import Backend, Frame, Plan
from heraldlb.forwarding.plan import NO_LOADS, make_plan
from heraldlb.forwarding.readback import KernelReader
from heraldlb.forwarding.ruleset import elements_at, shared_elements
from heraldlb.forwarding.schedulers import Scheduler
from tests.lab.forwarding_net import ANSWER_SECONDS, NODES, Net, both_families, view
from tests.unit.forwarding.builders import WEB, service
from tests.unit.forwarding.cases import NODE_ADDRESS, POD

VIP: dict[Family, str] = {"IPv4": "172.16.0.1", "IPv6": "fd00:16::1"}
NODE_PORT = 30080
SEED = 0xC0FFEE

ENDPOINTS = {f"{pod}:{port}": (pod, port) for pod in ("pod-1", "pod-2") for port in (8081, 8082, 8083)}
"""By the name that each answers with."""


def plan_for(
    node: str,
    scheduler: str,
    weights: str = "",
    protocol: Protocol = "TCP",
    without: str = "",
    policy: str = "Cluster",
    loads: Loads = NO_LOADS,
) -> Plan:
    subject = service(
        type="LoadBalancer",
        cluster_ips=("10.96.0.1", "fd00:96::1"),
        ingress=tuple(VIP.values()),
        external_traffic_policy=policy,
        ports=(ServicePort("http", protocol, 80, NODE_PORT),),
        annotations={SCHEDULER_ANNOTATION: scheduler, NODE_WEIGHTS_ANNOTATION: weights},
    )
    slices = [
        EndpointSlice(
            WEB,
            WEB,
            (EndpointPort("http", protocol, port),),
            tuple(Endpoint(ip_address(POD[family][pod]), pod.replace("pod", "node")) for family in FAMILIES),
        )
        for name, (pod, port) in ENDPOINTS.items()
        if name != without
    ]
    seen = view(node)
    return make_plan([subject], {WEB: slices}, seen, Frame(seen.pod_cidrs, seed=SEED), loads=loads)


async def program(net: Net, node: str, plan: Plan) -> Forwarder:
    forwarder = net.forwarder(node)
    await forwarder.apply(plan)
    return forwarder


async def serve(net: Net, family: Family, protocol: Protocol = "TCP") -> None:
    for name, (pod, port) in ENDPOINTS.items():
        await net.serve(pod, family, protocol, port, name)


async def dial(net: Net, family: Family, times: int) -> list[str]:
    """Who answered, one connection after the other."""
    return [(await net.ask("client", VIP[family], 80)).backend for _ in range(times)]


async def ask_from(net: Net, family: Family, source_port: int, node: str) -> str:
    """Who answers a datagram from that port to the node port of a node."""
    loop = asyncio.get_running_loop()
    with net.socket("client", family, "UDP") as sock:
        sock.bind(("", source_port))
        await loop.sock_connect(sock, (NODE_ADDRESS[family][node], NODE_PORT))
        await loop.sock_sendall(sock, b"hello\n")
        async with asyncio.timeout(ANSWER_SECONDS):
            return (await loop.sock_recv(sock, 512)).decode().split()[0]


@both_families
async def test_round_robin_keeps_its_order_and_weights_are_exact_in_each_round(net: Net, family: Family) -> None:
    await serve(net, family)
    forwarder = await program(net, "node-1", plan_for("node-1", "rr"))
    answers = await dial(net, family, 18)
    assert sorted(answers[:6]) == sorted(ENDPOINTS)
    assert answers == answers[:6] * 3
    await forwarder.apply(plan_for("node-1", "wrr", "node-1=2"))
    answers = await dial(net, family, 18)
    assert answers == answers[:9] * 2
    assert Counter(answers[:9]) == {name: 2 if pod == "pod-1" else 1 for name, (pod, _) in ENDPOINTS.items()}
    await forwarder.apply(plan_for("node-1", "wrr", "node-2=0"))
    assert Counter(await dial(net, family, 9)) == {name: 3 for name in ENDPOINTS if name.startswith("pod-1")}


@both_families
async def test_hashes_of_one_client_and_of_one_address_have_one_endpoint(net: Net, family: Family) -> None:
    await serve(net, family)
    for scheduler in ("sh", "dh"):
        forwarder = await program(net, "node-1", plan_for("node-1", scheduler))
        assert len(set(await dial(net, family, 20))) == 1
        await forwarder.apply(plan_for("node-1", scheduler, policy="Local"))
        [answer] = set(await dial(net, family, 20))
        assert answer.startswith("pod-1")


@both_families
async def test_maglev_chooses_alike_on_every_node_and_hardly_moves_what_need_not_move(
    net: Net, family: Family
) -> None:
    await serve(net, family, "UDP")
    first, second = [await program(net, node, plan_for(node, "maglev", protocol="UDP")) for node in NODES]
    answers = {port: await ask_from(net, family, port, "node-1") for port in range(20_000, 20_150)}
    assert set(answers.values()) == set(ENDPOINTS)
    assert answers == {port: await ask_from(net, family, port, "node-2") for port in answers}
    lost = "pod-1:8082"
    # Other ports of the node than those that conntrack knows.
    await first.apply(plan_for("node-1", "maglev", protocol="UDP"))
    await second.apply(plan_for("node-2", "maglev", protocol="UDP", without=lost))
    fresh = range(21_000, 21_150)
    before: Mapping[int, str] = {port: await ask_from(net, family, port, "node-1") for port in fresh}
    after = {port: await ask_from(net, family, port, "node-2") for port in fresh}
    assert lost not in after.values()
    moved = [port for port in fresh if before[port] not in (lost, after[port])]
    # Of the whole table 0.7 % move besides.
    assert len(moved) <= 5


@both_families
async def test_connections_are_counted_and_the_busy_endpoint_gets_fewer(net: Net, family: Family) -> None:
    await serve(net, family)
    idle = plan_for("node-1", "lc")
    forwarder = await program(net, "node-1", idle)
    endpoints: dict[str, tuple[Protocol, Backend]] = {
        name: ("TCP", Backend(ip_address(POD[family][pod]), port)) for name, (pod, port) in ENDPOINTS.items()
    }

    def count(wanted: Collection[tuple[Protocol, Backend]] = tuple(endpoints.values())) -> Loads:
        return count_connections(wanted, lambda: net.netlink("node-1"))

    assert set(count().values()) == {0}
    open_ = [await net.connect("client", VIP[family], 80) for _ in range(60)]
    served = Counter(connection.first.backend for connection in open_)
    assert count() == {endpoint: served[name] for name, endpoint in endpoints.items()}

    touched = asyncio.Queue[NamespacedName]()
    balancing = Balancing(lambda services: [*map(touched.put_nowait, services)], count)
    balancing.follow(idle, [WEB])
    counting = asyncio.create_task(balancing.run())
    async with asyncio.timeout(ANSWER_SECONDS):
        assert await touched.get() == WEB
    counting.cancel()
    assert 20 <= sum(balancing.loads.values()) <= 30, "half-way from nothing to what is open"

    # Connections that are over count no more, though conntrack keeps them for minutes.
    for connection in open_:
        await connection.close()
    assert sum(count().values()) < 60
    busy = {endpoints[name]: 200 for name in ENDPOINTS if name.startswith("pod-1")}
    applied = await forwarder.apply(plan_for("node-1", "lc", loads=busy))
    assert not applied.full
    shares = Counter(answer.partition(":")[0] for answer in await dial(net, family, 60))
    # One in 17 goes to pod-1 now; more than 18 of 60 once in a billion times.
    assert shares["pod-1"] <= 18


async def test_every_scheduler_is_taken_and_listed_and_leaves_what_a_full_load_would(net: Net) -> None:
    forwarder, reader = net.forwarder("node-1"), KernelReader(lambda: net.netlink("node-1"))
    await forwarder.apply(plan_for("node-1", "random"))
    for number, (policy, scheduler) in enumerate(product(("Cluster", "Local"), Scheduler)):
        protocol: Protocol = "SCTP" if number % 2 else "TCP"
        plan = plan_for("node-1", scheduler, "node-1=3,node-2=2", protocol, policy=policy)
        applied = await forwarder.apply(plan)
        assert applied.quarantined == ()
        assert not applied.full
        actual = await reader.read()
        for family in FAMILIES:
            expected = {
                key: value
                for frontend in plan.claims
                if family_of(frontend.address) == family
                for key, value in elements_at(frontend, plan.server(frontend)).items()
            }
            expected |= {key: "" for of, key in shared_elements(plan) if of == family}
            assert actual[family].elements == expected
        successor = await net.forwarder("node-1").apply(plan)
        assert (successor.full, successor.elements) == (False, 0)
        assert "dnat ip to" in net.run("node-1", "nft", "list", "table", "ip", "heraldlb")
