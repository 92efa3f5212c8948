"""DHCP messages as Scapy reads and makes them; a server that really offers is in the lab."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from heraldlb.examination.dhcp import discovery, read_offer
from heraldlb.examination.survey import DhcpOffer

MAC, SERVER = "02:00:00:00:00:01", "02:00:00:00:00:64"
NUMBER = 0x89ABCDEF


def reply(*options: object, sender: str = "192.168.1.254") -> Packet:
    """A server's message with these options."""
    return (
        Ether(src=SERVER, dst="ff:ff:ff:ff:ff:ff")
        / IP(src=sender, dst="255.255.255.255")
        / UDP(sport=67, dport=68)
        / BOOTP(op=2, xid=NUMBER, yiaddr="192.168.1.150")
        / DHCP(options=[*options, "end"])
    )


def test_the_question_is_a_new_hosts_that_has_no_address() -> None:
    frame = Ether(discovery(bytes.fromhex(MAC.replace(":", "")), NUMBER))
    assert (frame.src, frame.dst) == (MAC, "ff:ff:ff:ff:ff:ff")
    assert (frame[IP].src, frame[IP].dst, frame[IP].len) == ("0.0.0.0", "255.255.255.255", len(frame) - 14)
    assert (frame[UDP].sport, frame[UDP].dport, frame[UDP].len) == (68, 67, len(frame) - 34)
    assert (frame[BOOTP].op, frame[BOOTP].xid, int(frame[BOOTP].flags)) == (1, NUMBER, 0x8000)
    assert (frame[BOOTP].ciaddr, frame[BOOTP].chaddr[:6].hex(":")) == ("0.0.0.0", MAC)
    assert len(frame) - 42 >= 300, "relays may drop shorter ones"
    assert ("message-type", 1) in frame[DHCP].options
    right = frame[IP].chksum
    del frame[IP].chksum
    assert Ether(bytes(frame))[IP].chksum == right


def test_an_offer_is_told_with_what_it_says() -> None:
    offer = reply(
        ("message-type", "offer"),
        ("server_id", "192.168.1.2"),
        ("subnet_mask", "255.255.255.0"),
        ("router", "192.168.1.1", "192.168.1.3"),
    )
    assert read_offer(bytes(offer), "eth0") == DhcpOffer(
        server=ip_address("192.168.1.2"),
        mac=SERVER,
        offered=ip_address("192.168.1.150"),
        mask="255.255.255.0",
        router=ip_address("192.168.1.1"),
        link="eth0",
    )


def test_a_server_that_does_not_name_itself_is_the_packets_sender() -> None:
    offer = read_offer(bytes(reply(("message-type", "offer"))), "eth0")
    assert offer is not None
    assert (str(offer.server), offer.mask, offer.router) == ("192.168.1.254", "", None)


@pytest.mark.parametrize(
    "frame",
    [
        bytes(reply(("message-type", "nak"))),
        bytes(reply()),
        bytes(reply(("message-type", "offer")))[:60],
        bytes(Ether(src=SERVER, dst=MAC) / IP() / UDP(sport=67, dport=68) / Raw(b"\2")),
        b"",
    ],
    ids=["refusal", "no type", "cut off", "hardly anything", "nothing"],
)
def test_what_is_no_offer_or_cannot_be_read_is_passed_over(frame: bytes) -> None:
    assert read_offer(frame, "eth0") is None


def test_of_an_offer_that_breaks_off_what_came_before_is_told() -> None:
    offer = reply(("message-type", "offer"), ("server_id", "192.168.1.2"), ("router", "192.168.1.1"))
    found = read_offer(bytes(offer)[:-3], "eth0")
    assert found is not None
    assert (found.server, found.router) == (ip_address("192.168.1.2"), None)
