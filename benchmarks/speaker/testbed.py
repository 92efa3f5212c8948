"""A LAN with real speakers, without a cluster: four nodes, a client and a watcher.

    client ---+--- LAN ---+--- node-1 ... node-4: a speaker, and an echo behind its addresses
    watcher --+

Every node translates what arrives for an address to its own, as the forwarder does, whoever announces it: where the
frames go is up to the LAN.
"""

from __future__ import annotations

import json
import secrets
import signal
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from benchmarks.speaker.frames import Asker
from benchmarks.speaker.site import Site
from benchmarks.speaker.traffic import Traffic
from benchmarks.speaker.watcher import Watcher
from heraldlb.speaker.standing import ELIGIBLE
from lab.addressing import CLIENT, LAN_IPV4, LAN_IPV6, HostAddresses, plan
from lab.network import nft
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.processes import Process

WATCHER: Final = "watcher"
NODES: Final = 4
IPV4: Final = tuple(str(LAN_IPV4[220 + number]) for number in range(8))
IPV6: Final = tuple(str(LAN_IPV6[0xF000 + number]) for number in range(8))
_WATCHER_NUMBER: Final = 201
_STANDINGS: Final = frozenset(standing.name for standing in ELIGIBLE)
_PATIENCE: Final = 60.0

_FORWARDING: Final = """
table inet forwarding {{
    chain prerouting {{
        type nat hook prerouting priority dstnat; policy accept;
        ip daddr {{ {ipv4} }} dnat ip to {own.ipv4}
        ip6 daddr {{ {ipv6} }} dnat ip6 to {own.ipv6}
    }}
}}
"""


def speaker(node: str) -> str:
    """The name a node's speaker is registered under."""
    return f"speaker-{node}"


def echo(node: str) -> str:
    """As `speaker`."""
    return f"echo-{node}"


class Testbed(Site):
    """Entering it returns when every node serves and hears all others. Raises LabError."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        hosts = plan(NODES)
        self.nodes = {name: host for name, host in hosts.items() if host.is_node}
        watcher = HostAddresses(WATCHER, _WATCHER_NUMBER)
        self.hosts = {**self.nodes, CLIENT: hosts[CLIENT], WATCHER: watcher}
        self._key = secrets.token_hex(32)
        self._asker = Asker(bytes.fromhex(watcher.mac_address.replace(":", "")), watcher.ipv4, watcher.ipv6)

    def build(self) -> None:
        self.network.up(self.hosts)
        for node in self.nodes:
            self._forward(node)
            self.start_node(node)
        for node in self.nodes:
            self.wait_back(node, 0.0)

    def mac(self, node: str) -> str:
        """Of a node's link."""
        return self.nodes[node].mac_address

    def watcher(self) -> Watcher:
        """To be entered once."""
        packets = partial(socket.socket, socket.AF_PACKET, socket.SOCK_RAW, 0)
        return Watcher(self.call(WATCHER, packets), self._asker)

    def traffic(self) -> Traffic:
        """To be entered once."""
        families = (socket.AF_INET, socket.AF_INET6)
        return Traffic([self.call(CLIENT, partial(socket.socket, each, socket.SOCK_DGRAM)) for each in families])

    # -- nodes

    def start_node(self, node: str) -> None:
        """Start what runs on it."""
        self.start(echo(node), node, "benchmarks.speaker.echo", self.mac(node))
        self.start_speaker(node)

    def start_speaker(self, node: str) -> None:
        """The speaker only."""
        about = {
            "name": node,
            "key": self._key,
            "addresses": {address: list(self.nodes) for address in (*IPV4, *IPV6)},
            "peers": {each: [str(host.ipv4)] for each, host in self.nodes.items() if each != node},
        }
        self.start(speaker(node), node, "benchmarks.speaker.node", json.dumps(about))

    def boot(self, node: str) -> None:
        """After `power_off`: a new machine in every respect but its addresses."""
        self.network.disconnect(node)
        self.network.connect(self.hosts[node], ())
        self._forward(node)
        self.start_node(node)

    def power_off(self, node: str) -> None:
        """At one stroke, as far as anybody outside can tell: its link first."""
        self.network.cut_link(node)
        for process in self.processes(node):
            process.kill()

    def processes(self, node: str) -> Sequence[Process]:
        """All that runs on it."""
        return self.process(speaker(node)), self.process(echo(node))

    def signal_all(self, node: str, number: signal.Signals) -> None:
        """To all that runs on it."""
        for process in self.processes(node):
            process.send(number)

    def said(self, node: str) -> list[dict[str, Any]]:
        """What its speakers have said of themselves, in order."""
        log = self.log(speaker(node))
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def wait_back(self, node: str, since: float) -> None:
        """Until its speaker may own addresses and hears all others, and has said so since. Raises LabError."""

        def is_back() -> bool:
            said = [each for each in self.said(node) if each["time"] >= since]
            return bool(said) and said[-1]["standing"] in _STANDINGS and said[-1]["alive"] == NODES - 1

        wait_for(f"the speaker on {node} to serve among {NODES}", is_back, _PATIENCE)

    def _forward(self, node: str) -> None:
        rules = _FORWARDING.format(ipv4=", ".join(IPV4), ipv6=", ".join(IPV6), own=self.nodes[node])
        nft(rules, self.network.path(node))
