"""Writes the fuzzer's corpus: `python -m tests.unit.speaker.make_corpus` from the root of the repository.

Frames are Scapy's, so that the parsers start from what somebody else takes for valid; the membership datagram is
our own protocol, so those are ours. One file for each, in hexadecimal, named after what it is. Add a seed here,
write the corpus and check it in; a frame that once broke a parser may be added by hand.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path

from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import ARP, Ether

from heraldlb.speaker.interfaces import Offer
from heraldlb.speaker.messages import Echo, Message, Report, Summary, encode, node_id
from heraldlb.speaker.standing import Standing

CORPUS = Path(__file__).parent / "corpus"
KEY = b"k" * 32
"""What signs the membership datagrams."""

OURS, HOST = "02:00:00:00:00:01", "02:00:00:00:00:64"
V4, V6 = "192.168.78.240", "fd78::f0"
HOST4, HOST6 = "192.168.78.100", "fd78::64"
_BROADCAST, _NO_MAC = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"
_GROUP, _GROUP_MAC = "ff02::1:ff00:f0", "33:33:ff:00:00:f0"


def arp() -> dict[str, bytes]:
    """Requests, replies, probes and announcements (RFC 826, RFC 5227)."""

    def frame(op: int, psrc: str, pdst: str, dst: str = _BROADCAST, hwdst: str = _NO_MAC) -> bytes:
        packet = ARP(op=op, hwsrc=HOST, psrc=psrc, hwdst=hwdst, pdst=pdst)
        return bytes(Ether(src=HOST, dst=dst) / packet)

    return {
        "request": frame(1, HOST4, V4),
        "request-padded": frame(1, HOST4, V4) + bytes(18),
        "request-unicast": frame(1, HOST4, V4, OURS, OURS),
        "request-other-address": frame(1, HOST4, "192.168.78.1"),
        "probe": frame(1, "0.0.0.0", V4),
        "announcement": frame(1, V4, V4),
        "announcement-reply": frame(2, V4, V4, hwdst=_BROADCAST),
        "reply": frame(2, HOST4, "192.168.78.1", OURS, OURS),
        "reply-to-probe": frame(2, V4, "0.0.0.0", OURS, OURS),
    }


def ndp() -> dict[str, bytes]:
    """Solicitations, probes and advertisements (RFC 4861, RFC 4862)."""
    source = ICMPv6NDOptSrcLLAddr(lladdr=HOST)

    def solicitation(src: str = HOST6, dst: str = _GROUP, mac: str = _GROUP_MAC, options: object = source) -> bytes:
        header = Ether(src=HOST, dst=mac) / IPv6(src=src, dst=dst, hlim=255)
        return bytes(header / ICMPv6ND_NS(tgt=V6) / options)

    def advertisement(src: str, dst: str, mac: str, solicited: int) -> bytes:
        header = Ether(src=HOST, dst=mac) / IPv6(src=src, dst=dst, hlim=255)
        body = ICMPv6ND_NA(tgt=V6, R=0, S=solicited, O=1) / ICMPv6NDOptDstLLAddr(lladdr=HOST)
        return bytes(header / body)

    return {
        "solicitation": solicitation(),
        "solicitation-padded": solicitation() + bytes(8),
        "solicitation-without-option": solicitation(options=b""),
        "solicitation-unicast": solicitation(dst=V6, mac=OURS),
        "solicitation-more-options": solicitation(options=ICMPv6NDOptMTU() / source / ICMPv6NDOptMTU()),
        "solicitation-of-our-own-address": solicitation(src=V6),
        "probe": solicitation(src="::", options=b""),
        "advertisement": advertisement("fe80::64", "ff02::1", "33:33:00:00:00:01", 0),
        "advertisement-solicited": advertisement(V6, HOST6, OURS, 1),
    }


def membership() -> dict[str, bytes]:
    """Heartbeats, signed with KEY."""
    networks = (ipaddress.ip_network("192.168.78.0/24"), ipaddress.ip_network("fd78::/64"))
    offers = tuple(Offer(f"eth{n}", bytes((2, 0, 0, 0, 0, n)), networks) for n in range(3))
    heard = {node_id(f"node-{n}"): Standing.SERVING for n in range(8)}
    echo = Echo(7, 41, 1_500)
    terms = {ipaddress.ip_address(address): term for term, address in enumerate((V4, HOST4, V6, HOST6), 1)}
    reports = tuple(
        Report(node_id(f"node-{n}"), n, 40, Standing.SERVING, tuple(heard), offers[:n]) for n in range(3)
    )
    messages = {
        "first": Message("node-1", 7, 1, Standing.JOINING),
        "serving": Message("node-2", 8, 42, Standing.SERVING, echo, heard, offers),
        "leaving": Message("node-3.example", 9, 43, Standing.LEAVING, echo, heard),
        "long-name": Message("n" * 253, 10, 44, Standing.SERVING, echo, {}, offers[:1]),
        "short": Message("node-4", 11, 45, Standing.SERVING, echo, complete=False),
        "claims": Message("node-5", 12, 46, Standing.SERVING, echo, complete=False, claims=terms, ceded=terms),
        "reports": Message("node-6", 13, 47, Standing.SERVING, echo, summary=Summary(5, 6), reports=reports),
    }
    return {name: encode(message, KEY) for name, message in messages.items()}


SEEDS = {"arp": arp, "ndp": ndp, "membership": membership}


def main() -> None:
    """Write every seed that is made here; others stay."""
    for folder, make in SEEDS.items():
        (CORPUS / folder).mkdir(parents=True, exist_ok=True)
        for name, seed in make().items():
            (CORPUS / folder / f"{name}.hex").write_text(seed.hex() + "\n")


if __name__ == "__main__":
    main()
