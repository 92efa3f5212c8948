"""A small network for forwarding tests: a client and two nodes on one LAN, a pod behind each node.

    client 192.168.77.100 ---+--- LAN ---+--- node-1 192.168.77.1 --- pod-1 10.244.1.5
                             |           +--- node-2 192.168.77.2 --- pod-2 10.244.2.5
                   gateway 192.168.77.254

IPv6 alike, and more nodes where asked for. The client routes everything but the LAN to node-1, as if that one
announced all addresses. Nodes send what they do not know to the gateway: what arrives there has left a node
untouched. Sockets are made in their namespace and then served by the test's own event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import Protocol
from heraldlb.forwarding.forwarder import CHUNK, Forwarder
from heraldlb.forwarding.netlink import open_socket
from heraldlb.forwarding.nft import Nft
from heraldlb.forwarding.readback import KernelReader
from lab.namespaces import Surroundings, named, run_in
from tests.lab.sctp import PROTOCOL as SCTP
from tests.lab.sctp import SctpServer, ask_sctp
from tests.unit.forwarding.cases import CLIENT, NODE_ADDRESS, NODES, POD, SERVICE_CIDRS, view

__all__ = [
    "CLIENT",
    "NODES",
    "NODE_ADDRESS",
    "POD",
    "Answer",
    "Connection",
    "Net",
    "both_families",
    "network",
    "view",
]

both_families = pytest.mark.parametrize("family", FAMILIES)

GATEWAY = "lan"
SERVICE_NETWORKS = ("172.16.0.0/16", "fd00:16::/64", "203.0.113.0/24", "2001:db8::/64", *SERVICE_CIDRS)
"""Of all addresses of Services."""

ANSWER_SECONDS = 10.0
"""How long a connection that should be answered may take on a busy machine."""
SILENCE_SECONDS = 0.5
"""How long a dropped connection is listened for. Too short can only hide a failure, never make one."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a backend said: its own name, and the address it saw the client come from."""

    backend: str
    seen: str


@dataclass(slots=True)
class Connection:
    """An open TCP connection to a backend."""

    first: Answer
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self) -> Answer:
        """Send a line and read the answer. Raises OSError or TimeoutError."""
        self.writer.write(b"again\n")
        return await _read(self.reader)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


@dataclass(slots=True)
class Net:
    """The network, and the servers started in it."""

    prefix: str
    nodes: tuple[str, ...] = NODES
    _closing: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _ports: Iterator[int] = field(default_factory=lambda: itertools.count(20_000))
    """Of UDP clients. A port that is used again within 30 s would be translated as it was before."""

    def nft_command(self, host: str) -> tuple[str, ...]:
        """What runs nft on that host."""
        return ("ip", "netns", "exec", self.prefix + host, "nft")

    def nft(self, host: str) -> Nft:
        """The nft of that host."""
        return Nft(self.nft_command(host))

    def netlink(self, host: str) -> socket.socket:
        """A netlink socket for netfilter on that host."""
        return run_in(Surroundings(network=named(self.prefix + host)), open_socket)

    def forwarder(self, host: str, nft: Nft | None = None, *, chunk: int = CHUNK) -> Forwarder:
        """A new forwarder for that host, as of a process that has just started."""
        return Forwarder(nft or self.nft(host), KernelReader(lambda: self.netlink(host)), chunk=chunk)

    def open_gateway(self) -> None:
        """From now on the gateway takes all addresses of Services for its own."""
        _ip(self.prefix + GATEWAY, [f"route add local {network} dev lo" for network in SERVICE_NETWORKS])

    def run(self, host: str, *command: str) -> str:
        """The output of a command run on that host. Raises CalledProcessError."""
        full = ("ip", "netns", "exec", self.prefix + host, *command)
        return subprocess.run(full, check=True, capture_output=True, text=True).stdout

    def socket(self, host: str, family: Family, protocol: Protocol) -> socket.socket:
        """A non-blocking socket that lives on that host; for SCTP a raw one."""
        number = socket.AF_INET if family == "IPv4" else socket.AF_INET6
        kind, of = _KINDS[protocol]
        made = run_in(Surroundings(network=named(self.prefix + host)), lambda: socket.socket(number, kind, of))
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return made

    async def serve(self, host: str, family: Family, protocol: Protocol, port: int, name: str = "") -> None:
        """Answer on that host with `name` (the host's own unless given) until the network is closed."""
        sock = self.socket(host, family, protocol)
        name = name or host
        if protocol == "SCTP":
            server = SctpServer(sock, port, name)
            server.start()
            self._closing.callback(server.close)
            return
        if family == "IPv6":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("::" if family == "IPv6" else "0.0.0.0", port))
        if protocol == "UDP":
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                lambda: _DatagramServer(name), sock=sock
            )
            self._closing.callback(transport.close)
        else:
            await self._closing.enter_async_context(_TcpServer(name).listening(sock))

    async def connect(self, host: str, address: str, port: int) -> Connection:
        """Dial from that host. Raises ConnectionRefusedError, or TimeoutError after ANSWER_SECONDS."""
        sock = self.socket(host, _family(address), "TCP")
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
                reader, writer = await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise
        try:
            return Connection(await _read(reader), reader, writer)
        except BaseException:
            writer.close()
            raise

    async def ask(self, host: str, address: str, port: int, protocol: Protocol = "TCP") -> Answer:
        """One exchange over a new connection (for UDP: from a new port). Raises as `connect`."""
        if protocol == "TCP":
            connection = await self.connect(host, address, port)
            await connection.close()
            return connection.first
        loop = asyncio.get_running_loop()
        with self.socket(host, _family(address), protocol) as sock:
            if protocol == "SCTP":
                async with asyncio.timeout(ANSWER_SECONDS):
                    return parse(await ask_sctp(sock, address, port))
            sock.bind(("", next(self._ports)))
            await loop.sock_connect(sock, (address, port))
            await loop.sock_sendall(sock, b"hello\n")
            async with asyncio.timeout(ANSWER_SECONDS):
                return parse(await loop.sock_recv(sock, 512))

    async def gather(self, host: str, address: str, port: int, protocol: Protocol = "TCP") -> set[Answer]:
        """The different answers to 40 exchanges: of two equal backends both, but for one case in 5 * 10^11."""
        return {await self.ask(host, address, port, protocol) for _ in range(40)}

    async def is_silent(self, host: str, address: str, port: int) -> bool:
        """Whether a TCP connection is neither taken nor refused for SILENCE_SECONDS."""
        with self.socket(host, _family(address), "TCP") as sock:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    await asyncio.get_running_loop().sock_connect(sock, (address, port))
            except TimeoutError:
                return True
            except ConnectionRefusedError:
                return False
        return False

    async def stop_servers(self) -> None:
        await self._closing.aclose()


class _TcpServer:
    """Greets each client and answers each line; closes what is open when it is closed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._handlers: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listening(self, sock: socket.socket) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accept, sock=sock)
        try:
            yield
        finally:
            server.close()
            for handler in self._handlers:
                handler.cancel()
            await asyncio.gather(*self._handlers, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.create_task(self._handle(reader, writer))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeting = f"{self._name} {writer.get_extra_info('peername')[0]}\n".encode()
        try:
            writer.write(greeting)
            while await reader.readline():
                writer.write(greeting)
        except ConnectionError:
            pass
        finally:
            writer.close()


class _DatagramServer(asyncio.DatagramProtocol):
    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(f"{self._name} {addr[0]}\n".encode(), addr)


@contextlib.contextmanager
def network(nodes: int = len(NODES)) -> Iterator[Net]:
    """Build the network; every namespace, and so every link and rule in it, is gone afterwards."""
    prefix = f"hf-{os.getpid()}-"
    built = Net(prefix, tuple(f"node-{number}" for number in range(1, nodes + 1)))
    hosts = (GATEWAY, "client", *built.nodes, *(node.replace("node", "pod") for node in built.nodes))
    try:
        for host in hosts:
            subprocess.run(("ip", "netns", "add", prefix + host), check=True)
            _ip(prefix + host, ["link set lo up"])
        _build(prefix, hosts, built.nodes)
        yield built
    finally:
        for host in hosts:
            if named(prefix + host).exists():
                subprocess.run(("ip", "netns", "del", prefix + host), check=True)


def _build(prefix: str, hosts: Sequence[str], nodes: Sequence[str]) -> None:
    numbers = range(1, len(nodes) + 1)
    for host in hosts:
        run_in(Surroundings(network=named(prefix + host)), lambda host=host: _sysctls(router=host in nodes))  # type: ignore[misc]
    _ip(prefix + GATEWAY, ["link add br0 type bridge", "link set br0 up"])
    for number, host in enumerate(("client", *nodes)):
        _ip(prefix + "lan", [f"link add port{number} type veth peer name eth0 netns {prefix}{host}"])
        _ip(prefix + "lan", [f"link set port{number} master br0 up"])
    _ip(
        prefix + GATEWAY,
        [
            "address add 192.168.77.254/24 dev br0",
            "address add fd77::254/64 dev br0 nodad",
            *(f"route add 10.244.{number}.0/24 via 192.168.77.{number}" for number in numbers),
            *(f"route add fd00:244:{number}::/64 via fd77::{number}" for number in numbers),
        ],
    )
    _ip(
        prefix + "client",
        [
            f"address add {CLIENT['IPv4']}/24 dev eth0",
            f"address add {CLIENT['IPv6']}/64 dev eth0 nodad",
            "link set eth0 up",
            "route add default via 192.168.77.1",
            "route add ::/0 via fd77::1",
        ],
    )
    for number, node in enumerate(nodes, start=1):
        others = [other for other in numbers if other != number]
        _ip(
            prefix + node,
            [
                f"address add 192.168.77.{number}/24 dev eth0",
                f"address add fd77::{number}/64 dev eth0 nodad",
                "link set eth0 up",
                f"link add pods type veth peer name eth0 netns {prefix}pod-{number}",
                f"address add 10.244.{number}.1/24 dev pods",
                f"address add fd00:244:{number}::1/64 dev pods nodad",
                "link set pods up",
                *(f"route add 10.244.{other}.0/24 via 192.168.77.{other}" for other in others),
                *(f"route add fd00:244:{other}::/64 via fd77::{other}" for other in others),
                "route add default via 192.168.77.254",
                "route add ::/0 via fd77::254",
            ],
        )
        _ip(
            f"{prefix}pod-{number}",
            [
                f"address add 10.244.{number}.5/24 dev eth0",
                f"address add fd00:244:{number}::5/64 dev eth0 nodad",
                "link set eth0 up",
                f"route add default via 10.244.{number}.1",
                f"route add ::/0 via fd00:244:{number}::1",
            ],
        )


def _sysctls(*, router: bool) -> None:
    forwarding = "1" if router else "0"
    for name, value in (
        ("ipv4/ip_forward", forwarding),
        ("ipv6/conf/all/forwarding", forwarding),
        ("ipv6/conf/default/accept_dad", "0"),
        # The client must not learn a way round its node.
        ("ipv4/conf/all/send_redirects", "0"),
        ("ipv4/conf/default/send_redirects", "0"),
        ("ipv6/conf/all/accept_redirects", "0"),
        ("ipv6/conf/default/accept_redirects", "0"),
    ):
        Path("/proc/sys/net", name).write_text(value)


def _ip(namespace: str, commands: Sequence[str]) -> None:
    text = "".join(f"{command}\n" for command in commands)
    subprocess.run(("ip", "-n", namespace, "-batch", "-"), input=text, text=True, check=True, capture_output=True)


_KINDS: dict[Protocol, tuple[socket.SocketKind, int]] = {
    "TCP": (socket.SOCK_STREAM, 0),
    "UDP": (socket.SOCK_DGRAM, 0),
    "SCTP": (socket.SOCK_RAW, SCTP),
}


def _family(address: str) -> Family:
    return "IPv6" if ":" in address else "IPv4"


async def _read(reader: asyncio.StreamReader) -> Answer:
    async with asyncio.timeout(ANSWER_SECONDS):
        return parse(await reader.readline())


def parse(line: bytes) -> Answer:
    """What a server said. Raises ConnectionResetError where it said nothing."""
    if not line:
        raise ConnectionResetError("the backend closed the connection")
    backend, seen = line.decode().split()
    return Answer(backend, seen)
