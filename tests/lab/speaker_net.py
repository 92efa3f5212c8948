"""Three nodes with real speakers and one client on a LAN: network namespaces joined by a bridge.

    client .100 ---+--- LAN 192.168.78.0/24, 10.78.0.0/24, fd78::/64 ---+--- node-1 .1, node-2 .2, node-3 .3

Nothing outside these namespaces is touched. The client asks with frames that Scapy made and judges the answers with
Scapy, so that an error in our codecs cannot hide itself.
"""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from heraldlb.speaker.standing import ELIGIBLE
from lab.namespaces import Surroundings, named, run_in

NODES = ("node-1", "node-2", "node-3")
MAC = {"node-1": "02:00:00:00:00:01", "node-2": "02:00:00:00:00:02", "node-3": "02:00:00:00:00:03"}
CLIENT_MAC = "02:00:00:00:00:64"
CLIENT = {4: "192.168.78.100", 6: "fd78::64"}
NODE_IPS = {node: [f"192.168.78.{n}", f"fd78::{n}"] for n, node in enumerate(NODES, 1)}
ADDRESSES = {4: [f"192.168.78.{n}" for n in range(240, 244)], 6: [f"fd78::f{n}" for n in range(4)]}
ALL = [*ADDRESSES[4], *ADDRESSES[6]]

KEY = bytes(range(32)).hex()

PATIENCE = 30.0
"""Seconds after which something that must come has not come, on however busy a machine."""
WINDOW = 0.25
"""Seconds a client listens for answers. Too short can only delay a test that waits for an answer."""

_numbers = itertools.count()


def run(*argv: str) -> str:
    """Run a command and return what it said; raises CalledProcessError with that."""
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


def ether(address: str, mac: str = CLIENT_MAC) -> Any:
    """The Ethernet header of a question about the address."""
    if ":" not in address:
        return Ether(src=mac, dst="ff:ff:ff:ff:ff:ff")
    tail = socket.inet_pton(socket.AF_INET6, address)[13:]
    return Ether(src=mac, dst=(b"\x33\x33\xff" + tail).hex(":"))


def question(address: str, *, sender: str | None = None, mac: str = CLIENT_MAC, option: bool = True) -> bytes:
    """An ARP request or a neighbour solicitation for the address, as Scapy makes it."""
    if ":" not in address:
        return bytes(ether(address, mac) / ARP(op=1, hwsrc=mac, psrc=sender or CLIENT[4], pdst=address))
    tail = socket.inet_pton(socket.AF_INET6, address)[13:]
    group = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + tail)
    message = IPv6(src=sender or CLIENT[6], dst=group, hlim=255) / ICMPv6ND_NS(tgt=address)
    return bytes(ether(address, mac) / message / (ICMPv6NDOptSrcLLAddr(lladdr=mac) if option else b""))


class SpeakerProcess:
    """A speaker in its own process and namespace; remembers every change it told of."""

    def __init__(self, namespace: str, settings: Mapping[str, Any]) -> None:
        self.changes: list[dict[str, Any]] = []
        self._news = threading.Condition()
        argv = [sys.executable, "-m", "tests.lab.speaker_runner", json.dumps(settings)]
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *argv], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def apply(
        self,
        addresses: Mapping[str, Sequence[str]],
        peers: Mapping[str, Sequence[str]],
        probe: Sequence[str] = (),
        per_client: Sequence[str] = (),
    ) -> None:
        assert self.process.stdin is not None
        wanted = {"addresses": addresses, "peers": peers, "probe": probe, "per_client": per_client}
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()

    def wait_for(self, kind: str, *, after: int = 0, **fields: Any) -> dict[str, Any]:
        """The first change of that kind with these fields, among those numbered from `after`."""

        def matching() -> list[dict[str, Any]]:
            wanted = {"change": kind, **fields}
            return [each for each in self.changes[after:] if wanted.items() <= each.items()]

        with self._news:
            assert self._news.wait_for(matching, PATIENCE), f"no {kind} {fields} in {self.changes[after:]}"
            return matching()[0]

    @property
    def serves(self) -> bool:
        """Whether it may own addresses."""
        return self._last("Standing", "standing") in {each.name for each in ELIGIBLE}

    @property
    def owners(self) -> dict[str, str | None]:
        """Of each address, as this node sees it."""
        return self._last("OwnersChanged", "owners") or {}

    def _last(self, kind: str, field: str) -> Any:
        with self._news:
            return next((each[field] for each in reversed(self.changes) if each["change"] == kind), None)

    def send(self, number: int) -> None:
        self.process.send_signal(number)
        if number == signal.SIGSTOP:
            # Its threads stop one by one: until then it may still answer what comes.
            os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def close(self) -> None:
        """End it, however it is; SIGKILL also ends a stopped process."""
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                stream.close()  # type: ignore[union-attr]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._news:
                self.changes.append(json.loads(line))
                self._news.notify_all()


class Lan:
    """The network, its speakers and the client's packet socket."""

    def __init__(self) -> None:
        self._prefix = f"hs-{os.getpid()}-{next(_numbers)}"
        self._namespaces: list[str] = []
        self.speakers: dict[str, SpeakerProcess] = {}
        self._socket: socket.socket | None = None

    def namespace(self, host: str) -> str:
        return f"{self._prefix}-{host}"

    def build(self) -> None:
        for host in ("lan", "client", *NODES):
            run("ip", "netns", "add", self.namespace(host))
            self._namespaces.append(self.namespace(host))
        self.ip("lan", "link add lan type bridge forward_delay 0 mcast_snooping 0")
        self.ip("lan", "link set lan up")
        for number, host in [(100, "client"), *enumerate(NODES, 1)]:
            mac = MAC.get(host, CLIENT_MAC)
            there = self.namespace(host)
            self.ip("lan", f"link add {host} type veth peer name eth0 address {mac} netns {there}")
            self.ip("lan", f"link set {host} master lan up")
            self.ip(host, "link set lo up")
            self.ip(host, f"addr add 192.168.78.{number}/24 dev eth0")
            self.ip(host, f"addr add 10.78.0.{number}/24 dev eth0")
            self.ip(host, f"addr add fd78::{number:x}/64 dev eth0 nodad")
            self.ip(host, "link set eth0 up")
        network = Surroundings(network=named(self.namespace("client")))
        self._socket = run_in(network, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0))
        self._socket.bind(("eth0", 3))
        self._socket.setblocking(False)

    def add_hosts(self, macs: Mapping[str, str]) -> None:
        """More clients, numbered from 150, each a namespace of its own with this hardware address."""
        links = []
        for host, mac in macs.items():
            there = self.namespace(host)
            run("ip", "netns", "add", there)
            self._namespaces.append(there)
            links += [
                f"link add {host} type veth peer name eth0 address {mac} netns {there}",
                f"link set {host} master lan up",
            ]
        self._batch("lan", links)
        for number, host in enumerate(macs, 150):
            addresses = [f"192.168.78.{number}/24", f"fd78::{number:x}/64 nodad"]
            self._batch(host, [*(f"addr add dev eth0 {each}" for each in addresses), "link set eth0 up"])

    def _batch(self, host: str, commands: Sequence[str]) -> None:
        argv = ["ip", "-n", self.namespace(host), "-batch", "-"]
        subprocess.run(argv, input="\n".join(commands), check=True, capture_output=True, text=True)

    def ip(self, host: str, command: str) -> None:
        run("ip", "-n", self.namespace(host), *command.split())

    def forward(self, node: str, *, on: bool) -> None:
        """Stop or resume forwarding at the bridge's port of a node, whose carrier stays."""
        state = "forwarding" if on else "disabled"
        run("bridge", "-n", self.namespace("lan"), "link", "set", "dev", node, "state", state)

    def start(self, *nodes: str, **settings: Any) -> None:
        """Start speakers and wait until their sockets are open."""
        for node in nodes:
            raw = {"node_name": node, "key": KEY, **settings}
            self.speakers[node] = SpeakerProcess(self.namespace(node), raw)
        for node in nodes:
            self.speakers[node].wait_for("Started")

    def apply(
        self,
        *nodes: str,
        addresses: Sequence[str] = ALL,
        known: Sequence[str] = NODES,
        probe: Sequence[str] = (),
        per_client: Sequence[str] = (),
        candidates: Sequence[str] | None = None,
    ) -> None:
        """Ask these nodes to announce the addresses together with the `known` nodes, or those of them that are
        `candidates`; some after probing, of some sharing the clients."""
        for node in nodes:
            peers = {name: ips for name, ips in NODE_IPS.items() if name in known and name != node}
            allowed = list(known if candidates is None else candidates)
            self.speakers[node].apply(dict.fromkeys(addresses, allowed), peers, probe, per_client)

    def send(self, *frames: bytes) -> None:
        assert self._socket is not None
        for frame in frames:
            self._socket.send(frame)

    def send_heartbeats(self, node: str, datagrams: Sequence[bytes]) -> None:
        """From the client to a node's membership port."""
        network = Surroundings(network=named(self.namespace("client")))
        with run_in(network, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as opened:
            for datagram in datagrams:
                opened.sendto(datagram, (NODE_IPS[node][0], 7947))

    def received(self, seconds: float) -> Iterator[Any]:
        """The frames that reach the client within that time, as Scapy reads them."""
        assert self._socket is not None
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                frame, about = self._socket.recvfrom(2048)
                if about[2] != socket.PACKET_OUTGOING:
                    yield Ether(frame)

    def answers(self, address: str, frame: bytes | None = None) -> list[Any]:
        """Ask for the address once, and return all answers to the client."""
        for _ in self.received(0.001):
            pass
        self.send(frame or question(address))
        return [each for each in self.received(WINDOW) if answered_by(each, address)]

    def answering(self, *addresses: str) -> dict[str, list[str]]:
        """The hardware addresses that answer for each address, one for each answer."""
        for _ in self.received(0.001):
            pass
        self.send(*map(question, addresses))
        frames = list(self.received(WINDOW))
        return {each: [mac for frame in frames if (mac := answered_by(frame, each))] for each in addresses}

    def await_owners(self, *addresses: str, among: Sequence[str] = NODES) -> dict[str, str]:
        """Ask until each address is answered by exactly one node, one of these; their names."""
        end = time.monotonic() + PATIENCE
        names = {MAC[node]: node for node in among}
        while time.monotonic() < end:
            found = self.answering(*addresses)
            if all(len(macs) == 1 and macs[0] in names for macs in found.values()):
                return {address: names[macs[0]] for address, macs in found.items()}
        raise AssertionError(f"not every address is answered by one of {among} alone; last {found}")

    def await_agreement(self, *nodes: str) -> None:
        """Until all of these serve and see the same owners of all addresses, of their own number.

        While nodes start, each may hear a little earlier than another who serves already, and addresses move.
        """
        speakers = [self.speakers[node] for node in nodes]
        until(lambda: all(each.serves for each in speakers) and _agreed([each.owners for each in speakers], nodes))

    def await_owner(self, address: str, among: Sequence[str] = NODES) -> str:
        """As `await_owners`, for one address."""
        return self.await_owners(address, among=among)[address]

    def neighbour(self, address: str, host: str = "client") -> str | None:
        """What a client's kernel has in its cache."""
        return self.neighbour_entry(address, host).get("lladdr")

    def neighbour_entry(self, address: str, host: str = "client") -> dict[str, Any]:
        """The whole entry, as `ip -json neigh` has it; empty if there is none."""
        argv = ["ip", "-n", self.namespace(host), "-j", "neigh", "show", "to", address, "dev", "eth0"]
        entries = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout or "[]")
        return entries[0] if entries else {}

    def resolve(self, address: str, host: str = "client") -> None:
        """Have a client's kernel send something to the address, for which it must find out where that is."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        network = Surroundings(network=named(self.namespace(host)))
        with run_in(network, lambda: socket.socket(family, socket.SOCK_DGRAM)) as opened:
            opened.sendto(b"x", (address, 9))

    def close(self) -> None:
        for each in self.speakers.values():
            each.close()
        if self._socket is not None:
            self._socket.close()
        for namespace in self._namespaces:
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)


def _agreed(views: Sequence[Mapping[str, str | None]], nodes: Collection[str]) -> bool:
    return all(view == views[0] for view in views) and set(views[0].values()) <= set(nodes)


def answered_by(frame: Any, address: str) -> str:
    """The hardware address that an answer to the client gives for the address; empty for other frames."""
    if ":" not in address:
        if ARP in frame and frame[ARP].op == 2 and frame[ARP].psrc == address and frame.dst != "ff:ff:ff:ff:ff:ff":
            return str(frame[ARP].hwsrc)
    elif ICMPv6ND_NA in frame and frame[ICMPv6ND_NA].tgt == address and ICMPv6NDOptDstLLAddr in frame:
        unsolicited = frame.dst == "33:33:00:00:00:01"
        return "" if unsolicited else str(frame[ICMPv6NDOptDstLLAddr].lladdr)
    return ""


def until(condition: Callable[[], bool]) -> None:
    """Ask again and again until it holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.02)
