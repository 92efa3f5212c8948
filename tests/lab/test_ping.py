"""EXTERNAL-IPs under real echo requests, while no interface has them."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest

from heraldlb.agent.pinging import PingRole
from heraldlb.api.ranges import Family
from heraldlb.forwarding import ping as ping_table
from heraldlb.forwarding.watch import TableWatch
from lab.waiting import wait_for
from tests.lab.forwarding_net import POD, Net, both_families, network

OURS: dict[Family, str] = {"IPv4": "172.16.0.1", "IPv6": "fd00:16::1"}
OTHER: dict[Family, str] = {"IPv4": "172.16.0.2", "IPv6": "fd00:16::2"}
ALL = frozenset(map(ip_address, OURS.values()))
PATIENCE = 20.0
TABLE = ("nft", "list", "table", "inet", "heraldlb-ping")


@pytest.fixture
def net() -> Iterator[Net]:
    with network() as built:
        yield built


@asynccontextmanager
async def answering(net: Net, *, answer: bool = True) -> AsyncIterator[PingRole]:
    """An agent's part in it, on the node that the client sends to."""
    role = PingRole(net.nft("node-1"), answer=answer)
    running = asyncio.create_task(role.run())
    try:
        yield role
    finally:
        running.cancel()
        await asyncio.wait({running})


async def ping(net: Net, host: str, address: str) -> bool:
    """Whether one echo request is answered, by that very address."""
    try:
        said = await asyncio.to_thread(net.run, host, "ping", "-n", "-c", "1", "-W", "1", address)
    except subprocess.CalledProcessError:
        return False
    return f"from {address}: icmp_seq=1" in said


async def until(what: str, holds: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_for, what, holds, PATIENCE)


def table(net: Net) -> str:
    try:
        return net.run("node-1", *TABLE)
    except subprocess.CalledProcessError:
        return ""


@both_families
async def test_clients_pods_and_the_node_get_answers_from_the_address_itself(net: Net, family: Family) -> None:
    assert not await ping(net, "client", OURS[family])
    async with answering(net) as role:
        role.want(ALL)
        await until("the address to be in the kernel", lambda: OURS[family] in table(net))
        for host in ("client", "pod-1", "node-1"):
            assert await ping(net, host, OURS[family]), host


@both_families
async def test_no_other_address_is_answered_for_and_pods_keep_theirs(net: Net, family: Family) -> None:
    async with answering(net) as role:
        role.want(ALL)
        await until("the address to be in the kernel", lambda: OURS[family] in table(net))
        assert not await ping(net, "client", OTHER[family])
        assert await ping(net, "client", POD[family]["pod-2"])


@both_families
async def test_answers_begin_and_end_with_the_address(net: Net, family: Family) -> None:
    async with answering(net) as role:
        role.want(frozenset())
        await until("the table to be there", lambda: bool(table(net)))
        role.want(ALL)
        await until("the address to be in the kernel", lambda: OURS[family] in table(net))
        assert await ping(net, "client", OURS[family])
        role.want({ip_address(OTHER[family])})
        await until("the address to be gone", lambda: f"{OURS[family]} " not in table(net))
        assert await ping(net, "client", OTHER[family])
        assert not await ping(net, "client", OURS[family])


async def test_a_restarted_agent_takes_over_what_its_predecessor_left(net: Net) -> None:
    async with answering(net) as role:
        role.want(ALL)
        await until("the address to be in the kernel", lambda: OURS["IPv4"] in table(net))
    assert await ping(net, "client", OURS["IPv4"]), "an agent's end ends nothing"
    async with answering(net) as role:
        role.want({ip_address(OTHER["IPv4"])})
        await until("the new address to be in the kernel", lambda: OTHER["IPv4"] in table(net))
        assert OURS["IPv4"] not in table(net).replace(OTHER["IPv4"], "")


async def test_switched_off_it_leaves_nothing_of_what_was_there(net: Net) -> None:
    before = net.run("node-1", "nft", "list", "ruleset")
    async with answering(net) as role:
        role.want(ALL)
        await until("the address to be in the kernel", lambda: OURS["IPv4"] in table(net))
    async with answering(net, answer=False):
        await until("the table to be gone", lambda: not table(net))
    assert net.run("node-1", "nft", "list", "ruleset") == before
    assert not await ping(net, "client", OURS["IPv4"])


@pytest.mark.parametrize(
    "meddling", [("flush", "ruleset"), ("delete", "table", "inet", "heraldlb-ping")], ids=" ".join
)
async def test_a_table_that_somebody_meddles_with_is_made_anew_at_once(net: Net, meddling: tuple[str, ...]) -> None:
    nft = net.nft("node-1")
    watch = TableWatch(nft.ran, lambda: net.netlink("node-1"))
    role = PingRole(nft, answer=True)
    watch.subscribe(ping_table.TABLE, role.touched)
    running = [asyncio.create_task(each()) for each in (watch.run, role.run)]
    try:
        role.want(ALL)
        await until("the address to be in the kernel", lambda: OURS["IPv4"] in table(net))
        net.run("node-1", "nft", *meddling)
        await until("the address to be back", lambda: OURS["IPv4"] in table(net))
        assert await ping(net, "client", OURS["IPv4"])
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


@both_families
async def test_a_table_that_somebody_removed_is_made_anew_at_the_next_change(net: Net, family: Family) -> None:
    async with answering(net) as role:
        role.want(frozenset())
        await until("the table to be there", lambda: bool(table(net)))
        net.run("node-1", "nft", "delete", "table", "inet", "heraldlb-ping")
        role.want(ALL)
        await until("the address to be in the kernel", lambda: OURS[family] in table(net))
        assert await ping(net, "client", OURS[family])
