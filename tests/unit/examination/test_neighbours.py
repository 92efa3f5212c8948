"""Questions and answers as Scapy reads and makes them, so that an error in our codecs cannot hide itself."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from heraldlb.examination.neighbours import claim, question

MAC, HOST = "02:00:00:00:00:01", "02:00:00:00:00:09"
IPV4, IPV6 = "192.168.1.9", "fd00::9"


def test_questions_name_no_address_of_their_sender() -> None:
    arp = Ether(question(ip_address(IPV4), bytes.fromhex(MAC.replace(":", ""))))
    assert (arp[ARP].op, arp[ARP].psrc, arp[ARP].pdst, arp.src) == (1, "0.0.0.0", IPV4, MAC)
    ndp = Ether(question(ip_address(IPV6), bytes.fromhex(MAC.replace(":", ""))))
    assert (ndp[IPv6].src, ndp[ICMPv6ND_NS].tgt, ndp.src) == ("::", IPV6, MAC)
    assert ICMPv6NDOptSrcLLAddr not in ndp


@pytest.mark.parametrize(
    ("frame", "address"),
    [
        (Ether(src=HOST, dst=MAC) / ARP(op=2, hwsrc=HOST, psrc=IPV4, hwdst=MAC, pdst="0.0.0.0"), IPV4),
        (Ether(src=HOST, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=HOST, psrc=IPV4, pdst="192.168.1.1"), IPV4),
        (
            Ether(src=HOST, dst="33:33:00:00:00:01")
            / IPv6(src="fe80::9", dst="ff02::1", hlim=255)
            / ICMPv6ND_NA(tgt=IPV6, S=0, R=0)
            / ICMPv6NDOptDstLLAddr(lladdr=HOST),
            IPV6,
        ),
        (
            Ether(src=HOST, dst="33:33:00:00:00:01")
            / IPv6(src=IPV6, dst="ff02::1", hlim=255)
            / ICMPv6ND_NA(tgt=IPV6, S=0, R=0),
            IPV6,
        ),
    ],
    ids=["reply", "a host that asks for others", "advertisement", "advertisement without the option"],
)
def test_a_host_claims_what_it_says_is_its_own(frame: Packet, address: str) -> None:
    assert claim(bytes(frame)) == (ip_address(address), bytes.fromhex(HOST.replace(":", "")))


@pytest.mark.parametrize(
    "frame",
    [
        Ether(src=HOST, dst="ff:ff:ff:ff:ff:ff") / ARP(op=1, hwsrc=HOST, psrc="0.0.0.0", pdst=IPV4),
        Ether(src=HOST, dst="33:33:ff:00:00:09")
        / IPv6(src="::", dst="ff02::1:ff00:9", hlim=255)
        / ICMPv6ND_NS(tgt=IPV6),
        Ether(src=HOST, dst=MAC) / IPv6(src=IPV6, dst="fd00::1"),
    ],
    ids=["probe", "duplicate address detection", "other traffic"],
)
def test_who_only_asks_claims_nothing(frame: Packet) -> None:
    assert claim(bytes(frame)) is None


def test_what_is_no_frame_claims_nothing() -> None:
    assert claim(b"") is None
