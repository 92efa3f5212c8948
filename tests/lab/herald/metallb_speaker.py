"""A stand-in for MetalLB's speaker: answers ARP requests and neighbour solicitations for its share of addresses.

Goes on for LINGER after SIGTERM, as MetalLB's own may, whose pods have so long to end.
"""

from __future__ import annotations

import argparse
import select
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from lab.network import INTERFACE

if TYPE_CHECKING:
    from collections.abc import Collection

LINGER: Final = 2.0
"""Seconds."""
_EVERY_PROTOCOL: Final = 3
_ARP, _IPV6, _ICMPV6 = b"\x08\x06", b"\x86\xdd", 58
_ALL_NODES: Final = "ff02::1"


def answer(frame: bytes, mac: str, addresses: Collection[str]) -> bytes | None:
    """To a question for one of these addresses."""
    if frame[12:14] != _ARP and (frame[12:14] != _IPV6 or frame[20] != _ICMPV6):
        return None
    asked = Ether(frame)
    if ARP in asked and asked[ARP].op == 1 and asked[ARP].pdst in addresses:
        request = asked[ARP]
        reply = ARP(op=2, hwsrc=mac, psrc=request.pdst, hwdst=request.hwsrc, pdst=request.psrc)
        return bytes(Ether(src=mac, dst=request.hwsrc) / reply)
    if ICMPv6ND_NS in asked and asked[ICMPv6ND_NS].tgt in addresses:
        target, asker = asked[ICMPv6ND_NS].tgt, asked[IPv6].src
        unspecified = asker == "::"
        header = IPv6(src=target, dst=_ALL_NODES if unspecified else asker, hlim=255)
        said = ICMPv6ND_NA(tgt=target, R=0, S=not unspecified, O=1) / ICMPv6NDOptDstLLAddr(lladdr=mac)
        return bytes(Ether(src=mac, dst=asked.src) / header / said)
    return None


def serve(addresses: Collection[str]) -> None:
    """Until SIGTERM, and LINGER longer."""
    told: list[float] = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(time.monotonic()))
    mac = Path(f"/sys/class/net/{INTERFACE}/address").read_text().strip()
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((INTERFACE, _EVERY_PROTOCOL))
        print(f"answering for {', '.join(addresses)} with {mac}", flush=True)
        while not told or time.monotonic() < told[0] + LINGER:
            if not select.select([wire], [], [], 0.1)[0]:
                continue
            frame, about = wire.recvfrom(2048)
            if about[2] != socket.PACKET_OUTGOING and (reply := answer(frame, mac, addresses)) is not None:
                wire.send(reply)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", required=True)
    parser.add_argument("--nodes", nargs="+", required=True)
    parser.add_argument("--addresses", nargs="+", required=True)
    given = parser.parse_args()
    serve(given.addresses[given.nodes.index(given.node) :: len(given.nodes)])


if __name__ == "__main__":
    main()
