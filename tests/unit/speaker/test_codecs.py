"""Frames against Scapy's encoder and decoder, in both directions, and against arbitrary octets."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether

from heraldlb.speaker import arp, ndp
from heraldlb.speaker.ethernet import (
    ALL_NODES_MAC,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV6,
    EthernetHeader,
    FrameError,
    format_mac,
    is_unicast,
)

STATION = bytes.fromhex("020000000064")
OURS = bytes.fromhex("020000000001")
ADDRESS = IPv6Address("fd78::f0")
CLIENT = IPv6Address("fd78::64")

macs = st.binary(min_size=6, max_size=6).filter(is_unicast)
any_macs = st.binary(min_size=6, max_size=6)
v4 = st.ip_addresses(v=4)
unicast_v6 = st.ip_addresses(v=6).filter(lambda a: not a.is_multicast)


@st.composite
def arps(draw: st.DrawFn) -> arp.Arp:
    header = EthernetHeader(draw(any_macs), draw(macs), ETHERTYPE_ARP)
    operation = draw(st.sampled_from([arp.REQUEST, arp.REPLY]))
    return arp.Arp(header, operation, draw(macs), draw(v4), draw(any_macs), draw(v4))


@st.composite
def solicitations(draw: st.DrawFn) -> ndp.NeighborSolicitation:
    header = EthernetHeader(draw(any_macs), draw(macs), ETHERTYPE_IPV6)
    target = draw(unicast_v6)
    source = draw(unicast_v6)
    destination = (
        ndp.solicited_node(target)
        if int(source) == 0
        else draw(st.sampled_from([target, ndp.solicited_node(target)]))
    )
    option = None if int(source) == 0 else draw(st.none() | macs)
    return ndp.NeighborSolicitation(header, source, destination, target, option)


@st.composite
def advertisements(draw: st.DrawFn) -> ndp.NeighborAdvertisement:
    header = EthernetHeader(draw(any_macs), draw(macs), ETHERTYPE_IPV6)
    destination = draw(st.ip_addresses(v=6))
    solicited = draw(st.booleans()) and not destination.is_multicast
    router, override, option = draw(st.booleans()), draw(st.booleans()), draw(st.none() | macs)
    source, target = draw(unicast_v6), draw(unicast_v6)
    return ndp.NeighborAdvertisement(header, source, destination, target, router, solicited, override, option)


@given(arps(), st.binary(max_size=18))
def test_arp_survives_the_wire_with_padding(packet: arp.Arp, padding: bytes) -> None:
    assert arp.decode(packet.encode() + padding) == packet


@given(arps())
def test_scapy_reads_the_arp_we_write_and_writes_what_we_read(packet: arp.Arp) -> None:
    read = Ether(packet.encode())
    assert (read.dst, read.src) == (format_mac(packet.ethernet.destination), format_mac(packet.ethernet.source))
    assert (read[ARP].op, read[ARP].psrc, read[ARP].pdst) == (
        packet.operation,
        str(packet.sender_ip),
        str(packet.target_ip),
    )
    assert (read[ARP].hwsrc, read[ARP].hwdst) == (format_mac(packet.sender_mac), format_mac(packet.target_mac))
    written = Ether(src=read.src, dst=read.dst) / ARP(
        op=packet.operation, hwsrc=read[ARP].hwsrc, psrc=read[ARP].psrc, hwdst=read[ARP].hwdst, pdst=read[ARP].pdst
    )
    assert arp.decode(bytes(written)) == packet


@given(solicitations() | advertisements(), st.binary(max_size=18))
def test_neighbour_discovery_survives_the_wire_with_padding(message: Any, padding: bytes) -> None:
    assert ndp.decode(message.encode() + padding) == message


@given(solicitations() | advertisements())
def test_scapy_computes_the_checksum_we_write(message: Any) -> None:
    frame = Ether(message.encode())
    ours = frame[IPv6].payload.cksum
    del frame[IPv6].payload.cksum
    assert Ether(bytes(frame))[IPv6].payload.cksum == ours


@given(solicitations())
def test_we_read_the_solicitations_scapy_writes(message: ndp.NeighborSolicitation) -> None:
    header = Ether(src=format_mac(message.ethernet.source), dst=format_mac(message.ethernet.destination))
    frame = header / IPv6(src=str(message.source), dst=str(message.destination), hlim=255)
    frame /= ICMPv6ND_NS(tgt=str(message.target))
    if message.link_layer is not None:
        frame /= ICMPv6NDOptSrcLLAddr(lladdr=format_mac(message.link_layer))
    assert ndp.decode(bytes(frame)) == message


@given(advertisements())
def test_scapy_reads_the_advertisements_we_write(message: ndp.NeighborAdvertisement) -> None:
    frame = Ether(message.encode())
    advertised = frame[ICMPv6ND_NA]
    assert (message.router, message.solicited, message.override) == (advertised.R, advertised.S, advertised.O)
    assert IPv6Address(advertised.tgt) == message.target
    assert IPv6Address(frame[IPv6].dst) == message.destination
    if message.link_layer is None:
        assert ICMPv6NDOptDstLLAddr not in advertised
    else:
        assert advertised[ICMPv6NDOptDstLLAddr].lladdr == format_mac(message.link_layer)


@given(st.binary(max_size=200))
def test_arbitrary_octets_raise_nothing_but_the_documented_error(frame: bytes) -> None:
    for decode in (arp.decode, ndp.decode):
        try:
            decode(frame)
        except FrameError:
            continue


@given(arps() | solicitations() | advertisements(), st.data())
def test_mutated_frames_raise_nothing_but_the_documented_error(message: Any, data: st.DataObject) -> None:
    frame = bytearray(message.encode())
    for position in data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=4)):
        frame[position] = data.draw(st.integers(0, 255))
    mutated = bytes(frame[: data.draw(st.integers(0, len(frame)))])
    for decode in (arp.decode, ndp.decode):
        try:
            decode(mutated)
        except FrameError:
            continue


def request(**fields: Any) -> bytes:
    """A valid request with some fields spoilt."""
    header = Ether(
        src=format_mac(STATION), dst=fields.pop("dst", "ff:ff:ff:ff:ff:ff"), type=fields.pop("type", 0x806)
    )
    return bytes(header / ARP(**{"hwsrc": format_mac(STATION), "psrc": "10.0.0.1", "pdst": "10.0.0.2", **fields}))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(request(hwtype=6), id="hardware type IEEE 802"),
        pytest.param(request(ptype=0x86DD), id="protocol IPv6"),
        pytest.param(request(op=3), id="reverse ARP"),
        pytest.param(request(op=0), id="operation 0"),
        pytest.param(request(type=0x0800), id="EtherType IPv4"),
        pytest.param(request(hwsrc="ff:ff:ff:ff:ff:ff"), id="broadcast sender"),
        pytest.param(request(hwsrc="00:00:00:00:00:00"), id="null sender"),
        pytest.param(request(hwsrc="01:00:5e:00:00:01"), id="multicast sender"),
        pytest.param(request()[:41], id="one octet short"),
        pytest.param(request()[:6] + b"\xff" * 6 + request()[12:], id="broadcast Ethernet source"),
    ],
)
def test_arp_that_breaks_a_rule_is_refused(frame: bytes) -> None:
    arp.decode(request())
    with pytest.raises(FrameError):
        arp.decode(frame)


def solicit(body: Any = None, options: Any = b"", **ip: Any) -> bytes:
    fields = {"src": str(CLIENT), "dst": "ff02::1:ff00:f0", "hlim": 255, **ip}
    header = Ether(src=format_mac(STATION), dst="33:33:ff:00:00:f0")
    return bytes(header / IPv6(**fields) / (body or ICMPv6ND_NS(tgt=str(ADDRESS))) / options)


OPTION = ICMPv6NDOptSrcLLAddr(lladdr=format_mac(STATION))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(solicit(hlim=254), id="hop limit 254"),
        pytest.param(solicit(ICMPv6ND_NS(tgt=str(ADDRESS), cksum=1)), id="wrong checksum"),
        pytest.param(solicit(ICMPv6ND_NS(tgt=str(ADDRESS), code=1)), id="code 1"),
        pytest.param(solicit(ICMPv6ND_NS(tgt="ff02::1")), id="multicast target"),
        pytest.param(solicit(ICMPv6EchoRequest(data=b"x" * 16)), id="echo request"),
        pytest.param(solicit(options=b"\x01\x00" + b"\x00" * 6), id="option of length zero"),
        pytest.param(solicit(options=b"\x01\x02" + b"\x00" * 6), id="option longer than the message"),
        pytest.param(
            solicit(options=ICMPv6NDOptSrcLLAddr(lladdr="ff:ff:ff:ff:ff:ff")), id="broadcast in the option"
        ),
        pytest.param(solicit(src="::", options=OPTION), id="probe with a link-layer option"),
        pytest.param(solicit(src="::", dst=str(ADDRESS)), id="probe to a unicast address"),
        pytest.param(solicit(dst="ff02::1"), id="to all nodes"),
        pytest.param(solicit(src="ff02::5"), id="multicast source"),
        pytest.param(solicit(plen=16), id="payload shorter than the message"),
        pytest.param(solicit(plen=200), id="payload longer than the frame"),
        pytest.param(solicit(nh=6), id="TCP"),
        pytest.param(solicit(version=4), id="IP version 4"),
        pytest.param(solicit(ICMPv6ND_NA(tgt=str(ADDRESS), S=1)), id="solicited advertisement to a group"),
    ],
)
def test_neighbour_discovery_that_breaks_a_rule_is_refused(frame: bytes) -> None:
    ndp.decode(solicit(options=OPTION))
    with pytest.raises(FrameError):
        ndp.decode(frame)


def test_unknown_options_are_skipped() -> None:
    message = ndp.decode(solicit(options=ICMPv6NDOptMTU() / OPTION))
    assert isinstance(message, ndp.NeighborSolicitation)
    assert message.link_layer == STATION


def test_a_probe_is_answered_to_all_nodes_unsolicited_and_with_override() -> None:
    probe = ndp.decode(solicit(src="::"))
    assert isinstance(probe, ndp.NeighborSolicitation)
    assert ndp.decode(ndp.answer(probe, OURS)) == ndp.NeighborAdvertisement(
        EthernetHeader(ALL_NODES_MAC, OURS, ETHERTYPE_IPV6),
        ADDRESS,
        ndp.ALL_NODES,
        ADDRESS,
        solicited=False,
        override=True,
        link_layer=OURS,
    )


@pytest.mark.parametrize("options", [b"", OPTION], ids=["without option", "with option"])
def test_a_solicitation_is_answered_to_its_sender_solicited_and_with_override(options: Any) -> None:
    message = ndp.decode(solicit(options=options))
    assert isinstance(message, ndp.NeighborSolicitation)
    assert ndp.decode(ndp.answer(message, OURS)) == ndp.NeighborAdvertisement(
        EthernetHeader(STATION, OURS, ETHERTYPE_IPV6),
        ADDRESS,
        CLIENT,
        ADDRESS,
        solicited=True,
        override=True,
        link_layer=OURS,
    )


def test_an_arp_announcement_comes_in_both_forms_with_sender_and_target_alike() -> None:
    frames = [arp.decode(frame) for frame in arp.announcements(IPv4Address("10.0.0.9"), OURS)]
    assert [frame.operation for frame in frames] == [arp.REQUEST, arp.REPLY]
    for frame in frames:
        assert frame.ethernet.destination == b"\xff" * 6
        assert (frame.sender_mac, frame.sender_ip, frame.target_ip) == (OURS, *[IPv4Address("10.0.0.9")] * 2)


def test_a_poll_asks_one_station_and_says_where_the_answer_goes() -> None:
    asked = arp.decode(arp.poll(IPv4Address("10.0.0.2"), STATION, IPv4Address("10.0.0.1"), OURS))
    assert (asked.ethernet.destination, asked.operation) == (STATION, arp.REQUEST)
    assert (asked.sender_mac, asked.sender_ip, asked.target_ip) == (
        OURS,
        IPv4Address("10.0.0.1"),
        IPv4Address("10.0.0.2"),
    )
    solicited = ndp.decode(ndp.poll(ADDRESS, STATION, CLIENT, OURS))
    header = EthernetHeader(STATION, OURS, ETHERTYPE_IPV6)
    group = ndp.solicited_node(ADDRESS)
    assert solicited == ndp.NeighborSolicitation(header, CLIENT, group, ADDRESS, link_layer=OURS)


def test_solicited_node_group_and_its_ethernet_address() -> None:
    group = ndp.solicited_node(IPv6Address("fd78::1234:5678"))
    assert group == IPv6Address("ff02::1:ff34:5678")
    assert ndp.multicast_mac(group) == bytes.fromhex("3333ff345678")
