"""How rules get into a real kernel, are found there by the next process, and come back when they are flushed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from heraldlb.agent.forwarding import ForwardingRole
from heraldlb.agent.settings import AgentSettings
from heraldlb.api.ranges import Family
from heraldlb.forwarding import ping
from heraldlb.forwarding.actual import Learned, Tables
from heraldlb.forwarding.affinity import AFFINITY
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.nft import Nft
from heraldlb.forwarding.readback import KernelReader
from heraldlb.forwarding.watch import TableWatch
from tests.lab.forwarding_net import ANSWER_SECONDS, NODES, Net, both_families
from tests.unit.agent.clusters import Listening, cluster_of, endpoint_slice, node, service
from tests.unit.forwarding.cases import CASES, CLUSTER_IP, POD, TARGET, VIP, case, pods, web

NODE, OTHER = NODES


async def tables(net: Net, host: str = NODE) -> Tables:
    return await KernelReader(lambda: net.netlink(host)).read()


async def rules(net: Net, host: str = NODE) -> Tables:
    """All but what was learned."""
    return {family: replace(table, learned=()) for family, table in (await tables(net, host)).items()}


async def test_every_rule_that_we_write_is_recognised_by_the_next_process(net: Net) -> None:
    for number, subject in enumerate(CASES):
        plan = subject.plan(NODE)
        applied = await net.forwarder(NODE, chunk=1 + number % 7).apply(plan)
        assert not applied.quarantined
        found = await net.forwarder(NODE).apply(plan)
        assert (found.full, found.transactions) == (False, 0), subject.name
        await net.forwarder(OTHER).remove()
        await net.forwarder(OTHER).apply(plan)
        assert await rules(net) == await rules(net, OTHER), f"how it was before shows: {subject.name}"
    net.run(NODE, "nft", "add element ip heraldlb services { * : drop }")
    assert (await net.forwarder(NODE).apply(plan)).full, "what is not understood is replaced"
    assert await rules(net) == await rules(net, OTHER)


@both_families
async def test_where_a_client_belongs_outlives_a_restart_and_an_upgrade(net: Net, family: Family) -> None:
    for pod in ("pod-1", "pod-2"):
        await net.serve(pod, family, "TCP", TARGET)
    sticky = case("sticky", web(session_affinity_seconds=600), pods("pod-1", "pod-2")).plan(NODE)
    await net.forwarder(NODE).apply(sticky)
    first = (await net.ask("client", VIP[family], 80)).backend
    moved = {"pod-1": "pod-2", "pod-2": "pod-1"}[first]
    await move(net, family, moved)
    for frame in (sticky.frame, replace(sticky.frame, masquerade_mark=0x80)):
        before = await learned(net, family)
        applied = await net.forwarder(NODE).apply(replace(sticky, frame=frame))
        assert applied.full is (frame != sticky.frame)
        after = await learned(net, family)
        assert (after.key, after.value, after.timeout) == (before.key, before.value, 600_000)
        assert 500_000 < after.expires <= before.expires, "the time goes on"
        assert (await net.ask("client", VIP[family], 80)).backend == moved


async def learned(net: Net, family: Family) -> Learned:
    [found] = [entry for entry in (await tables(net))[family].learned if entry.key.map == AFFINITY]
    return found


async def move(net: Net, family: Family, pod: str) -> None:
    """Have it that the client's last connection went to that pod: not where a scheduler would send it."""
    known = await learned(net, family)
    table = f"{'ip' if family == 'IPv4' else 'ip6'} heraldlb"
    value = f"{POD[family][pod]}{f' . {TARGET}' if family == 'IPv4' else ''}"
    await net.nft(NODE).apply(
        f"delete element {table} {AFFINITY} {{ {known.key.text} }}\n"
        f"add element {table} {AFFINITY} {{ {known.key.text} timeout 600s : {value} }}\n"
    )


class Noticing(Nft):
    """Says when it has applied something."""

    def __init__(self, net: Net) -> None:
        super().__init__(net.nft_command(NODE))
        self.noticed = asyncio.Event()

    async def apply(self, text: str) -> None:
        await super().apply(text)
        self.noticed.set()


@asynccontextmanager
async def agent(net: Net) -> AsyncIterator[Noticing]:
    """The forwarder of an agent on that node, in a cluster with one Service, once it has applied everything."""
    cluster = cluster_of(
        [node(NODE)],
        [service("web", CLUSTER_IP["IPv4"], vip=VIP["IPv4"])],
        [endpoint_slice("web", POD["IPv4"]["pod-1"], port=TARGET)],
    )
    nft = Noticing(net)
    watch = TableWatch(nft.ran, lambda: net.netlink(NODE))
    forwarder = Forwarder(nft, KernelReader(lambda: net.netlink(NODE)))
    role = ForwardingRole(cluster, AgentSettings(NODE), Listening().record, forwarder, watch)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(work()) for work in (watch.run, role.run)]
        await role.applied.wait()
        yield nft
        for task in running:
            task.cancel()


DAMAGE = (
    "flush ruleset",
    "delete table ip heraldlb",
    "delete table ip6 heraldlb",
    "flush chain ip heraldlb dispatch",
    "flush map ip heraldlb services",
    f"delete element ip heraldlb backends-tcp {{ {VIP['IPv4']} . 80 . 0 }}",
    "insert rule ip heraldlb dispatch drop",
)


async def test_what_somebody_else_breaks_is_whole_again_without_a_change_in_the_cluster(net: Net) -> None:
    await net.serve("pod-1", "IPv4", "TCP", TARGET)
    async with agent(net) as nft:
        intact = await rules(net)
        for damage in DAMAGE:
            net.run(NODE, "nft", damage)
            async with asyncio.timeout(ANSWER_SECONDS):
                while await rules(net) != intact:
                    await nft.noticed.wait()
                    nft.noticed.clear()
            assert (await net.ask("client", VIP["IPv4"], 80)).backend == "pod-1", damage


async def test_only_what_others_do_to_our_tables_is_told(net: Net) -> None:
    """Not our own loads, and nothing of others' tables, however much of it there is."""
    nft = net.nft(NODE)
    touched: asyncio.Queue[str] = asyncio.Queue()
    watch = TableWatch(nft.ran, lambda: net.netlink(NODE))
    for table in ("ip heraldlb", "ip6 heraldlb", ping.TABLE):
        watch.subscribe(table, lambda table=table: touched.put_nowait(table))  # type: ignore[misc]
    watching = asyncio.create_task(watch.run())
    await asyncio.sleep(0)
    elements = ", ".join(f"10.{number >> 8}.{number & 255}.1" for number in range(5_000))
    others = (
        f"add table ip others; add set ip others many {{ type ipv4_addr; elements = {{ {elements} }}; }};"
        " delete element ip others many { 10.0.0.1 }; add chain ip others heraldlb;"
    )
    for subject in CASES[:5]:
        await net.forwarder(NODE, nft).apply(subject.plan(NODE))
    await nft.apply(ping.full([]))
    net.run(NODE, "nft", others)
    net.run(NODE, "nft", f"delete table {ping.TABLE}")
    async with asyncio.timeout(ANSWER_SECONDS):
        assert await touched.get() == ping.TABLE
    net.run(NODE, "nft", "flush ruleset")
    async with asyncio.timeout(ANSWER_SECONDS):
        assert {await touched.get(), await touched.get()} == {"ip heraldlb", "ip6 heraldlb"}
    assert touched.empty()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
