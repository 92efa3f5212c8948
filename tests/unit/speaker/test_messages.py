"""Heartbeats on the wire."""

from __future__ import annotations

import hmac
from dataclasses import replace
from ipaddress import IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldlb.speaker.constants import CLAIMS_PER_MESSAGE, CLIENTS_PER_MESSAGE, MAX_MESSAGE_SIZE, MAX_REPORTED
from heraldlb.speaker.ethernet import is_unicast
from heraldlb.speaker.interfaces import Offer
from heraldlb.speaker.messages import (
    Echo,
    Message,
    MessageError,
    Report,
    SignatureError,
    Summary,
    decode,
    encode,
    node_id,
)
from heraldlb.speaker.standing import Standing

KEY = b"0123456789abcdef"

numbers = st.integers(1, 2**64 - 1)
names = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,60}[a-z0-9])?", fullmatch=True)
prefixes = st.ip_addresses().flatmap(
    lambda a: st.integers(0, a.max_prefixlen).map(lambda length: ip_network((a, length), strict=False))
)
offers = st.builds(
    Offer,
    st.text("ethbr0123@-", min_size=1, max_size=15),
    st.binary(min_size=6, max_size=6),
    st.lists(prefixes, max_size=4).map(tuple),
)
macs = st.binary(min_size=6, max_size=6).filter(is_unicast)
terms = st.dictionaries(st.ip_addresses(), st.integers(0, 2**32 - 1), max_size=5)
reports = st.builds(
    Report,
    names.map(node_id),
    numbers,
    numbers,
    st.sampled_from(Standing),
    st.lists(names.map(node_id), max_size=4).map(tuple),
    st.lists(offers, max_size=2).map(tuple),
)
messages = st.builds(
    Message,
    names,
    numbers,
    numbers,
    st.sampled_from(Standing),
    st.none() | st.builds(Echo, numbers, numbers, st.integers(0, 2**32 - 1)),
    st.dictionaries(names.map(node_id), st.sampled_from(Standing), max_size=5),
    st.lists(offers, max_size=4).map(tuple),
    claims=terms,
    ceded=terms,
    shares=terms,
    clients=st.lists(st.tuples(st.ip_addresses(), macs, st.ip_addresses()), max_size=3).map(tuple),
    summary=st.none() | st.builds(Summary, numbers, numbers),
    reports=st.lists(reports, max_size=3).map(tuple),
)


@given(messages)
def test_a_message_survives_the_wire(message: Message) -> None:
    assert decode(encode(message, KEY), [b"an older key, still accepted", KEY]) == message


@given(messages)
def test_a_brief_message_survives_the_wire(message: Message) -> None:
    brief = replace(message, heard={}, offers=(), complete=False)
    assert decode(encode(brief, KEY), [KEY]) == brief


@given(messages, numbers, st.sampled_from(Standing))
def test_a_message_that_says_the_same_under_another_header_is_read_as_itself(
    message: Message, sequence: int, standing: Standing
) -> None:
    later = replace(message, sequence=sequence, standing=standing, echo=None)
    assert [decode(encode(each, KEY), [KEY]) for each in (message, later)] == [message, later]


@given(messages, st.binary(min_size=16, max_size=200))
def test_the_signature_is_the_first_half_of_an_hmac_sha256(message: Message, key: bytes) -> None:
    datagram = encode(message, key)
    assert datagram[-16:] == hmac.digest(key, datagram[:-16], "sha256")[:16]


@given(messages, st.data())
def test_one_changed_octet_is_noticed(message: Message, data: st.DataObject) -> None:
    datagram = bytearray(encode(message, KEY))
    datagram[data.draw(st.integers(0, len(datagram) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(MessageError):
        decode(bytes(datagram), [KEY])


def test_a_message_signed_with_another_key_is_told_from_garbage() -> None:
    datagram = encode(Message("a", 1, 1, Standing.SERVING), KEY)
    with pytest.raises(SignatureError):
        decode(datagram, [b"another key entirely"])


@given(st.binary(max_size=300))
def test_arbitrary_octets_raise_nothing_but_the_documented_error(octets: bytes) -> None:
    with pytest.raises(MessageError):
        decode(octets, [KEY])


@given(st.binary(max_size=300))
def test_arbitrary_octets_signed_by_a_peer_raise_nothing_but_the_documented_error(octets: bytes) -> None:
    body = b"HRLD\x01" + octets
    try:
        decode(body + hmac.digest(KEY, body, "sha256")[:16], [KEY])
    except MessageError:
        return


def test_a_datagram_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(MessageError, match="no size"):
        decode(b"HRLD\x01" + bytes(MAX_MESSAGE_SIZE), [KEY])


def test_as_many_claims_as_go_into_one_message_fit_an_ethernet_frame() -> None:
    claims = {IPv6Address("fd00::") + n: n for n in range(CLAIMS_PER_MESSAGE)}
    message = Message("node-1", 1, 1, Standing.SERVING, Echo(1, 1), claims=claims)
    assert len(encode(message, KEY)) <= 1_452


def test_as_many_clients_as_go_into_one_message_fit_an_ethernet_frame() -> None:
    sighting = (IPv6Address("fd00::9"), b"\x02" * 6, IPv6Address("fd00::1"))
    told = Message("n" * 40, 1, 1, Standing.SERVING, complete=False, clients=(sighting,) * CLIENTS_PER_MESSAGE)
    assert len(encode(told, KEY)) <= 1_452


def test_a_client_that_is_no_single_station_is_refused() -> None:
    sighting = (IPv6Address("fd00::9"), b"\xff" * 6, IPv6Address("fd00::1"))
    with pytest.raises(MessageError):
        decode(encode(Message("a", 1, 1, Standing.SERVING, clients=(sighting,)), KEY), [KEY])


def test_a_section_of_a_later_release_is_skipped() -> None:
    message = Message("a", 1, 2, Standing.SERVING, Echo(3, 4, 5))
    body = encode(message, KEY)[:-16] + b"\xee\x00\x03abc"
    assert decode(body + hmac.digest(KEY, body, "sha256")[:16], [KEY]) == message


def test_what_is_told_of_third_nodes_fits_into_an_ethernet_frame() -> None:
    ids = tuple(node_id(f"node-{n}") for n in range(4))
    offered = Offer("eth0", bytes(6), (ip_network("10.0.0.0/24"), ip_network("fd00::/64")))
    told = tuple(Report(each, 1, n, Standing.SERVING, ids, (offered,)) for n, each in enumerate(ids * 2))
    heard = dict.fromkeys(ids, Standing.SERVING)
    message = Message(
        "n" * 63, 1, 1, Standing.SERVING, None, heard, (offered,), summary=Summary(1, 2), reports=told
    )
    assert len(told) == MAX_REPORTED
    assert len(encode(message, KEY)) <= 1_452


def test_a_node_hears_a_hundred_peers_within_one_datagram_of_an_ethernet_frame() -> None:
    heard = {node_id(f"node-{n}"): Standing.SERVING for n in range(100)}
    offered = Offer("eth0", bytes(6), (ip_network("10.0.0.0/24"), ip_network("fd00::/64")))
    assert len(encode(Message("node-100", 1, 1, Standing.SERVING, None, heard, (offered,)), KEY)) <= 1_452
