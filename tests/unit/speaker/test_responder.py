"""From a frame to an answer or a claim."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from heraldlb.speaker import arp, ndp
from heraldlb.speaker.clients import Clients, Update
from heraldlb.speaker.constants import MULTICAST_ANSWERS_PER_SECOND
from heraldlb.speaker.ownership import Placement, Share
from heraldlb.speaker.responder import Claim, Outcome, Responder
from heraldlb.speaker.stats import Counters

OURS, THEIRS = bytes.fromhex("020000000001"), bytes.fromhex("020000000099")
V4, V6 = IPv4Address("10.0.0.9"), IPv6Address("fd00::9")


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def responder(counters: Counters) -> Responder:
    made = Responder(OURS, counters)
    made.own([V4, V6])
    return made


def who_has(
    target: str = "10.0.0.9", sender: str = "10.0.0.1", dst: str = "ff:ff:ff:ff:ff:ff", **fields: Any
) -> bytes:
    mac = THEIRS.hex(":")
    return bytes(Ether(src=mac, dst=dst) / ARP(hwsrc=mac, psrc=sender, pdst=target, **fields))


TOKEN_RING = who_has()[:14] + b"\x00\x06" + who_has()[16:]


def solicit(target: str = "fd00::9", src: str = "fd00::1") -> bytes:
    header = Ether(src=THEIRS.hex(":"), dst="33:33:ff:00:00:09")
    option = b"" if src == "::" else ICMPv6NDOptSrcLLAddr(lladdr=THEIRS.hex(":"))
    return bytes(header / IPv6(src=src, dst="ff02::1:ff00:9", hlim=255) / ICMPv6ND_NS(tgt=target) / option)


@pytest.mark.parametrize("sender", ["10.0.0.1", "0.0.0.0"], ids=["request", "probe"])
def test_a_request_for_an_owned_address_is_answered_to_its_sender(responder: Responder, sender: str) -> None:
    reply = responder.react_to_arp(who_has(sender=sender), 0.0)
    assert isinstance(reply, bytes)
    packet = arp.decode(reply)
    assert packet.ethernet.destination == packet.target_mac == THEIRS
    assert (packet.operation, packet.sender_mac, packet.sender_ip) == (arp.REPLY, OURS, V4)
    assert str(packet.target_ip) == sender


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(who_has("10.0.0.8"), id="another address"),
        pytest.param(who_has(op=2), id="a reply"),
        pytest.param(who_has(dst="02:00:00:00:00:42"), id="a frame for another host"),
        pytest.param(TOKEN_RING, id="another hardware type"),
        pytest.param(who_has()[:30], id="half a frame"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_other_arp_frames_are_passed_over(responder: Responder, frame: bytes) -> None:
    assert responder.react_to_arp(frame, 0.0) is None


def test_a_solicitation_for_an_owned_address_is_answered(responder: Responder) -> None:
    reply = responder.react_to_ndp(solicit(), 0.0)
    assert isinstance(reply, bytes)
    advertised = ndp.decode(reply)
    assert isinstance(advertised, ndp.NeighborAdvertisement)
    assert (advertised.target, advertised.link_layer, advertised.router) == (V6, OURS, False)


def test_an_address_that_was_given_up_is_not_answered_for_although_the_question_is_known(
    responder: Responder,
) -> None:
    assert responder.react_to_arp(who_has(), 0.0) == responder.react_to_arp(who_has(), 1.0) is not None
    assert responder.react_to_ndp(solicit(), 0.0) == responder.react_to_ndp(solicit(), 1.0) is not None
    responder.own([V6])
    assert responder.react_to_arp(who_has(), 2.0) is None
    responder.own([])
    assert responder.react_to_ndp(solicit(), 2.0) is None


def test_a_flood_of_probes_is_not_turned_into_a_flood_to_all_nodes(
    responder: Responder, counters: Counters
) -> None:
    probes = [responder.react_to_ndp(solicit(src="::"), 5.0) for _ in range(500)]
    assert sum(reply is not None for reply in probes) == MULTICAST_ANSWERS_PER_SECOND
    assert counters.frames[Outcome.LIMITED] == 500 - MULTICAST_ANSWERS_PER_SECOND


@pytest.mark.parametrize("operation", [1, 2])
def test_an_arp_frame_of_another_host_that_has_the_address_as_sender_is_a_claim(
    responder: Responder, operation: int
) -> None:
    assert responder.react_to_arp(who_has(sender="10.0.0.9", op=operation), 0.0) == Claim(V4, THEIRS)


def test_an_advertisement_or_solicitation_of_another_host_in_the_addresss_name_is_a_claim(
    responder: Responder,
) -> None:
    header = Ether(src=THEIRS.hex(":"), dst="33:33:00:00:00:01")
    body = ICMPv6ND_NA(tgt="fd00::9", S=0) / ICMPv6NDOptDstLLAddr(lladdr=THEIRS.hex(":"))
    advertisement = header / IPv6(src="fe80::1", dst="ff02::1", hlim=255) / body
    assert responder.react_to_ndp(bytes(advertisement), 0.0) == Claim(V6, THEIRS)
    solicitation = header / IPv6(src="fd00::9", dst="ff02::1:ff00:1", hlim=255) / ICMPv6ND_NS(tgt="fd00::1")
    assert responder.react_to_ndp(bytes(solicitation), 0.0) == Claim(V6, THEIRS)


def advertise(target: str = "fd00::9", **fields: Any) -> bytes:
    header = Ether(src=THEIRS.hex(":"), dst="33:33:00:00:00:01")
    body = ICMPv6ND_NA(tgt=target, S=0, **fields) / ICMPv6NDOptDstLLAddr(lladdr=THEIRS.hex(":"))
    return bytes(header / IPv6(src=target, dst="ff02::1", hlim=255) / body)


def test_a_probed_address_is_not_answered_for(responder: Responder) -> None:
    responder.own([], probed=[V4, V6])
    assert responder.react_to_arp(who_has(), 0.0) is None
    assert responder.react_to_ndp(solicit(), 0.0) is None


def test_a_probed_address_is_claimed_by_who_answers_and_by_who_probes_for_it_too(responder: Responder) -> None:
    responder.own([], probed=[V4, V6])
    answer = who_has(target="0.0.0.0", sender="10.0.0.9", dst=OURS.hex(":"), op=2)
    for frame in (answer, who_has(sender="0.0.0.0")):
        assert responder.react_to_arp(frame, 0.0) == Claim(V4, THEIRS)
    for frame in (advertise(), solicit(src="::")):
        assert responder.react_to_ndp(frame, 0.0) == Claim(V6, THEIRS)


def test_a_probed_address_is_not_counted_as_announced(responder: Responder, counters: Counters) -> None:
    responder.own([], probed=[V4])
    responder.react_to_arp(who_has(sender="10.0.0.9"), 0.0)
    responder.probe(V4)
    assert counters.addresses == {}
    assert counters.probes == 1


def test_our_own_probes_that_come_back_are_no_claim(responder: Responder) -> None:
    responder.own([], probed=[V4, V6])
    assert responder.react_to_arp(responder.probe(V4), 0.0) is None
    assert responder.react_to_ndp(responder.probe(V6), 0.0) is None


def test_claims_and_questions_arrive_in_the_groups_of_owned_and_probed_addresses(responder: Responder) -> None:
    assert responder.groups() == {ndp.solicited_node(V6), ndp.ALL_NODES}
    responder.own([V4], probed=[V6])
    assert responder.groups() == {ndp.solicited_node(V6), ndp.ALL_NODES}
    responder.own([V4])
    assert responder.groups() == frozenset()


def test_our_own_announcements_that_come_back_are_no_claim(responder: Responder) -> None:
    assert [responder.react_to_arp(frame, 0.0) for frame in responder.announcement(V4)] == [None, None]
    assert [responder.react_to_ndp(frame, 0.0) for frame in responder.announcement(V6)] == [None]


@given(st.binary(max_size=120), st.booleans())
def test_no_frame_raises(octets: bytes, spoil: bool) -> None:
    responder = Responder(OURS, Counters())
    responder.own([V4, V6])
    for valid, react in ((who_has(), responder.react_to_arp), (solicit(), responder.react_to_ndp)):
        react(valid[: len(octets)] + octets if spoil else octets, 0.0)


def test_what_happens_to_an_address_is_counted(responder: Responder, counters: Counters) -> None:
    responder.react_to_arp(who_has(), 0.0)
    responder.react_to_arp(who_has(sender="10.0.0.9"), 0.0)
    responder.react_to_arp(TOKEN_RING, 0.0)
    responder.announcement(V4)
    counted = counters.addresses[V4]
    assert (counted.requests, counted.answers, counted.announcements, counted.claims) == (1, 1, 1, 1)
    assert counters.frames == {Outcome.ANSWERED: 1, Outcome.CLAIM: 1, Outcome.MALFORMED: 1}


OWNER = Share(V4, "us", frozenset({"us", "them"}), Placement(2, "eth0", OURS)).owner(THEIRS)
"""The node that the client belongs to, of two that share the address."""


def shared(me: str, counters: Counters, clients: Clients, *, lead: bool = False) -> Responder:
    """A responder of the node `me` for addresses that it shares with another."""
    sharers = frozenset({"us", "them"})
    # The same hash decides for both addresses, as far as these tests go.
    shares = {
        address: Share(address, me if number == 4 else _as_for_ipv4(me), sharers, Placement(2, "eth0", OURS), lead)
        for number, address in ((4, V4), (6, V6))
    }
    clients.share(shares, 0.0)
    made = Responder(OURS, counters, clients)
    made.own([V4, V6], shares=shares)
    return made


def _as_for_ipv4(me: str) -> str:
    """The name under which a node owns for V6 what `me` owns for V4."""
    owner = Share(V6, me, frozenset({"us", "them"}), Placement(2, "eth0", OURS)).owner(THEIRS)
    other = {"us": "them", "them": "us"}
    return owner if me == OWNER else other[owner]


STRANGER = "them" if OWNER == "us" else "us"


def test_of_a_shared_address_the_clients_node_answers_and_another_is_silent_also_to_the_client_alone(
    counters: Counters,
) -> None:
    for frame in (who_has(), who_has(dst=OURS.hex(":"))):
        assert isinstance(shared(OWNER, counters, Clients()).react_to_arp(frame, 0.0), bytes)
        assert shared(STRANGER, counters, Clients()).react_to_arp(frame, 0.0) is None
    assert isinstance(shared(OWNER, counters, Clients()).react_to_ndp(solicit(), 0.0), bytes)
    assert shared(STRANGER, counters, Clients()).react_to_ndp(solicit(), 0.0) is None
    assert counters.frames == {Outcome.ANSWERED: 3, Outcome.OTHERS_CLIENT: 3}
    assert (counters.addresses[V4].requests, counters.addresses[V4].answers) == (4, 2)


@pytest.mark.parametrize("sender", ["10.0.0.1", "10.0.0.77"])
def test_a_client_belongs_to_one_node_whichever_address_it_asks_from(sender: str, counters: Counters) -> None:
    assert isinstance(shared(OWNER, counters, Clients()).react_to_arp(who_has(sender=sender), 0.0), bytes)


@pytest.mark.parametrize("node", ["us", "them"])
def test_who_asks_whether_a_shared_address_is_free_is_answered_by_the_lead_alone(
    node: str, counters: Counters
) -> None:
    clients = Clients()
    lead, other = (shared(node, counters, clients, lead=leads) for leads in (True, False))
    assert isinstance(lead.react_to_arp(who_has(sender="0.0.0.0"), 0.0), bytes)
    assert isinstance(lead.react_to_ndp(solicit(src="::"), 0.0), bytes)
    assert other.react_to_arp(who_has(sender="0.0.0.0"), 0.0) is None
    assert other.react_to_ndp(solicit(src="::"), 0.0) is None
    assert len(clients) == 0


def test_who_asks_for_a_shared_address_is_remembered_whoever_answers(counters: Counters) -> None:
    for node in ("us", "them"):
        clients = Clients()
        responder = shared(node, counters, clients)
        responder.react_to_arp(who_has(), 0.0)
        responder.react_to_arp(who_has(), 1.0)
        assert len(clients) == 1
        responder.react_to_ndp(solicit(), 0.0)
        assert len(clients) == 2


def test_a_client_is_told_by_frames_to_itself_alone_where_the_address_is(responder: Responder) -> None:
    mac = bytes.fromhex("020000000002")
    for frame in responder.update(Update(V4, THEIRS, IPv4Address("10.0.0.1"), "them"), mac):
        told = arp.decode(frame)
        assert (told.ethernet.destination, told.ethernet.source) == (THEIRS, OURS)
        assert (told.sender_mac, told.sender_ip, told.target_ip) == (mac, V4, V4)
    [frame] = responder.update(Update(V6, THEIRS, IPv6Address("fd00::1"), "them"), mac)
    advertised = ndp.decode(frame)
    assert isinstance(advertised, ndp.NeighborAdvertisement)
    assert (advertised.ethernet.destination, advertised.ethernet.source) == (THEIRS, OURS)
    assert (advertised.destination, advertised.target, advertised.link_layer) == (IPv6Address("fd00::1"), V6, mac)
    assert (advertised.override, advertised.solicited) == (True, False)
