"""Real speakers on a real LAN: who answers, with what, and who answers after something broke."""

from __future__ import annotations

import random
import signal
from ipaddress import ip_network
from itertools import groupby

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from heraldlb.speaker.interfaces import Link, usable
from heraldlb.speaker.links import LinkMonitor
from lab.namespaces import Surroundings, named, run_in
from tests.lab.speaker_net import ADDRESSES, ALL, CLIENT, CLIENT_MAC, MAC, NODES, Lan, question, until

BOTH = pytest.mark.parametrize("address", [ADDRESSES[4][0], ADDRESSES[6][0]], ids=["IPv4", "IPv6"])


@pytest.fixture
def cluster(lan: Lan) -> Lan:
    """Three nodes that have agreed on who announces what."""
    lan.start(*NODES)
    lan.apply(*NODES)
    lan.await_agreement(*NODES)
    lan.await_owners(*ALL)
    return lan


def others(node: str) -> list[str]:
    return [each for each in NODES if each != node]


def test_every_address_is_answered_by_exactly_one_node_and_all_nodes_share_them(cluster: Lan) -> None:
    owners = cluster.answering(*ALL)
    assert all(len(macs) == 1 for macs in owners.values()), owners
    assert len({macs[0] for macs in owners.values()}) > 1
    for address, (mac,) in owners.items():
        (node,) = (name for name, its in MAC.items() if its == mac)
        assert cluster.speakers[node].wait_for("Announcing", address=address)["mac"] == mac


@BOTH
def test_the_clients_own_kernel_finds_the_owner(cluster: Lan, address: str) -> None:
    owner = cluster.await_owner(address)
    cluster.resolve(address)
    until(lambda: cluster.neighbour(address) == MAC[owner])


def test_an_arp_probe_is_answered_so_that_its_sender_does_not_take_the_address(cluster: Lan) -> None:
    address = ADDRESSES[4][0]
    (answer,) = cluster.answers(address, question(address, sender="0.0.0.0"))
    assert (answer.dst, answer[ARP].hwdst, answer[ARP].pdst) == (CLIENT_MAC, CLIENT_MAC, "0.0.0.0")


def test_a_solicitation_without_source_option_is_answered_to_the_station_that_sent_it(cluster: Lan) -> None:
    address = ADDRESSES[6][0]
    (answer,) = cluster.answers(address, question(address, option=False))
    advertised = answer[ICMPv6ND_NA]
    assert (answer.dst, answer[IPv6].dst, answer[IPv6].hlim) == (CLIENT_MAC, CLIENT[6], 255)
    assert (advertised.R, advertised.S, advertised.O) == (0, 1, 1)


def test_a_unicast_solicitation_as_for_reachability_is_answered(cluster: Lan) -> None:
    address = ADDRESSES[6][0]
    owner = cluster.await_owner(address)
    unicast = Ether(src=CLIENT_MAC, dst=MAC[owner]) / IPv6(src=CLIENT[6], dst=address, hlim=255)
    (answer,) = cluster.answers(address, bytes(unicast / ICMPv6ND_NS(tgt=address)))
    assert answer[ICMPv6NDOptDstLLAddr].lladdr == MAC[owner]


def test_a_duplicate_address_probe_is_answered_to_all_nodes(cluster: Lan) -> None:
    address = ADDRESSES[6][0]
    owner = cluster.await_owner(address)
    cluster.send(question(address, sender="::", option=False))
    for frame in cluster.received(30):
        if ICMPv6ND_NA in frame and frame[ICMPv6ND_NA].tgt == address:
            break
    assert (frame.dst, frame[IPv6].dst) == ("33:33:00:00:00:01", "ff02::1")
    assert (frame[ICMPv6ND_NA].S, frame[ICMPv6ND_NA].O) == (0, 1)
    assert frame[ICMPv6NDOptDstLLAddr].lladdr == MAC[owner]


@BOTH
def test_when_the_owner_is_killed_another_answers_and_the_clients_cache_moves_by_itself(
    cluster: Lan, address: str
) -> None:
    owner = cluster.await_owner(address)
    cluster.resolve(address)
    until(lambda: cluster.neighbour(address) == MAC[owner])
    cluster.speakers[owner].send(signal.SIGKILL)
    until(lambda: cluster.neighbour(address) in {MAC[each] for each in others(owner)})
    cluster.await_owner(address, others(owner))


@BOTH
def test_a_hung_owner_that_wakes_answers_nothing_of_what_piled_up(cluster: Lan, address: str) -> None:
    owner = cluster.await_owner(address)
    stopped = cluster.speakers[owner]
    stopped.send(signal.SIGSTOP)
    told = len(stopped.changes)
    marker = "02:00:00:00:be:ef"
    cluster.send(*[question(address, mac=marker, sender="fd78::beef" if ":" in address else "192.168.78.99")] * 20)
    cluster.await_owner(address, others(owner))
    list(cluster.received(0.001))

    stopped.send(signal.SIGCONT)
    stopped.wait_for("Withdrawn", after=told, address=address)
    stopped.wait_for("Announcing", after=told, address=address)
    assert not [frame for frame in cluster.received(0.5) if frame.dst == marker and frame.src == MAC[owner]]
    assert cluster.await_owner(address) == owner


@BOTH
def test_when_the_owners_link_is_cut_another_answers_and_after_it_heals_only_one_does(
    cluster: Lan, address: str
) -> None:
    owner = cluster.await_owner(address)
    told = len(cluster.speakers[owner].changes)
    cluster.ip("lan", f"link set {owner} down")
    cluster.speakers[owner].wait_for("Withdrawn", after=told, address=address)
    heir = cluster.await_owner(address, others(owner))
    told_heir = len(cluster.speakers[heir].changes)
    cluster.ip("lan", f"link set {owner} up")
    cluster.speakers[heir].wait_for("Withdrawn", after=told_heir, address=address, new_owner=owner)
    cluster.await_owner(address, [owner])


@BOTH
def test_a_node_that_hears_no_peer_falls_silent_although_its_link_is_up(cluster: Lan, address: str) -> None:
    owner = cluster.await_owner(address)
    told = len(cluster.speakers[owner].changes)
    cluster.forward(owner, on=False)
    cluster.speakers[owner].wait_for("Withdrawn", after=told, address=address)
    heir = cluster.await_owner(address, others(owner))
    told_heir = len(cluster.speakers[heir].changes)
    cluster.forward(owner, on=True)
    cluster.speakers[heir].wait_for("Withdrawn", after=told_heir, address=address)
    cluster.await_owner(address, [owner])


def test_an_owner_that_loses_the_prefix_of_an_address_hands_it_over(lan: Lan) -> None:
    address = "10.78.0.240"
    lan.start(*NODES)
    lan.apply(*NODES, addresses=[address])
    lan.await_agreement(*NODES)
    owner = lan.await_owner(address)
    number = NODES.index(owner) + 1
    lan.ip(owner, f"addr del 10.78.0.{number}/24 dev eth0")
    heir = lan.await_owner(address, others(owner))
    told = len(lan.speakers[heir].changes)
    lan.ip(owner, f"addr add 10.78.0.{number}/24 dev eth0")
    lan.speakers[heir].wait_for("Withdrawn", after=told, address=address, new_owner=owner)


@BOTH
def test_a_node_that_leaves_hands_over_and_then_answers_no_more(cluster: Lan, address: str) -> None:
    owner = cluster.await_owner(address)
    told = len(cluster.speakers[owner].changes)
    cluster.speakers[owner].send(signal.SIGTERM)
    gone = cluster.speakers[owner].wait_for("Withdrawn", after=told, address=address)
    heir = cluster.await_owner(address, others(owner))
    assert gone["new_owner"] == heir


@BOTH
def test_the_heir_is_told_whose_an_address_was_and_then_that_it_is_its_own_before_it_announces_it(
    cluster: Lan, address: str
) -> None:
    owner = cluster.await_owner(address)
    told = {each: len(cluster.speakers[each].changes) for each in NODES}
    cluster.speakers[owner].send(signal.SIGTERM)
    heir = cluster.await_owner(address, others(owner))
    speaker = cluster.speakers[heir]
    announced = speaker.changes.index(speaker.wait_for("Announcing", after=told[heir], address=address))
    said = [each for each in speaker.changes[:announced] if each["change"] == "OwnersChanged"]
    owners = [each for each, _ in groupby(each["owners"].get(address) for each in said)]
    assert owners[-2:] == [owner, heir]
    assert set(MAC.values()) == set(said[-1]["macs"])


def test_a_new_node_takes_its_share_and_is_never_answered_beside(lan: Lan) -> None:
    lan.start(*NODES[:2])
    lan.apply(*NODES[:2])
    lan.await_agreement(*NODES[:2])
    before = lan.await_owners(*ALL, among=NODES[:2])
    lan.start(NODES[2])
    lan.apply(NODES[2])
    lan.await_agreement(*NODES)
    after = lan.await_owners(*ALL)
    moved = {address for address in ALL if before[address] != after[address]}
    assert moved
    assert {after[address] for address in moved} == {NODES[2]}


def test_nobody_answers_for_addresses_that_are_not_owned_nor_after_all_agents_died(cluster: Lan) -> None:
    assert cluster.answering("192.168.78.200", "fd78::200") == {"192.168.78.200": [], "fd78::200": []}
    for each in cluster.speakers.values():
        each.send(signal.SIGKILL)
        each.process.wait()
    assert cluster.answering(*ALL) == {address: [] for address in ALL}


@BOTH
def test_garbage_on_the_lan_changes_nothing(cluster: Lan, address: str) -> None:
    owner = cluster.await_owner(address)
    told = {node: len(each.changes) for node, each in cluster.speakers.items()}
    chance = random.Random(7)  # noqa: S311 - reproducible on purpose
    valid = question(address)
    for _ in range(2_000):
        frame = bytearray(valid)
        for position in chance.sample(range(14, len(frame)), 3):
            frame[position] = chance.randrange(256)
        # The sender of an ARP packet stays, or it would be a claim.
        frame[28:32] = valid[28:32]
        frame[22:38] = valid[22:38] if ":" in address else frame[22:38]
        cluster.send(bytes(frame[: chance.randrange(14, len(frame) + 1)]))
    assert cluster.await_owner(address) == owner
    assert {node: len(each.changes) for node, each in cluster.speakers.items()} == told


@BOTH
def test_forged_heartbeats_change_nothing(cluster: Lan, address: str) -> None:
    owner = cluster.await_owner(address)
    told = {node: len(each.changes) for node, each in cluster.speakers.items()}
    for node in NODES:
        cluster.send_heartbeats(node, [b"HRLD\x01" + bytes(200), b"", bytes(1_400)] * 50)
    assert cluster.await_owner(address) == owner
    assert {node: len(each.changes) for node, each in cluster.speakers.items()} == told


@BOTH
def test_a_stranger_that_claims_an_address_is_reported_and_answered_with_an_announcement(
    cluster: Lan, address: str
) -> None:
    owner = cluster.await_owner(address)
    stranger = "02:00:00:00:0b:ad"
    header = Ether(src=stranger, dst="ff:ff:ff:ff:ff:ff")
    claim = header / ARP(op=2, hwsrc=stranger, psrc=address, hwdst="ff:ff:ff:ff:ff:ff", pdst=address)
    if ":" in address:
        header.dst = "33:33:00:00:00:01"
        advertisement = ICMPv6ND_NA(tgt=address, R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=stranger)
        claim = header / IPv6(src=address, dst="ff02::1", hlim=255) / advertisement
    cluster.resolve(address)
    until(lambda: cluster.neighbour(address) == MAC[owner])
    cluster.send(bytes(claim))
    conflict = cluster.speakers[owner].wait_for("Conflict", address=address)
    assert (conflict["mac"], conflict["interface"]) == (stranger, "eth0")
    until(lambda: cluster.neighbour(address) == MAC[owner])
    assert cluster.await_owner(address) == owner


def test_interfaces_are_followed_by_netlink_events_and_ports_of_a_bridge_are_known(lan: Lan) -> None:
    monitor = run_in(Surroundings(network=named(lan.namespace("node-1"))), LinkMonitor)
    try:

        def now(name: str) -> Link | None:
            monitor.read()
            return next((each for each in monitor.links() if each.name == name), None)

        before = now("eth0")
        assert before is not None
        assert usable(before)
        assert ip_network("192.168.78.0/24") in before.prefixes
        loopback = now("lo")
        assert loopback is not None
        assert not usable(loopback)

        lan.ip("node-1", "link add br0 type bridge")
        lan.ip("node-1", "link set eth0 master br0")
        until(lambda: (port := now("eth0")) is not None and port.enslaved)
        lan.ip("node-1", "addr add 10.79.0.1/24 dev br0")
        lan.ip("node-1", "link set br0 up")
        until(lambda: (bridge := now("br0")) is not None and usable(bridge) and bool(bridge.prefixes))
        lan.ip("node-1", "link del br0")
        until(lambda: now("br0") is None and now("eth0") == before)
        lan.ip("node-1", "link set eth0 arp off")
        until(lambda: (silent := now("eth0")) is not None and not usable(silent))
    finally:
        monitor.close()
