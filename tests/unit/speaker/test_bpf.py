"""The socket filters, run by the kernel itself on a local socket pair."""

from __future__ import annotations

import socket
from collections.abc import Sequence

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import UDP as UDP6
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, IPv6
from scapy.layers.l2 import ARP, Ether

from heraldlb.speaker.bpf import ARP_FIELDS, NDP_FIELDS, Field
from heraldlb.speaker.sockets import attach_filter

HEADER = Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff")
V6 = HEADER / IPv6(src="fd00::1", dst="ff02::1:ff00:9", hlim=255)


def passes(fields: Sequence[Field], frame: bytes) -> bool:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with sender, receiver:
        attach_filter(receiver, fields)
        receiver.setblocking(False)
        sender.send(frame)
        try:
            return receiver.recv(2_048) == frame
        except BlockingIOError:
            return False


@pytest.mark.parametrize("operation", [1, 2])
def test_arp_requests_and_replies_pass(operation: int) -> None:
    assert passes(ARP_FIELDS, bytes(HEADER / ARP(op=operation)))


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
    assert not passes(ARP_FIELDS, bytes(frame))  # type: ignore[call-overload]


@pytest.mark.parametrize("message", [ICMPv6ND_NS(tgt="fd00::9"), ICMPv6ND_NA(tgt="fd00::9")], ids=["NS", "NA"])
def test_solicitations_and_advertisements_pass(message: object) -> None:
    assert passes(NDP_FIELDS, bytes(V6 / message))


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
    assert not passes(NDP_FIELDS, bytes(frame))  # type: ignore[call-overload]
