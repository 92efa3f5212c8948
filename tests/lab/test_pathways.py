"""The ways between nodes under real packets: through the tunnel, whatever their size, and routers' errors back."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, TypeVar

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, TCPerror, UDPerror
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Raw

from heraldlb.agent import pathways
from heraldlb.agent.cluster import Cluster
from heraldlb.agent.pathways import PathwaysRole
from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import Protocol
from heraldlb.forwarding.detour import Hop
from heraldlb.forwarding.model import Backend, Candidate, Frontend
from heraldlb.forwarding.overlay import DEFAULT_ID, DEFAULT_PORT, DEVICE, TunnelSettings, mac_of, tunnel_between
from heraldlb.forwarding.pathways import Pathways
from heraldlb.forwarding.survival import Peer, Survival, Survivor
from heraldlb.forwarding.survivaltables import full
from heraldlb.kube.recorder import Happening
from lab.namespaces import Surroundings, named, run_in
from lab.waiting import wait_for
from tests.lab.forwarding_net import Net, both_families
from tests.lab.kernels import kernel
from tests.lab.segments_net import ADDRESS, NARROW, NODES, POD, VIP, segments

PATIENCE: Final = 20.0
TCP_PORT, UDP_PORT = 80, 53
PORTS: Final[dict[Protocol, int]] = {"TCP": TCP_PORT, "UDP": UDP_PORT}
LARGE: Final = 2_000_000
SURVIVORS: Final = {
    Frontend(ip_address(VIP[family]), protocol, port): Survivor(
        (Candidate(Backend(ip_address(POD[family]), port), "node-2"),)
    )
    for family in FAMILIES
    for protocol, port in PORTS.items()
}
VERSIONS = itertools.count(1)
both_underlays = pytest.mark.parametrize("underlay", FAMILIES, ids=lambda family: f"over-{family}")

T = TypeVar("T")


@pytest.fixture(name="net")
async def segmented() -> AsyncIterator[Net]:
    with segments() as built:
        try:
            yield built
        finally:
            await built.stop_servers()


@dataclass(slots=True)
class Agent:
    """A node's agent, as far as this goes."""

    net: Net
    node: str
    families: tuple[Family, ...] = FAMILIES
    """Of the InternalIPs of all nodes."""
    settings: TunnelSettings = field(default_factory=TunnelSettings)
    cluster: Cluster = field(default_factory=Cluster)
    ways: Pathways | None = None
    events: list[Happening] = field(default_factory=list)

    @asynccontextmanager
    async def running(self, served: Iterable[Frontend] = SURVIVORS) -> AsyncIterator[PathwaysRole]:
        role = PathwaysRole(
            self.cluster,
            self.node,
            self.settings,
            self.net.nft(self.node),
            self._take,
            self.events.append,
            kernel(self.net, self.node),
        )
        if not self.cluster.nodes:
            self.declare()
        role.want(frozenset(served))
        task = asyncio.create_task(role.run())
        try:
            yield role
        finally:
            task.cancel()
            await asyncio.wait({task})

    def declare(self, names: Iterable[str] = NODES) -> None:
        """As the API server says from now on."""
        for name in NODES:
            addresses = [{"type": "InternalIP", "address": NODES[name][family]} for family in self.families]
            body = {
                "metadata": {"name": name, "resourceVersion": str(next(VERSIONS))},
                "status": {"addresses": addresses},
            }
            self.cluster.nodes.observe("MODIFIED" if name in names else "DELETED", body)

    async def hop(self, node: str, family: Family) -> Hop:
        """The way to that node, once there is one."""
        return await self.until(f"a way to {node}", lambda: self.hops(node).get(family))

    def hops(self, node: str) -> dict[Family, Hop]:
        """The ways to that node now."""
        hops = self.ways.hops if self.ways is not None else {}
        return {family: hop for (name, family), hop in hops.items() if name == node}

    def macs(self, node: str) -> frozenset[str]:
        """By which that node is known now."""
        return self.ways.macs.get(node, frozenset()) if self.ways is not None else frozenset()

    async def until(self, what: str, found: Callable[[], T | None]) -> T:
        return await asyncio.to_thread(wait_for, f"{self.node}: {what}", found, PATIENCE)

    def has(self, *command: str) -> str:
        """What a command that lists something says."""
        return self.net.run(self.node, *command)

    def rules(self) -> str:
        return self.has("nft", "list", "ruleset")

    def _take(self, ways: Pathways | None) -> None:
        self.ways = ways


@asynccontextmanager
async def joined(net: Net, family: Family, underlay: Family = "IPv4") -> AsyncIterator[None]:
    """node-1 passes on what comes for the Service, and node-2 takes it to its pod."""
    async with AsyncExitStack() as stack:
        agents = [Agent(net, name, (underlay,)) for name in ("node-1", "node-2")]
        for each in agents:
            await stack.enter_async_context(each.running())
        for each in agents:
            [other] = {"node-1", "node-2"} - {each.node}
            hop = await each.hop(other, family)
            assert each.ways is not None
            peer = Peer({family: hop}, each.ways.macs[other])
            for step in full(Survival(each.node, SURVIVORS, {other: peer})):
                await net.nft(each.node).apply(step.text)
            await each.until("its guard", lambda each=each: "heraldlb-tunnel" in each.rules())  # type: ignore[misc]
        await serve(net, stack, family)
        yield


async def serve(net: Net, stack: AsyncExitStack, family: Family) -> None:
    """On the pod: what it got, and from whom; then, over TCP, as much again."""

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = len(await reader.read(-1))
        writer.write(f"{size} {writer.get_extra_info('peername')[0]}\n".encode() + bytes(LARGE))
        writer.close()

    def bound(protocol: Any, port: int) -> socket.socket:
        sock = net.socket("pod", family, protocol)
        if family == "IPv6":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("::" if family == "IPv6" else "0.0.0.0", port))
        return sock

    server = await asyncio.start_server(take, sock=bound("TCP", TCP_PORT))
    stack.callback(server.close)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, sock=bound("UDP", UDP_PORT))
    stack.callback(transport.close)


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(f"{len(data)} {addr[0]}\n".encode(), addr)


async def send(net: Net, family: Family, size: int, *, attempts: int = 1) -> str:
    """One datagram of the client's, and what came back. A client that is told of a smaller path sends again."""
    loop = asyncio.get_running_loop()
    with net.socket("client", family, "UDP") as sock:
        await loop.sock_connect(sock, (VIP[family], UDP_PORT))
        for left in reversed(range(attempts)):
            try:
                async with asyncio.timeout(PATIENCE if left == 0 else 1.0):
                    await loop.sock_sendall(sock, bytes(size))
                    return (await loop.sock_recv(sock, 100)).decode()
            except (TimeoutError, OSError):
                if left == 0:
                    raise
    raise AssertionError("no attempt")


async def exchange(net: Net, host: str, family: Family, size: int) -> tuple[str, int, int]:
    """Send so much over TCP, and read all: the first line, the octets behind it, and the size of our segments."""
    sock = net.socket(host, family, "TCP")
    async with asyncio.timeout(PATIENCE):
        await asyncio.get_running_loop().sock_connect(sock, (VIP[family], TCP_PORT))
        segment = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        reader, writer = await asyncio.open_connection(sock=sock)
        try:
            writer.write(bytes(size))
            writer.write_eof()
            line = (await reader.readline()).decode()
            return line, len(await reader.read(-1)), segment
        finally:
            writer.close()


@both_underlays
@both_families
async def test_packets_of_every_size_pass_the_tunnel_and_show_the_clients_address(
    net: Net, family: Family, underlay: Family
) -> None:
    client = ADDRESS["client"][family]
    # Over IPv6, the kernel makes no fragments of the tunnel's own packets; the client learns of the smaller path.
    attempts = 1 if underlay == "IPv4" else 3
    async with joined(net, family, underlay):
        for size in (10, 1_400, 1_452, 1_472, 8_000, 60_000):
            assert await send(net, family, size, attempts=attempts) == f"{size} {client}\n"
        line, rest, segment = await exchange(net, "client", family, LARGE)
        assert (line, rest) == (f"{LARGE} {client}\n", LARGE)
        # Timestamps take 12 octets of each.
        headers = {"IPv4": 40, "IPv6": 60}[family] + {"IPv4": 50, "IPv6": 70}[underlay]
        assert segment == 1_500 - headers - 12


@both_families
async def test_an_answer_too_big_for_the_way_to_its_client_gets_there_in_smaller_packets(
    net: Net, family: Family
) -> None:
    async with joined(net, family):
        line, rest, _ = await exchange(net, "far", family, 10)
        assert (line, rest) == (f"10 {ADDRESS['far'][family]}\n", LARGE)


def error(net: Net, family: Family, protocol: Protocol, port: int) -> Any:
    """A router's message to node-1 about an answer to that port of `far`."""
    node = Ether(dst=net.run("node-1", "cat", "/sys/class/net/eth0/address").strip())
    answer = (TCP if protocol == "TCP" else UDP)(sport=PORTS[protocol], dport=port)
    if family == "IPv4":
        quoted = IP(src=VIP[family], dst=ADDRESS["far"][family]) / answer
        return node / IP(src="10.1.0.254", dst=VIP[family]) / ICMP(type=3, code=4, nexthopmtu=NARROW) / quoted
    quoted = IPv6(src=VIP[family], dst=ADDRESS["far"][family]) / answer
    return node / IPv6(src="fd01::254", dst=VIP[family]) / ICMPv6PacketTooBig(mtu=NARROW) / quoted


@both_families
async def test_an_error_that_nobody_knows_is_passed_on_once_and_ends_there(net: Net, family: Family) -> None:
    async with joined(net, family):
        with (
            Tap(net, "client", "eth0") as client,
            Tap(net, "node-2", DEVICE) as came,
            Tap(net, "router", "node-1") as passed,
            Tap(net, "router", "node-2") as left,
        ):
            client.send(error(net, family, "TCP", 40_000))
            await asyncio.to_thread(wait_for, "the copy", lambda: came.about(VIP[family]), PATIENCE)
            # What comes later by the same way shows that nothing else is under way.
            assert await send(net, family, 10)
            assert len([each for each in came.about(VIP[family]) if UDP not in each]) == 1
            for tap in (passed, left):
                assert [each for each in tap.about(VIP[family]) if UDP not in each] == []


@both_families
async def test_an_error_goes_where_the_packets_of_its_connection_go(net: Net, family: Family) -> None:
    nodes = ("node-1", "node-2", "node-3")
    frontends = {
        frontend: Survivor(tuple(Candidate(Backend(frontend.address, port), nodes[port]) for port in (1, 2)))
        for frontend in SURVIVORS
    }
    async with AsyncExitStack() as stack:
        agents = [Agent(net, name) for name in nodes]
        for each in agents:
            await stack.enter_async_context(each.running())
        peers = {name: Peer({family: await agents[0].hop(name, family)}, frozenset()) for name in nodes[1:]}
        for step in full(Survival(nodes[0], frontends, peers)):
            await net.nft(nodes[0]).apply(step.text)
        taps = []
        for each in agents[1:]:
            await each.hop(nodes[0], family)
            # Whose they are is all that is asked; forwarded, they would come again.
            await net.nft(each.node).apply(
                "add table inet end\nadd chain inet end in { type filter hook prerouting priority -299; }\n"
                f"add rule inet end in iifname {DEVICE} drop\n"
            )
            taps.append(stack.enter_context(Tap(net, each.node, DEVICE)))
        client = stack.enter_context(Tap(net, "client", "eth0"))
        ip = IP if family == "IPv4" else IPv6
        for port, protocol in itertools.product(range(40_000, 40_010), PORTS):
            message = error(net, family, protocol, port)
            segment = (TCP if protocol == "TCP" else UDP)(sport=port, dport=PORTS[protocol])
            client.send(Ether(dst=message.dst) / ip(src=ADDRESS["far"][family], dst=VIP[family]) / segment)
            client.send(message)

        def arrived() -> bool:
            return sum(len(each) for tap in taps for each in connections(tap, family)) == 40

        await asyncio.to_thread(wait_for, "all copies", arrived, PATIENCE)
        for tap in taps:
            packets, errors = connections(tap, family)
            assert packets
            assert packets == errors


def connections(tap: Tap, family: Family) -> tuple[set[tuple[str, int]], set[tuple[str, int]]]:
    """Clients' ports of packets to the Service, and of answers that errors are about."""
    packets, errors = set(), set()
    for frame in tap.about(VIP[family]):
        for layer, kind in ((TCP, "TCP"), (UDP, "UDP")):
            if layer in frame:
                packets.add((kind, frame[layer].sport))
        for layer, kind in ((TCPerror, "TCP"), (UDPerror, "UDP")):
            if layer in frame:
                errors.add((kind, frame[layer].dport))
    return packets, errors


class Tap:
    """What comes in by an interface."""

    def __init__(self, net: Net, host: str, interface: str) -> None:
        where = Surroundings(network=named(net.prefix + host))
        self._socket = run_in(where, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
        self._socket.setblocking(False)
        self._socket.bind((interface, 3))
        self._heard: list[Any] = []

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, frame: Any) -> None:
        self._socket.send(bytes(frame))

    def about(self, address: str) -> list[Any]:
        """Packets to that address, except those that this interface sent."""
        self._heard += self._drained()
        ips = ((frame, frame.getlayer(IP) or frame.getlayer(IPv6)) for frame in self._heard)
        return [frame for frame, ip in ips if ip is not None and ip.dst == address]

    def _drained(self) -> Iterator[Any]:
        while True:
            try:
                data, about = self._socket.recvfrom(65_536)
            except BlockingIOError:
                return
            if about[2] != socket.PACKET_OUTGOING:
                yield Ether(data)


def in_tunnel(net: Net, sender: str, destination: str, port: int) -> Any:
    """A frame to node-1's tunnel, by the client but as from `sender`; in it a datagram from that port."""
    underlay = Ether(dst=net.run("node-1", "cat", "/sys/class/net/eth0/address").strip())
    outer = IP(src=sender, dst=NODES["node-1"]["IPv4"]) / UDP(sport=50_000, dport=DEFAULT_PORT, chksum=0)
    inner = Ether(src="02:00:00:00:00:03", dst=mac_of(ip_address(NODES["node-1"]["IPv4"])))
    datagram = IP(src=ADDRESS["client"]["IPv4"], dst=destination) / UDP(sport=port, dport=UDP_PORT) / Raw(b"x")
    return underlay / outer / VXLAN(vni=DEFAULT_ID, flags=8) / inner / datagram


async def test_only_nodes_can_send_through_the_tunnel_and_only_to_what_it_is_for(net: Net) -> None:
    there = Agent(net, "node-1")
    async with there.running():
        await there.until("its guard", lambda: NODES["node-3"]["IPv4"] in there.rules())
        await there.hop("node-3", "IPv4")
        with Tap(net, "client", "eth0") as client, Tap(net, "router", "node-1") as passed:
            # Nobody here translates, so what comes out of the tunnel goes where all else goes.
            client.send(in_tunnel(net, ADDRESS["client"]["IPv4"], VIP["IPv4"], 1))
            client.send(in_tunnel(net, NODES["node-3"]["IPv4"], POD["IPv4"], 2))
            client.send(in_tunnel(net, NODES["node-3"]["IPv4"], VIP["IPv4"], 3))
            await asyncio.to_thread(wait_for, "what is allowed", lambda: passed.about(VIP["IPv4"]), PATIENCE)
            # The router sends it back again and again.
            assert {each[UDP].sport for each in passed.about(VIP["IPv4"])} == {3}
            assert passed.about(POD["IPv4"]) == []


async def test_the_tunnel_follows_the_nodes_outlives_its_agent_and_goes_when_nobody_needs_it(net: Net) -> None:
    first = Agent(net, "node-1")
    async with first.running():
        hops = {
            (node, family): await first.hop(node, family) for node in ("node-2", "node-3") for family in FAMILIES
        }
    second = Agent(net, "node-1")
    async with second.running() as role:
        assert {place: await second.hop(*place) for place in hops} == hops, "a restart changes nothing"
        second.declare(("node-1", "node-2"))
        role.touch()
        for family, command in (
            ("IPv4", ("ip", "route")),
            ("IPv6", ("ip", "-6", "route")),
            ("IPv4", ("ip", "neigh")),
        ):
            gateway = str(hops["node-3", family].gateway)  # type: ignore[index]
            await second.until(gateway, lambda c=command, g=gateway: g not in second.has(*c))  # type: ignore[misc]
        await second.until("its peer", lambda: NODES["node-3"]["IPv4"] not in second.has("bridge", "fdb"))
        await second.until("its guard", lambda: NODES["node-3"]["IPv4"] not in second.rules())
        assert await second.hop("node-2", "IPv4") == hops["node-2", "IPv4"]
    third = Agent(net, "node-1", settings=TunnelSettings(port=7_999))
    async with third.running() as role:
        await third.until("the other port", lambda: "dstport 7999" in third.has("ip", "-d", "link"))
        await third.until("its guard", lambda: "7999" in third.rules())
        role.want(frozenset())
        await third.until("no tunnel", lambda: DEVICE not in third.has("ip", "link"))
        await third.until("no tables", lambda: "heraldlb" not in third.rules())
        assert third.ways is None


async def test_neighbours_are_asked_for_their_hardware_addresses_and_need_no_tunnel(net: Net) -> None:
    there = Agent(net, "node-2")
    there.declare(("node-2", "node-3"))
    async with there.running() as role:
        for family in FAMILIES:
            hop = await there.hop("node-3", family)
            assert hop.gateway == ip_address(NODES["node-3"][family])
            assert there.ways is not None
            assert net.run("node-3", "cat", "/sys/class/net/eth0/address").strip() in there.ways.macs["node-3"]
        assert DEVICE not in there.has("ip", "link")
        assert role.findings == ()


NEW_CARD: Final = "02:00:00:00:00:33"


async def test_what_changes_about_a_neighbour_the_routes_or_the_tunnel_is_noticed_without_waiting(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pathways, "REFRESH", 3_600.0)
    there = Agent(net, "node-2")
    async with there.running():
        former = await there.hop("node-3", "IPv4")
        far = await there.hop("node-1", "IPv4")
        net.run("node-3", "ip", "link", "set", "eth0", "address", NEW_CARD)
        # As heartbeats do; node-2's kernel learns of it from the question that comes first.
        for family in FAMILIES:
            net.run("node-3", "ping", "-c", "1", "-W", "5", NODES["node-2"][family])
        await there.until("its new card", lambda: NEW_CARD in there.macs("node-3"))
        net.run("node-2", "ip", "link", "del", DEVICE)
        await there.until("a tunnel again", lambda: there.hops("node-1").get("IPv4") not in (None, far))
        net.run("node-2", "ip", "route", "add", f"{NODES['node-3']['IPv4']}/32", "via", "10.2.0.254")
        await there.until("another way", lambda: there.hops("node-3").get("IPv4") not in (None, former))


async def test_a_tunnel_that_is_as_it_should_be_is_left_alone_so_that_no_look_causes_another(net: Net) -> None:
    here, there = (ip_address(NODES[node]["IPv4"]) for node in ("node-1", "node-2"))
    tunnel = tunnel_between(here, [there], 1_500, TunnelSettings())
    ours = kernel(net, "node-1")
    ours.keep(tunnel)
    with ours.subscribe() as told:

        def quiet() -> bool:
            drain(told)
            ours.keep(tunnel)
            return drain(told) == 0

        await asyncio.to_thread(wait_for, "a look that the kernel tells nothing of", quiet, PATIENCE)


def drain(sock: socket.socket) -> int:
    """How many datagrams there were."""
    for count in itertools.count():
        try:
            sock.recv(1 << 16)
        except BlockingIOError:
            return count
    raise AssertionError("endless")


def firewalld(lookup: str) -> str:
    """Its table as far as it matters here."""
    return (
        "add table inet firewalld\n"
        "add chain inet firewalld filter_PREROUTING { type filter hook prerouting priority 10; }\n"
        "flush chain inet firewalld filter_PREROUTING\n"
        "add rule inet firewalld filter_PREROUTING icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept\n"
        f"add rule inet firewalld filter_PREROUTING meta nfproto ipv6 fib {lookup} missing drop\n"
    )


async def test_a_firewall_that_drops_what_comes_out_of_the_tunnel_is_found_with_what_to_set(net: Net) -> None:
    there = Agent(net, "node-2")
    await net.nft("node-2").apply(firewalld("saddr . mark . iif oif"))
    async with there.running() as role:
        await there.hop("node-1", "IPv6")
        [found] = await there.until("a finding", lambda: role.findings)
        assert found.subject == "IPv6_rpfilter"
        await net.nft("node-2").apply(firewalld("saddr . mark oif"))
        role.touch()
        await there.until("no finding", lambda: not role.findings)
