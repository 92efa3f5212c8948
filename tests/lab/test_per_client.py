"""Three nodes share the clients of an address: thirty hosts on a LAN, each with a real kernel's neighbour cache.

Every node has the address on its loopback interface and answers ping for it, as behind a forwarder; the kernel does
not answer for it on the LAN.
"""

from __future__ import annotations

import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA
from scapy.layers.l2 import ARP

from lab.namespaces import Surroundings, named, run_in
from tests.lab.speaker_net import ADDRESSES, MAC, NODES, Lan, until

HOSTS = {f"host-{number}": f"02:00:00:00:01:{number:02x}" for number in range(30)}
NODE_OF = {mac: node for node, mac in MAC.items()}
SHARED = (ADDRESSES[4][0], ADDRESSES[6][0])
SETTINGS = {"probation": 1.0, "failure_timeout": 1.0}
"""So that nobody is taken for dead on a busy machine."""


@pytest.fixture(scope="module")
def wires() -> Iterator[Lan]:
    made = Lan()
    try:
        made.build()
        made.add_hosts(HOSTS)
        for node in NODES:
            # Only what an interface has itself is answered for there, and asked from.
            _write_sysctl(made, node, "net/ipv4/conf/all/arp_ignore", "1")
            _write_sysctl(made, node, "net/ipv4/conf/all/arp_announce", "2")
            for address in SHARED:
                made.ip(node, f"addr add {address}/{128 if ':' in address else 32} dev lo")
        yield made
    finally:
        made.close()


@pytest.fixture
def lan(wires: Lan) -> Iterator[Lan]:
    """Speakers that share both addresses."""
    try:
        wires.start(*NODES, **SETTINGS)
        wires.apply(*NODES, addresses=SHARED, per_client=SHARED)
        await_sharers(wires, *NODES)
        yield wires
    finally:
        for node in NODES:
            wires.ip("lan", f"link set {node} up")
        for speaker in wires.speakers.values():
            speaker.close()
        wires.speakers.clear()
        for host in HOSTS:
            wires.ip(host, "neigh flush dev eth0")


def _write_sysctl(lan: Lan, host: str, name: str, value: str) -> None:
    network = Surroundings(network=named(lan.namespace(host)))
    run_in(network, lambda: Path("/proc/sys", name).write_text(value))


def await_sharers(lan: Lan, *nodes: str) -> None:
    """Until an owner of each address has told that these nodes share it, or that it serves everybody alone."""

    def agreed(address: str) -> bool:
        told = [
            change["nodes"]
            for speaker in lan.speakers.values()
            for change in list(speaker.changes)
            if change["change"] == "ClientsShared" and change["address"] == address
        ]
        return list(nodes if len(nodes) > 1 else ()) in told

    until(lambda: all(map(agreed, SHARED)))


def ping(lan: Lan, address: str) -> None:
    """All hosts at once; each needs an answer to its very first packet."""
    argv = ["ping", "-n", "-c", "1", "-W", "10", address]
    running = {
        host: subprocess.Popen(["ip", "netns", "exec", lan.namespace(host), *argv], stdout=subprocess.DEVNULL)
        for host in HOSTS
    }
    failed = [host for host, process in running.items() if process.wait() != 0]
    assert not failed, f"no answer from {address} for {failed}"


@contextmanager
def losing_nothing(lan: Lan, address: str, hosts: Sequence[str]) -> Iterator[None]:
    """These hosts ask a hundred times a second while it lasts, and every question is answered."""
    argv = ["ping", "-n", "-q", "-i", "0.01", "-W", "10", address]
    running = [
        subprocess.Popen(["ip", "netns", "exec", lan.namespace(host), *argv], stdout=subprocess.PIPE, text=True)
        for host in hosts
    ]
    try:
        yield
    finally:
        for process in running:
            process.send_signal(signal.SIGINT)
        said = [process.communicate()[0] for process in running]
    assert all(" 0% packet loss" in each for each in said), said


def neighbours(lan: Lan, address: str) -> dict[str, str]:
    """The node that each host's kernel takes the address to be at."""
    return {host: NODE_OF.get(lan.neighbour(address, host) or "", "") for host in HOSTS}


def drawn_to_one(lan: Lan, address: str) -> list[str]:
    """Who has announced the address to everybody, as far as the client has heard."""
    return [frame.src for frame in lan.received(0.001) if _announces(frame, address)]


def _announces(frame: Any, address: str) -> bool:
    if ARP in frame:
        return bool(frame[ARP].psrc == address and frame.dst == "ff:ff:ff:ff:ff:ff")
    return bool(ICMPv6ND_NA in frame and frame[ICMPv6ND_NA].tgt == address and frame.dst == "33:33:00:00:00:01")


@pytest.mark.parametrize("address", SHARED, ids=["IPv4", "IPv6"])
def test_thirty_clients_spread_over_three_nodes_each_always_at_the_same(lan: Lan, address: str) -> None:
    ping(lan, address)
    first = neighbours(lan, address)
    counts = Counter(first.values())
    assert counts.keys() == set(NODES)
    assert max(counts.values()) <= 0.6 * len(HOSTS)
    for host in HOSTS:
        lan.ip(host, "neigh flush dev eth0")
    ping(lan, address)
    assert neighbours(lan, address) == first


@pytest.mark.parametrize("address", SHARED, ids=["IPv4", "IPv6"])
def test_a_clients_kernel_that_confirms_what_it_knows_is_answered_by_the_same_node(lan: Lan, address: str) -> None:
    version = 6 if ":" in address else 4
    hosts = list(HOSTS)[:6]
    for host in hosts:
        # It confirms by unicast, in IPv6 from another address of its own than it resolves from.
        _write_sysctl(lan, host, f"net/ipv{version}/neigh/eth0/base_reachable_time_ms", "1000")
        _write_sysctl(lan, host, f"net/ipv{version}/neigh/eth0/delay_first_probe_time", "1")
    ping(lan, address)
    before = neighbours(lan, address)
    unconfirmed: set[str] = set()
    confirmed: set[str] = set()

    def all_confirmed() -> bool:
        for host in hosts:
            lan.resolve(address, host)
            entry = lan.neighbour_entry(address, host)
            assert NODE_OF[entry["lladdr"]] == before[host]
            if entry["state"] == ["REACHABLE"]:
                confirmed.update({host} & unconfirmed)
            else:
                unconfirmed.add(host)
        return confirmed == set(hosts)

    until(all_confirmed)


@pytest.mark.parametrize("address", SHARED, ids=["IPv4", "IPv6"])
def test_a_nodes_death_moves_the_entries_of_its_clients_and_no_others_before_they_send_anything(
    lan: Lan, address: str
) -> None:
    ping(lan, address)
    before = neighbours(lan, address)
    dead = Counter(before.values()).most_common(1)[0][0]
    drawn_to_one(lan, address)
    lan.ip("lan", f"link set {dead} down")
    lan.speakers[dead].send(signal.SIGKILL)
    until(lambda: dead not in neighbours(lan, address).values())
    after = neighbours(lan, address)
    assert {host: node for host, node in after.items() if before[host] != dead} == {
        host: node for host, node in before.items() if node != dead
    }
    assert set(after.values()) == set(NODES) - {dead}
    ping(lan, address)
    assert neighbours(lan, address) == after
    assert not drawn_to_one(lan, address)


@pytest.mark.parametrize("address", SHARED, ids=["IPv4", "IPv6"])
def test_the_last_node_that_is_left_draws_everybody(lan: Lan, address: str) -> None:
    ping(lan, address)
    lan.apply(*NODES, addresses=SHARED, per_client=SHARED, candidates=NODES[:1])
    until(lambda: set(neighbours(lan, address).values()) == set(NODES[:1]))
    ping(lan, address)


@pytest.mark.parametrize("address", SHARED, ids=["IPv4", "IPv6"])
def test_a_planned_change_moves_the_clients_concerned_there_and_back_and_costs_them_nothing(
    lan: Lan, address: str
) -> None:
    ping(lan, address)
    before = neighbours(lan, address)
    others = NODES[1:]
    moving = [host for host, node in before.items() if node == NODES[0]]
    with losing_nothing(lan, address, moving[:3]):
        lan.apply(*NODES, addresses=SHARED, per_client=SHARED, candidates=others)
        until(lambda: set(neighbours(lan, address).values()) == set(others))
        during = neighbours(lan, address)
        assert all(during[host] == node for host, node in before.items() if node in others)
        lan.apply(*NODES, addresses=SHARED, per_client=SHARED)
        until(lambda: neighbours(lan, address) == before)


@pytest.mark.parametrize("address", SHARED, ids=["IPv4", "IPv6"])
def test_an_agent_that_stops_in_order_leaves_its_clients_to_others_who_lose_nothing(lan: Lan, address: str) -> None:
    ping(lan, address)
    before = neighbours(lan, address)
    moving = [host for host, node in before.items() if node == NODES[0]]
    with losing_nothing(lan, address, moving[:3]):
        lan.speakers[NODES[0]].send(signal.SIGTERM)
        until(lambda: set(neighbours(lan, address).values()) == set(NODES[1:]))
    after = neighbours(lan, address)
    assert all(after[host] == node for host, node in before.items() if node != NODES[0])


@pytest.mark.parametrize("address", SHARED, ids=["IPv4", "IPv6"])
def test_nodes_that_never_heard_a_client_ask_serve_it_when_its_node_dies(lan: Lan, address: str) -> None:
    ping(lan, address)
    before = neighbours(lan, address)
    for node in NODES:
        # As an upgrade does: each forgets whom it has heard. Nobody asks anything meanwhile.
        lan.speakers[node].send(signal.SIGTERM)
        lan.speakers[node].process.wait()
        lan.speakers[node].close()
        lan.start(node, **SETTINGS)
        lan.apply(node, addresses=SHARED, per_client=SHARED)
        until(lambda: neighbours(lan, address) == before)
    lan.ip("lan", f"link set {NODES[0]} down")
    lan.speakers[NODES[0]].send(signal.SIGKILL)
    until(lambda: set(neighbours(lan, address).values()) == set(NODES[1:]))


@pytest.mark.parametrize("address", SHARED, ids=["IPv4", "IPv6"])
def test_an_address_that_is_no_longer_shared_is_soon_at_one_node_for_everybody(lan: Lan, address: str) -> None:
    ping(lan, address)
    lan.apply(*NODES, addresses=SHARED)
    until(lambda: len(set(neighbours(lan, address).values())) == 1)
    assert set(neighbours(lan, address).values()) == {lan.await_owner(address)}
    ping(lan, address)
