"""Herald beside another service proxy: what is found of it, and connections while one takes over from the other.

Of the other proxy there is what the kernel has, made by hand with iptables and nft, and a process that answers
where kube-proxy's does.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from heraldlb.agent import switching as switching_module
from heraldlb.agent.switching import ForwardingSwitch
from heraldlb.api.endpoints import Endpoint, EndpointPort
from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.reasons import Reason
from heraldlb.api.services import ServicePort
from heraldlb.forwarding import detour, evidence, mode, ping
from heraldlb.forwarding.detour import Detours
from heraldlb.forwarding.frame import TABLE, WORDS
from heraldlb.forwarding.mode import Mode, Stance
from heraldlb.forwarding.model import Frame, Plan
from heraldlb.forwarding.plan import make_plan
from heraldlb.forwarding.proxies import IPVS_LINK, Evidence, Heartbeat, needs_arp_ignore, sight
from heraldlb.kube.recorder import Happening
from lab.namespaces import Surroundings, named, run_in
from lab.waiting import wait_for
from tests.lab.forwarding_net import CLIENT, POD, Net, both_families, network, view
from tests.unit.forwarding.builders import service, slice_of

NODE = "node-1"
VIP: dict[Family, str] = {"IPv4": "172.16.0.1", "IPv6": "fd00:16::1"}
TARGET = 8080
PATIENCE = 30.0
NOTHING = Stance(forwards=False, reason="")


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    with network() as built:
        try:
            for family in FAMILIES:
                for pod in ("pod-1", "pod-2"):
                    await built.serve(pod, family, "TCP", TARGET)
            yield built
        finally:
            await built.stop_servers()


def ours(policy: str = "Cluster") -> Plan:
    """The Service's only endpoint is pod-1, so that answers tell who forwarded."""
    subject = service(
        type="LoadBalancer",
        cluster_ips=("10.96.0.1", "fd00:96::1"),
        ingress=tuple(VIP.values()),
        ports=(ServicePort("http", "TCP", 80),),
        external_traffic_policy=policy,
    )
    endpoints = [Endpoint(ip_address(POD[family]["pod-1"]), NODE) for family in FAMILIES]
    slices = [slice_of(*endpoints, of=subject.id, ports=(EndpointPort("http", "TCP", TARGET),))]
    seen = view(NODE)
    return make_plan([subject], {subject.id: slices}, seen, Frame(seen.pod_cidrs))


def theirs(net: Net) -> None:
    """kube-proxy's table in its essentials, with pod-2 as the endpoint: the same hooks, priorities and mark."""
    for family in FAMILIES:
        ip, table = WORDS[family].ip, f"{WORDS[family].ip} kube-proxy"
        rule = f"{ip} daddr {VIP[family]} tcp dport 80 meta mark set 0x4000 dnat to"
        target = f"{POD[family]['pod-2']}" if family == "IPv4" else f"[{POD[family]['pod-2']}]"
        text = f"add table {table}\n"
        for hook, priority in (("prerouting", -100), ("output", -100), ("postrouting", 100)):
            text += f"add chain {table} {hook} {{ type nat hook {hook} priority {priority}; }}\n"
        for hook in ("prerouting", "output"):
            text += f"add rule {table} {hook} {rule} {target}:{TARGET}\n"
        text += f"add rule {table} postrouting meta mark & 0x4000 == 0x4000 masquerade\n"
        command = ("ip", "netns", "exec", net.prefix + NODE, "nft", "-f", "-")
        subprocess.run(command, check=True, input=text, text=True, capture_output=True)


def tables(net: Net) -> set[str]:
    return set(net.run(NODE, "nft", "list", "tables").splitlines())


OURS = {f"table {words.ip} {TABLE}" for words in WORDS.values()}
THEIRS = {f"table {words.ip} kube-proxy" for words in WORDS.values()}


def programmed(net: Net) -> bool:
    """Ours have the Service in both families, and not just its tables."""
    return tables(net) >= OURS and all(
        f"{VIP[family]} . tcp . 80" in net.run(NODE, "nft", "list", "table", WORDS[family].ip, TABLE)
        for family in FAMILIES
    )


async def found(net: Net, *, closely: bool = True) -> Evidence:
    """Gathered on the node."""
    where = Surroundings(network=named(net.prefix + NODE))
    gather = partial(evidence.gather, closely=closely)
    return await asyncio.to_thread(run_in, where, lambda: asyncio.run(gather()))


@contextlib.asynccontextmanager
async def answering(net: Net, place: Heartbeat, said: str, metrics: str = "") -> AsyncIterator[None]:
    """A process on the node that answers there, and about its metrics."""
    port = int(place.split(":")[2].split("/")[0])
    sock = net.socket(NODE, "IPv4", "TCP")
    sock.bind(("127.0.0.1", port))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        body = (metrics if b"/metrics" in request else said).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, sock=sock)
    try:
        yield
    finally:
        server.close()


async def until(what: str, holds: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_for, what, holds, PATIENCE)


async def test_each_mode_of_kube_proxy_is_found_by_what_it_leaves_in_the_kernel(net: Net) -> None:
    assert sight(await found(net)) == ()
    net.run(NODE, "ip6tables-nft", "-t", "nat", "-N", "KUBE-SERVICES")
    net.run(NODE, "iptables-nft", "-t", "nat", "-N", "KUBE-KUBELET-CANARY")
    async with answering(net, Heartbeat.KUBE_PROXY_MODE, "iptables"):
        [seen] = sight(await found(net))
    assert (seen.name, seen.serves) == ("kube-proxy (iptables)", True)
    net.run(NODE, "ip6tables-nft", "-t", "nat", "-X", "KUBE-SERVICES")
    assert sight(await found(net)) == ()

    net.run(NODE, "ip", "link", "add", IPVS_LINK, "type", "bridge")
    left = await found(net)
    assert [(each.name, each.serves) for each in sight(left)] == [("kube-proxy (ipvs)", False)]
    assert needs_arp_ignore(left)
    net.run(NODE, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
    assert not needs_arp_ignore(await found(net))
    net.run(NODE, "ip", "link", "del", IPVS_LINK)

    theirs(net)
    never = 'kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} 0\n'
    async with answering(net, Heartbeat.KUBE_PROXY_MODE, "nftables", never):
        [starting] = sight(await found(net))
    assert (starting.name, starting.rules, starting.complete) == ("kube-proxy (nftables)", True, False)
    async with answering(net, Heartbeat.KUBE_PROXY_HEALTH, '{"lastUpdated": "2026-11-21"}'):
        [healthy] = sight(await found(net))
    assert (healthy.name, healthy.serves) == ("kube-proxy (nftables)", True)


async def test_legacy_iptables_count_as_rules_of_an_iptables_proxy_that_lives(net: Net) -> None:
    net.run(NODE, "iptables-legacy", "-t", "nat", "-N", "KUBE-SERVICES")
    assert sight(await found(net)) == ()
    async with answering(net, Heartbeat.KUBE_PROXY_MODE, "iptables"):
        [seen] = sight(await found(net))
    assert seen.serves


@both_families
@pytest.mark.parametrize("first", ["ours", "theirs"])
async def test_while_both_program_ours_decide_and_connections_work(net: Net, family: Family, first: str) -> None:
    forwarder = net.forwarder(NODE)
    if first == "ours":
        await forwarder.apply(ours())
        theirs(net)
    else:
        theirs(net)
        await forwarder.apply(ours())
    for host in ("client", "pod-1", NODE):
        assert {answer.backend for answer in await net.gather(host, VIP[family], 80)} == {"pod-1"}, host
    await forwarder.remove()
    assert {answer.backend for answer in await net.gather("client", VIP[family], 80)} == {"pod-2"}


@both_families
async def test_while_both_program_local_traffic_keeps_its_source(net: Net, family: Family) -> None:
    theirs(net)
    await net.forwarder(NODE).apply(ours("Local"))
    assert {answer.seen for answer in await net.gather("client", VIP[family], 80)} == {CLIENT[family]}


@dataclass(slots=True)
class Events:
    """Takes what would be written to the API server."""

    happenings: list[Happening] = field(default_factory=list)

    def record(self, happening: Happening) -> None:
        self.happenings.append(happening)


@contextlib.asynccontextmanager
async def switching(net: Net, chosen: Mode = Mode.AUTO) -> AsyncIterator[tuple[ForwardingSwitch, Events]]:
    """An agent's part in it; when it ends its rules stay, as an agent's do."""
    forwarder, events = net.forwarder(NODE), Events()

    async def forward() -> None:
        await forwarder.apply(ours())
        await asyncio.Event().wait()

    async def no() -> bool:
        return False

    recorder: Any = events
    switch = ForwardingSwitch(
        chosen,
        NODE,
        recorder,
        lambda closely: found(net, closely=closely),
        lambda: run_in(Surroundings(network=named(net.prefix + NODE)), evidence.glance),
        no,
        work=[forward],
        remove=forwarder.remove,
    )
    running = asyncio.create_task(switch.run())
    try:
        yield switch, events
    finally:
        running.cancel()
        await asyncio.wait({running})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stances change, and are looked at, within a moment."""
    monkeypatch.setattr(mode, "STEADY", 0.5)
    monkeypatch.setattr(mode, "GONE", 0.5)
    monkeypatch.setattr(switching_module, "LOOK_PERIOD", 0.1)


async def dial_until(net: Net, family: Family, done: Awaitable[None]) -> list[str]:
    """Open connections one after the other meanwhile; who answered each. Raises where one fails."""
    waiting = asyncio.ensure_future(done)
    answered = [(await net.ask("client", VIP[family], 80)).backend]
    while not waiting.done():
        answered.append((await net.ask("client", VIP[family], 80)).backend)
    await waiting
    return [*answered, (await net.ask("client", VIP[family], 80)).backend]


@both_families
@pytest.mark.usefixtures("impatient")
async def test_no_connection_is_lost_while_one_takes_over_from_the_other(net: Net, family: Family) -> None:
    async with switching(net) as (switch, events):
        await until("we forward", lambda: programmed(net))
        through_us = await net.connect("client", VIP[family], 80)
        async with answering(net, Heartbeat.KUBE_PROXY_MODE, "nftables"):
            await until("it is seen to lack rules", lambda: "has no rules" in (switch.stance or NOTHING).reason)
            theirs(net)
            answered = await dial_until(net, family, until("ours are gone", lambda: not tables(net) & OURS))
            assert (answered[0], answered[-1]) == ("pod-1", "pod-2")
            through_them = await net.connect("client", VIP[family], 80)
            assert (await through_us.ask()).backend == "pod-1"
            assert tables(net) >= THEIRS
            assert (switch.stance or NOTHING).proxy == "kube-proxy (nftables)"
        # Its process is gone, its rules are not.
        answered = await dial_until(net, family, until("we forward again", lambda: programmed(net)))
        assert (answered[0], answered[-1]) == ("pod-2", "pod-1")
        assert (await through_us.ask()).backend == "pod-1"
        assert (await through_them.ask()).backend == "pod-2"
        assert [each.reason for each in events.happenings] == [Reason.FORWARDER_CHANGED] * 2
        await through_us.close()
        await through_them.close()


@pytest.mark.usefixtures("impatient")
async def test_a_changed_mode_is_followed_by_the_next_agent(net: Net) -> None:
    theirs(net)
    async with answering(net, Heartbeat.KUBE_PROXY_MODE, "nftables"):
        async with switching(net, Mode.FULL):
            await until("we forward beside it", lambda: programmed(net) and tables(net) >= THEIRS)
        established = await net.connect("client", VIP["IPv4"], 80)
        assert established.first.backend == "pod-1"
        async with switching(net, Mode.AUTO):
            answered = await dial_until(net, "IPv4", until("ours are gone", lambda: tables(net) == THEIRS))
        assert answered[-1] == "pod-2"
        async with switching(net, Mode.FULL):
            await until("we forward again", lambda: programmed(net) and tables(net) >= THEIRS)
        async with switching(net, Mode.OFF):
            answered = await dial_until(net, "IPv4", until("ours are gone", lambda: tables(net) == THEIRS))
        assert (await established.ask()).backend == "pod-1"
        await established.close()


async def test_the_cleanup_command_removes_all_tables_of_ours_and_no_others(net: Net) -> None:
    theirs(net)
    before = net.run(NODE, "nft", "list", "ruleset")
    await net.forwarder(NODE).apply(ours())
    await net.nft(NODE).apply(ping.full([]) + detour.full(Detours()))
    assert len(tables(net)) == 7
    for _ in range(2):
        assert "Nothing of Herald is left" in net.run(
            NODE, str(Path(sys.executable).with_name("heraldlb")), "cleanup"
        )
        assert net.run(NODE, "nft", "list", "ruleset") == before


async def test_rules_that_vanish_are_missed_long_before_the_next_look(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switching_module, "LOOK_PERIOD", 10 * PATIENCE)
    monkeypatch.setattr(switching_module, "GLANCE_PERIOD", 0.1)
    theirs(net)
    async with answering(net, Heartbeat.KUBE_PROXY_MODE, "nftables"), switching(net) as (switch, _):
        await until("it is left to the other", lambda: switch.stance is not None and not switch.stance.forwards)
        for words in WORDS.values():
            net.run(NODE, "nft", "delete", "table", words.ip, "kube-proxy")
        await until("we forward", lambda: programmed(net))
        assert (await net.ask("client", VIP["IPv4"], 80)).backend == "pod-1"


@pytest.mark.usefixtures("impatient")
async def test_ipvs_that_answers_arp_for_all_is_told_of_once(net: Net) -> None:
    net.run(NODE, "ip", "link", "add", IPVS_LINK, "type", "bridge")
    async with switching(net, Mode.FULL) as (_, events):
        await until("a warning", lambda: bool(events.happenings))
        await until("we forward", lambda: programmed(net))
    [told] = events.happenings
    assert (told.reason, told.subject.kind, told.subject.id.name) == (Reason.KERNEL_ANSWERS_ARP, "Node", NODE)
