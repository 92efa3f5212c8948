"""The socket filters, run by the kernel itself on a local socket pair."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from ipaddress import ip_address
from itertools import chain, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import UDP as UDP6
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from heraldlb.speaker.bpf import ARP_PATTERN, NDP_PATTERN, Pattern, Range, cover
from heraldlb.speaker.constants import FILTER_RANGES
from heraldlb.speaker.sockets import attach_filter

ANY_ADDRESS = ((0, 0xFFFF_FFFF),)
HEADER = Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff")
V6 = HEADER / IPv6(src="fd00::1", dst="ff02::1:ff00:9", hlim=255)


def passes(pattern: Pattern, frame: bytes, ranges: Sequence[Range] = ANY_ADDRESS) -> bool:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        attach_filter(receiver, pattern, ranges)
        receiver.setblocking(False)
        sender.send(frame)
        try:
            return receiver.recv(2_048) == frame
        except BlockingIOError:
            return False


@pytest.mark.parametrize("operation", [1, 2])
def test_arp_requests_and_replies_pass(operation: int) -> None:
    assert passes(ARP_PATTERN, bytes(HEADER / ARP(op=operation)))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(HEADER / ARP(op=3), id="reverse ARP"),
        pytest.param(
            bytes(HEADER / ARP())[:14] + b"\x00\x06" + bytes(HEADER / ARP())[16:], id="another hardware type"
        ),
        pytest.param(
            bytes(HEADER / ARP())[:19] + b"\x06" + bytes(HEADER / ARP())[20:], id="another address length"
        ),
        pytest.param(bytes(HEADER / ARP())[:41], id="one octet short"),
        pytest.param(HEADER / IP(dst="10.0.0.1") / UDP(), id="IPv4"),
        pytest.param(HEADER / IP(dst="10.0.0.1") / ICMP(), id="ping"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_other_frames_do_not_pass_the_arp_filter(frame: object) -> None:
    assert not passes(ARP_PATTERN, bytes(frame))  # type: ignore[call-overload]


@pytest.mark.parametrize("message", [ICMPv6ND_NS(tgt="fd00::9"), ICMPv6ND_NA(tgt="fd00::9")], ids=["NS", "NA"])
def test_solicitations_and_advertisements_pass(message: object) -> None:
    assert passes(NDP_PATTERN, bytes(V6 / message))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(V6 / ICMPv6EchoRequest(data=b"x" * 32), id="ping"),
        pytest.param(V6 / ICMPv6ND_RA(), id="router advertisement"),
        pytest.param(V6 / ICMPv6ND_NS(tgt="fd00::9", code=1), id="code 1"),
        pytest.param(V6 / UDP6(dport=135) / (b"\x87\x00" * 40), id="UDP"),
        pytest.param(HEADER / IPv6(hlim=64) / ICMPv6ND_NS(tgt="fd00::9"), id="hop limit 64"),
        pytest.param(bytes(V6 / ICMPv6ND_NS(tgt="fd00::9"))[:77], id="one octet short"),
    ],
)
def test_other_frames_do_not_pass_the_ndp_filter(frame: object) -> None:
    assert not passes(NDP_PATTERN, bytes(frame))  # type: ignore[call-overload]


def word(text: str) -> int:
    """The last 32 bits of an address."""
    return int(ip_address(text)) & 0xFFFF_FFFF


@pytest.mark.parametrize("packet", [ARP(pdst="10.0.0.9", psrc="10.0.0.1"), ARP(pdst="10.0.0.1", psrc="10.0.0.9")])
def test_arp_passes_for_its_target_and_its_sender_and_for_no_other_address(packet: ARP) -> None:
    assert passes(ARP_PATTERN, bytes(HEADER / packet), [(word("10.0.0.9"), word("10.0.0.9"))])
    assert not passes(ARP_PATTERN, bytes(HEADER / packet), [(word("10.0.0.2"), word("10.0.0.8"))])
    assert not passes(ARP_PATTERN, bytes(HEADER / packet), [])


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(V6 / ICMPv6ND_NS(tgt="fd00::9"), id="target of a solicitation"),
        pytest.param(V6 / ICMPv6ND_NA(tgt="fd00::9"), id="target of an advertisement"),
        pytest.param(HEADER / IPv6(src="fd00::9", hlim=255) / ICMPv6ND_NS(tgt="fd00::2"), id="source"),
    ],
)
def test_ndp_passes_for_its_target_and_its_source_and_for_no_other_address(frame: Packet) -> None:
    assert passes(NDP_PATTERN, bytes(frame), [(9, 9)])
    assert not passes(NDP_PATTERN, bytes(frame), [(3, 8), (10, 0xFFFF_FFFF)])


WORDS = st.integers(0, 0xFFFF_FFFF)


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(1, 20))
def test_ranges_hold_every_address_and_are_no_more_than_allowed(words: list[int], limit: int) -> None:
    ranges = cover(words, limit)
    assert len(ranges) <= limit
    assert all(low <= high for low, high in ranges)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))
    held = {number for low, high in ranges for number in range(low, high + 1)}
    assert held >= set(words)
    if len(ranges) < limit:
        assert held == set(words)


@settings(max_examples=50, deadline=None)
@given(st.sets(WORDS, min_size=1, max_size=2 * FILTER_RANGES), st.lists(WORDS, max_size=5))
def test_the_kernel_finds_a_range_as_we_do(words: set[int], others: list[int]) -> None:
    ranges = cover(words, FILTER_RANGES)
    edges = [edge + step for edge in chain.from_iterable(ranges[:3] + ranges[-3:]) for step in (-1, 0, 1)]
    frame = bytearray(bytes(HEADER / ARP(psrc="0.0.0.0")))
    outside = not any(low <= 0 <= high for low, high in ranges)
    for asked in [*others, *(edge & 0xFFFF_FFFF for edge in edges)]:
        frame[38:42] = asked.to_bytes(4)
        inside = any(low <= asked <= high for low, high in ranges)
        assert passes(ARP_PATTERN, bytes(frame), ranges) is (inside or not outside)
