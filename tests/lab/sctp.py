"""SCTP associations (RFC 9260) as far as INIT ACK, from raw sockets: many kernels track it and few speak it.

The answer travels in the state cookie of the INIT ACK.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from dataclasses import dataclass

from scapy.layers.sctp import SCTP, SCTPChunkInit, SCTPChunkInitAck, SCTPChunkParamStateCookie

PROTOCOL = 132
_STREAMS = {"a_rwnd": 1 << 16, "n_out_streams": 1, "n_in_streams": 1}


async def ask_sctp(sock: socket.socket, address: str, port: int) -> bytes:
    """Begin an association on a non-blocking raw socket and return the cookie. Raises ConnectionRefusedError."""
    loop = asyncio.get_running_loop()
    ours, tag = 1024 + secrets.randbelow(60_000), 1 + secrets.randbelow(1 << 31)
    sock.connect((address, 0))
    await loop.sock_sendall(sock, bytes(SCTP(sport=ours, dport=port) / SCTPChunkInit(init_tag=tag, **_STREAMS)))
    while True:
        answer = _parse(sock, await loop.sock_recv(sock, 2048))
        if (answer.dport, answer.tag) == (ours, tag) and SCTPChunkParamStateCookie in answer:
            return bytes(answer[SCTPChunkParamStateCookie].cookie)


@dataclass(eq=False)
class SctpServer:
    """Answers associations to one port on a non-blocking raw socket with `name` and the client's address."""

    sock: socket.socket
    port: int
    name: str

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self.sock, self._answer)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.sock)
        self.sock.close()

    def _answer(self) -> None:
        data, client = self.sock.recvfrom(2048)
        packet = _parse(self.sock, data)
        if packet.dport != self.port or SCTPChunkInit not in packet:
            return
        cookie = SCTPChunkParamStateCookie(cookie=f"{self.name} {client[0]}\n".encode())
        chunk = SCTPChunkInitAck(init_tag=1 + secrets.randbelow(1 << 31), params=[cookie], **_STREAMS)
        header = SCTP(sport=self.port, dport=packet.sport, tag=packet[SCTPChunkInit].init_tag)
        self.sock.sendto(bytes(header / chunk), (client[0], 0))


def _parse(sock: socket.socket, data: bytes) -> SCTP:
    """Raw IPv4 sockets, and only those, give the IP header, too."""
    return SCTP(data[(data[0] & 0xF) * 4 :] if sock.family == socket.AF_INET else data)
