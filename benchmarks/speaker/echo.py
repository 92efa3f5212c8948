"""What runs behind a node's addresses: answers every datagram with the node's hardware address.

`python -m benchmarks.speaker.echo MAC`.
"""

from __future__ import annotations

import socket
import sys

from benchmarks.speaker.traffic import ECHO_PORT


def main(mac: str) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        opened.bind(("::", ECHO_PORT))
        while True:
            _, sender = opened.recvfrom(64)
            try:
                opened.sendto(mac.encode(), sender)
            except OSError:
                # Its link is cut.
                continue


if __name__ == "__main__":
    main(sys.argv[1])
