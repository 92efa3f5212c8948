"""The lab's web server: says which pod answers and who asks. Also echoes TCP and UDP payloads on a second port.

Run as `python web.py [--port 8080] [--echo-port 7]`. Every answer is
`Hello from POD on NODE, you are CLIENT-ADDRESS`; /healthz answers `ok`. The environment's POD_NAME and NODE_NAME go
before what the lab knows.
Imports nothing of the lab, so that it starts at once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
from typing import cast

_MAX_REQUEST = 64 * 1024


def _plain(address: str) -> str:
    """An IPv4 client of a dual-stack socket in its usual form."""
    return address.removeprefix("::ffff:")


class Hello(asyncio.Protocol):
    """HTTP/1.1 with keep-alive and pipelining; looks at the request line and the Connection header only."""

    def __init__(self, pod: str, node: str) -> None:
        self._who = f"Hello from {pod} on {node}, you are "
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._client = _plain(transport.get_extra_info("peername")[0])

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, self._received = self._received.split(b"\r\n\r\n", 1)
            if not self._answer(head):
                return
        if len(self._received) > _MAX_REQUEST:
            self._transport.abort()

    def _answer(self, head: bytes) -> bool:
        """Answer one request; False if the connection ends with it."""
        words = head.split(b"\r\n", 1)[0].split(b" ")
        is_health = len(words) > 1 and words[1] == b"/healthz"
        body = (b"ok\n") if is_health else f"{self._who}{self._client}\n".encode()
        stays = b"connection: close" not in head.lower() and not words[-1].endswith(b"/1.0")
        lines = (
            b"HTTP/1.1 200 OK",
            b"Content-Type: text/plain",
            b"Content-Length: %d" % len(body),
            b"Connection: %s" % (b"keep-alive" if stays else b"close"),
        )
        self._transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if words[0] == b"HEAD" else body))
        if not stays:
            self._transport.close()
        return stays


class EchoStream(asyncio.Protocol):
    """Sends back what it receives."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


class EchoDatagrams(asyncio.DatagramProtocol):
    """Sends back what it receives, after the name of the pod and a blank."""

    def __init__(self, pod: str) -> None:
        self._prefix = pod.encode() + b" "

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not an instance of it in Python 3.11.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(self._prefix + data, addr)


def _dual_stack(kind: socket.SocketKind, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6, kind)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    bound.bind(("::", port))
    return bound


async def serve(port: int, echo_port: int | None) -> None:
    """Serve until SIGTERM."""
    pod = os.environ.get("POD_NAME") or socket.gethostname()
    node = os.environ.get("NODE_NAME") or os.environ.get("LAB_NODE", "an unknown node")
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await loop.create_server(lambda: Hello(pod, node), sock=_dual_stack(socket.SOCK_STREAM, port), backlog=1024)
    if echo_port is not None:
        await loop.create_server(EchoStream, sock=_dual_stack(socket.SOCK_STREAM, echo_port), backlog=1024)
        datagrams = _dual_stack(socket.SOCK_DGRAM, echo_port)
        await loop.create_datagram_endpoint(lambda: EchoDatagrams(pod), sock=datagrams)
    print(f"{pod} on {node}: listening on port {port}", flush=True)
    await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--echo-port", type=int)
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.echo_port))


if __name__ == "__main__":
    main()
