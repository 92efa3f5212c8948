"""Which way leads to which node, and what of a tunnel every node knows by itself."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldlb.api.nodes import Node
from heraldlb.api.ranges import IPAddress
from heraldlb.forwarding.detour import Hop
from heraldlb.forwarding.overlay import (
    JUMBO,
    MAX_ID,
    Tunnel,
    TunnelSettings,
    mac_of,
    peer_at,
    tunnel_between,
    underlay_family,
)
from heraldlb.forwarding.pathways import Pathways, Reach, beyond, pathways, segment_sizes, tunnel_to

MAC = "02:00:00:00:00:02"
SETTINGS = TunnelSettings()
addresses = st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=6, network="fd00::/8")


def node(name: str, *ips: str) -> Node:
    return Node(name, tuple(map(ip_address, ips)))


ME = node("me", "10.1.0.1", "fd01::1")
NEAR = node("near", "10.1.0.2", "fd01::2")
FAR = node("far", "10.2.0.1", "fd02::1")
NODES = (ME, NEAR, FAR)
REACH: dict[IPAddress, Reach] = {
    ip_address("10.1.0.2"): Reach(2, on_link=True, mtu=1500, mac=MAC),
    ip_address("fd01::2"): Reach(2, on_link=True, mtu=1500),
    ip_address("10.2.0.1"): Reach(2, on_link=False, mtu=1400),
    ip_address("fd02::1"): Reach(2, on_link=False, mtu=1400),
}


def tunnel(*nodes: Node) -> Tunnel:
    made = tunnel_to(ME, nodes, beyond("me", nodes, REACH, ["IPv4", "IPv6"]), REACH, SETTINGS)
    assert made is not None
    return made


@given(addresses)
def test_a_node_takes_what_others_send_to_its_hardware_address(address: IPAddress) -> None:
    peer = peer_at(address)
    assert peer.mac == mac_of(address) == tunnel_between(address, [], 1500, SETTINGS).mac
    first = int(peer.mac[:2], 16)
    assert (first & 1, first & 2) == (0, 2), "of one station, and locally administered"
    assert peer.gateways["IPv4"] in ip_network("240.0.0.0/4")
    assert isinstance(peer.gateways["IPv6"], IPv6Address)
    assert peer.gateways["IPv6"].is_link_local


def test_neighbours_are_reached_on_the_link_and_others_through_the_tunnel() -> None:
    through = tunnel(*NODES)
    assert [peer.underlay for peer in through.peers] == [ip_address("10.2.0.1")]
    [peer] = through.peers
    found = pathways("me", NODES, REACH, through, {"IPv4": 7, "IPv6": 7})
    assert found.hops == {
        ("near", "IPv4"): Hop(ip_address("10.1.0.2"), 2),
        ("far", "IPv4"): Hop(peer.gateways["IPv4"], 7),
        ("far", "IPv6"): Hop(peer.gateways["IPv6"], 7),
    }
    assert found.macs == {"near": {MAC, mac_of(ip_address("10.1.0.2"))}, "far": {peer.mac}}
    assert found.unresolved == {"near"}, "whose IPv6 neighbour entry is not complete"


def test_what_the_device_does_not_carry_has_no_way() -> None:
    carried = pathways("me", NODES, REACH, tunnel(*NODES), {"IPv4": 7})
    assert ("far", "IPv4") in carried.hops
    assert ("far", "IPv6") not in carried.hops
    assert ("far", "IPv4") not in pathways("me", NODES, REACH).hops


def test_no_tunnel_is_needed_where_all_are_neighbours_in_the_families_that_count() -> None:
    only_ipv4 = node("only", "10.1.0.2")
    nodes = (ME, only_ipv4)
    assert beyond("me", nodes, REACH, ["IPv4"]) == set()
    assert beyond("me", nodes, REACH, ["IPv4", "IPv6"]) == {"only"}
    assert tunnel_to(ME, nodes, (), REACH, SETTINGS) is None
    assert pathways("me", (ME,), {}) == Pathways()


def test_the_tunnel_runs_over_what_most_nodes_have_and_ipv4_in_doubt() -> None:
    assert underlay_family(NODES) == "IPv4"
    assert underlay_family((*NODES, node("new", "fd02::9"))) == "IPv6"
    assert underlay_family((node("a", "10.0.0.1"), node("b", "fd00::1"))) == "IPv4"


def test_segments_fit_one_packet_and_over_ipv6_every_packet_must() -> None:
    over_ipv4 = tunnel(*NODES)
    assert over_ipv4.mtu == JUMBO
    assert segment_sizes(over_ipv4, REACH, ["IPv4", "IPv6"]) == {"IPv4": 1400 - 50 - 40, "IPv6": 1400 - 50 - 60}
    here, there = node("me", "fd01::1"), node("far", "fd02::1")
    over_ipv6 = tunnel_to(here, (here, there), {"far"}, REACH, SETTINGS)
    assert over_ipv6 is not None
    assert over_ipv6.mtu == 1400 - 70
    assert segment_sizes(over_ipv6, REACH, ["IPv6"]) == {"IPv6": 1400 - 70 - 60}


def test_of_nodes_that_would_have_the_same_gateway_one_is_no_peer() -> None:
    found = tunnel_between(ip_address("10.1.0.1"), map(ip_address, ("26.2.0.1", "10.2.0.1")), 1500, SETTINGS)
    assert [str(peer.underlay) for peer in found.peers] == ["10.2.0.1"]


def test_settings_are_refused_with_what_to_write() -> None:
    for wrong in ({"port": 0}, {"port": 65_536}, {"id": 0}, {"id": MAX_ID + 1}):
        with pytest.raises(ValueError, match="write 1 to"):
            TunnelSettings(**wrong)
