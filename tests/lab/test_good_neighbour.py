"""Real speakers among hosts that have, or are about to take, the addresses that they were given."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from scapy.layers.inet6 import ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from heraldlb.speaker.constants import PROBE_AFTER
from tests.lab.speaker_net import ADDRESSES, CLIENT_MAC, MAC, NODE_IPS, NODES, Lan, question, run, until

BOTH = pytest.mark.parametrize("address", [ADDRESSES[4][0], ADDRESSES[6][0]], ids=["IPv4", "IPv6"])
STRANGER = "02:00:00:00:0b:ad"
QUIET = 1.0
"""Seconds in which something too much would have come."""


def asked(frame: Any, address: str) -> bool:
    """Whether the frame is a probe for the address."""
    if ":" not in address:
        return ARP in frame and (frame[ARP].op, frame[ARP].psrc, frame[ARP].pdst) == (1, "0.0.0.0", address)
    return ICMPv6ND_NS in frame and frame[ICMPv6ND_NS].tgt == address and frame[IPv6].src == "::"


def claimed(frame: Any, address: str) -> bool:
    """Whether a node says in the frame that the address is its own."""
    if frame.src not in MAC.values():
        return False
    if ":" not in address:
        return ARP in frame and frame[ARP].psrc == address
    return ICMPv6ND_NA in frame and frame[ICMPv6ND_NA].tgt == address


def take(lan: Lan, address: str) -> None:
    """Give the address to the client's own kernel."""
    prefix = "128 nodad" if ":" in address else "32"
    lan.ip("client", f"addr add {address}/{prefix} dev eth0")


def give_back(lan: Lan, address: str) -> None:
    lan.ip("client", f"addr del {address}/{'128' if ':' in address else '32'} dev eth0")


@BOTH
def test_before_an_address_is_announced_for_the_first_time_the_lan_is_probed(lan: Lan, address: str) -> None:
    lan.start(*NODES)
    lan.apply(*NODES, addresses=[address], probe=[address])
    before = []
    for frame in lan.received(30):
        if claimed(frame, address):
            break
        before.append(frame)
    # While nodes start, another may have thought for a moment that it was elected, and have begun.
    probes = [each for each in before if asked(each, address) and each.src == frame.src]
    assert len(probes) == len(PROBE_AFTER)
    if ":" in address:
        assert all(bytes(each[ICMPv6ND_NS].payload) == b"" for each in probes), "no link-layer option from ::"
    lan.await_owner(address)


@BOTH
def test_an_address_announced_before_is_announced_without_probing(lan: Lan, address: str) -> None:
    lan.start(*NODES)
    lan.apply(*NODES, addresses=[address])
    for frame in lan.received(30):
        assert not asked(frame, address)
        if claimed(frame, address):
            break
    lan.await_owner(address)


@BOTH
def test_an_address_that_a_host_has_is_not_announced_until_the_host_is_gone(lan: Lan, address: str) -> None:
    take(lan, address)
    lan.start(NODES[0])
    lan.apply(NODES[0], addresses=[address], known=NODES[:1], probe=[address])
    speaker = lan.speakers[NODES[0]]
    conflict = speaker.wait_for("Conflict", address=address)
    assert (conflict["mac"], conflict["interface"], conflict["announced"]) == (CLIENT_MAC, "eth0", False)
    assert not [frame for frame in lan.received(QUIET) if claimed(frame, address)]
    assert [each["change"] for each in speaker.changes if each.get("address") == address] == ["Conflict"]

    give_back(lan, address)
    speaker.wait_for("ConflictOver", address=address)
    speaker.wait_for("Announcing", address=address)
    lan.await_owner(address, NODES[:1])


@BOTH
def test_a_host_about_to_take_the_address_while_it_is_probed_counts_as_having_it(lan: Lan, address: str) -> None:
    lan.start(NODES[0])
    lan.apply(NODES[0], addresses=[address], known=NODES[:1], probe=[address])
    for frame in lan.received(30):
        if asked(frame, address):
            sender = "::" if ":" in address else "0.0.0.0"
            lan.send(question(address, sender=sender, mac=STRANGER, option=False))
            break
    conflict = lan.speakers[NODES[0]].wait_for("Conflict", address=address)
    assert (conflict["mac"], conflict["announced"]) == (STRANGER, False)


@BOTH
def test_while_probing_nothing_is_answered(lan: Lan, address: str) -> None:
    take(lan, address)
    lan.start(NODES[0])
    lan.apply(NODES[0], addresses=[address], known=NODES[:1], probe=[address])
    lan.speakers[NODES[0]].wait_for("Conflict", address=address)
    assert lan.answering(address) == {address: []}
    probe = question(address, sender="::" if ":" in address else "0.0.0.0", option=False)
    assert not [frame for frame in lan.answers(address, probe) if claimed(frame, address)]


@BOTH
def test_at_failover_an_address_that_was_announced_is_not_probed_again(lan: Lan, address: str) -> None:
    lan.start(*NODES)
    lan.apply(*NODES, addresses=[address], probe=[address])
    lan.await_agreement(*NODES)
    owner = lan.await_owner(address)
    # As soon as the first announcement is known, every agent is told.
    lan.apply(*NODES, addresses=[address])
    lan.await_owner(address)
    lan.speakers[owner].send(signal.SIGKILL)
    for frame in lan.received(30):
        assert frame.src == MAC[owner] or not asked(frame, address)
        if claimed(frame, address) and frame.src != MAC[owner]:
            break
    if ":" in address:
        # Without Override a neighbour would keep the former node's hardware address (RFC 4861 section 7.2.5).
        assert (frame.dst, frame[ICMPv6ND_NA].O, frame[ICMPv6ND_NA].S) == ("33:33:00:00:00:01", 1, 0)
    lan.await_owner(address, [node for node in NODES if node != owner])


def test_the_groups_of_an_address_are_joined_by_its_owner_alone_and_reported_to_switches(lan: Lan) -> None:
    address = ADDRESSES[6][0]
    group = "ff02::1:ff00:f0"

    def joined(node: str) -> bool:
        return group in run("ip", "-n", lan.namespace(node), "-6", "maddr", "show", "dev", "eth0").split()

    lan.start(*NODES[:2])
    lan.apply(*NODES[:2], addresses=[address], known=NODES[:2], probe=[address])
    reports = (frame for frame in lan.received(30) if ICMPv6MLReport2 in frame)
    wanted = (report for report in reports if group in {record.dst for record in report[ICMPv6MLReport2].records})
    assert next(wanted).src in {MAC[node] for node in NODES[:2]}
    lan.await_agreement(*NODES[:2])
    owner = lan.await_owner(address, NODES[:2])
    heir = next(node for node in NODES[:2] if node != owner)
    until(lambda: joined(owner) and not joined(heir))
    lan.speakers[owner].send(signal.SIGTERM)
    lan.await_owner(address, [heir])
    until(lambda: joined(heir) and not joined(owner))


@BOTH
def test_a_strangers_claim_to_an_announced_address_is_reported(lan: Lan, address: str) -> None:
    lan.start(*NODES)
    lan.apply(*NODES, addresses=[address])
    lan.await_agreement(*NODES)
    owner = lan.await_owner(address)
    frame = Ether(src=STRANGER, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=STRANGER, psrc=address, pdst=address)
    if ":" in address:
        header = Ether(src=STRANGER, dst="33:33:00:00:00:01") / IPv6(src=address, dst="ff02::1", hlim=255)
        frame = header / ICMPv6ND_NA(tgt=address, R=0, S=0, O=1) / ICMPv6NDOptDstLLAddr(lladdr=STRANGER)
    lan.send(bytes(frame))
    conflict = lan.speakers[owner].wait_for("Conflict", address=address)
    assert (conflict["mac"], conflict["announced"]) == (STRANGER, True)


def test_an_agent_that_was_never_heard_is_no_stranger_when_a_partition_heals(lan: Lan) -> None:
    addresses = [ADDRESSES[4][0], ADDRESSES[6][0]]
    pair = NODES[:2]
    for node, other in (pair, pair[::-1]):
        # So that agents hear each other at once, and not when their kernels ask for each other's address again.
        lan.ip(node, f"neigh replace {NODE_IPS[other][0]} lladdr {MAC[other]} dev eth0 nud permanent")
    lan.start(*pair)
    lan.forward(pair[1], on=False)
    lan.apply(*pair, addresses=addresses, known=pair)
    for node in pair:
        for address in addresses:
            lan.speakers[node].wait_for("Announcing", address=address)
    lan.forward(pair[1], on=True)
    lan.await_owners(*addresses, among=pair)
    for _ in lan.received(QUIET):
        pass
    assert "Conflict" not in {each["change"] for node in pair for each in lan.speakers[node].changes}
