"""The node's own addresses, followed in a kernel."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from heraldlb.forwarding.localaddresses import LocalAddresses, read, subscribe
from lab.namespaces import Surroundings, named, run_in
from tests.lab.forwarding_net import ANSWER_SECONDS, network

NODE = "node-1"
OWN = {"192.168.77.1", "fd77::1", "10.244.1.1", "fd00:244:1::1"}
NEW = {"192.0.2.7", "2001:db8:7::7"}


async def test_addresses_are_known_as_they_come_and_go() -> None:
    with network() as net:
        there = Surroundings(network=named(net.prefix + NODE))
        changed = asyncio.Event()
        addresses = LocalAddresses(
            changed.set, read=lambda: run_in(there, read), subscribe=lambda: run_in(there, subscribe)
        )
        async with asyncio.timeout(ANSWER_SECONDS), asyncio.TaskGroup() as tasks:
            following = tasks.create_task(addresses.run())

            async def become(wanted: set[str]) -> None:
                while {ip_address(text) for text in wanted} != {
                    each for each in addresses.found if not _local(each)
                }:
                    changed.clear()
                    await changed.wait()

            await become(OWN)
            for address in NEW:
                net.run(NODE, "ip", "address", "add", address, "dev", "eth0")
            await become(OWN | NEW)
            for address in NEW:
                net.run(NODE, "ip", "address", "del", address, "dev", "eth0")
            await become(OWN)
            following.cancel()


def _local(address: object) -> bool:
    return bool(getattr(address, "is_loopback", False) or getattr(address, "is_link_local", False))
