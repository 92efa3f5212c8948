"""Broadcasts that concern nobody: `python -m benchmarks.speaker.flood INTERFACE FRAMES_PER_SECOND`.

They are ARP requests, as most broadcasts on a LAN are, and as only such get as far as a responder's filter. Says
`flooding` when it has begun.
"""

from __future__ import annotations

import itertools
import socket
import sys
import time
from ipaddress import IPv4Address, IPv6Address

from benchmarks.speaker.frames import Asker

_STRANGER = Asker(b"\x02\x66\x6c\x00\x00\x01", IPv4Address("198.51.100.1"), IPv6Address("fe80::1"))
_QUESTIONS = tuple(_STRANGER.question(f"198.51.100.{number}") for number in range(2, 250))
_BATCH = 0.001
"""Seconds between two batches."""


def main(interface: str, rate: int) -> None:
    questions = itertools.cycle(_QUESTIONS)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as opened:
        opened.bind((interface, 0))
        print("flooding", flush=True)
        begun, sent = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - begun) * rate)
            for _ in range(due - sent):
                opened.send(next(questions))
            sent = due
            time.sleep(_BATCH)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
