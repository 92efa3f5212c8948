"""The least that a responder in Python can be: one packet socket, one address, nothing else.

`python -m benchmarks.speaker.bare MAC IPV4`.
"""

from __future__ import annotations

import socket
import sys

_ARP = 0x0806
_REQUEST, _REPLY = b"\x00\x01", b"\x00\x02"


def main(mac: bytes, address: bytes) -> None:
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as opened:
        opened.bind(("eth0", _ARP))
        while True:
            frame = opened.recv(2048)
            if frame[38:42] == address and frame[20:22] == _REQUEST:
                opened.send(frame[6:12] + mac + frame[12:20] + _REPLY + mac + address + frame[22:32])


if __name__ == "__main__":
    main(bytes.fromhex(sys.argv[1].replace(":", "")), socket.inet_aton(sys.argv[2]))
