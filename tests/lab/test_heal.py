"""A cut that heals when the kernels no longer know each other's hardware addresses, and do not ask again."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from heraldlb.speaker import Outlook
from lab.namespaces import named
from lab.network import set_sysctls
from tests.lab.speaker_net import ADDRESSES, NODE_IPS, NODES, Lan, until

PAIR = NODES[:2]
NEVER = "3600000"
"""Milliseconds: a kernel that asks once an hour."""

BOTH = pytest.mark.parametrize("version", [4, 6], ids=["IPv4", "IPv6"])


def start(lan: Lan, version: int) -> str:
    """Two nodes that reach each other by one family; an address that one of them announces."""
    address = ADDRESSES[version][0]
    lan.start(*PAIR)
    for node in PAIR:
        (other,) = set(PAIR) - {node}
        peer = [each for each in NODE_IPS[other] if ip_address(each).version == version]
        lan.speakers[node].apply({address: list(PAIR)}, {other: peer})
    lan.await_agreement(*PAIR)
    lan.await_owner(address, PAIR)
    return address


def part(lan: Lan, address: str, version: int) -> None:
    """Cut the two from each other until both announce the address, and let their kernels forget and ask no more."""
    told = {node: len(lan.speakers[node].changes) for node in PAIR}
    owner = lan.await_owner(address, PAIR)
    (heir,) = set(PAIR) - {owner}
    lan.forward(owner, on=False)
    lan.speakers[heir].wait_for("Announcing", after=told[heir], address=address)
    for node in PAIR:
        retransmit = f"net/ipv{version}/neigh/eth0/retrans_time_ms"
        set_sysctls({retransmit: NEVER}, named(lan.namespace(node)))
        lan.ip(node, "neigh flush all dev eth0")


def heal(lan: Lan, address: str) -> None:
    """Undo the cut, and wait until the two know of each other and one alone answers."""
    told = {node: len(lan.speakers[node].changes) for node in PAIR}
    for node in PAIR:
        lan.forward(node, on=True)
    for node in PAIR:
        found = Outlook(alive=frozenset(PAIR) - {node})
        lan.speakers[node].wait_for("PeersChanged", after=told[node], outlook=str(found))
    until(lambda: len(lan.answering(address)[address]) == 1)


@BOTH
def test_nodes_whose_kernels_forgot_each_other_agree_again(lan: Lan, version: int) -> None:
    address = start(lan, version)
    part(lan, address, version)
    heal(lan, address)


@BOTH
def test_a_node_that_changed_its_hardware_address_meanwhile_is_found_by_its_own_polls(
    lan: Lan, version: int
) -> None:
    address = start(lan, version)
    part(lan, address, version)
    changed = "02:00:00:00:00:99"
    lan.ip(PAIR[1], f"link set eth0 address {changed}")
    lan.speakers[PAIR[1]].wait_for("Announcing", address=address, mac=changed)
    heal(lan, address)
