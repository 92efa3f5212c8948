"""An API server and two nodes, one for Herald and one for kube-proxy, that share nothing else.

    client pod --- node --- server          on each of the two nodes
                    |
                    +--- LAN --- API server

Each server has all addresses of ENDPOINTS at once, so that any number of Services has endpoints of its own that
answer. Before a Service is programmed its address is the node's own: a connection to it is refused at once, so one
may be tried often, and none waits for a retransmission.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from benchmarks.speaker.site import Site
from lab import binaries, pki
from lab.addressing import API_PORT, CONTROL_PLANE, SERVICES_IPV4, plan
from lab.control_plane import ControlPlane
from lab.kube_proxy import IDENTITY
from lab.namespaces import Surroundings, run_in
from lab.network import INTERFACE, ip, nft, set_sysctls
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.processes import Process

OPEN_PORT: Final = 8080
CLOSED_PORT: Final = 8081
"""Nobody listens there: an endpoint on it refuses."""
STREAM_PORT: Final = 5201
"""An iperf3 server."""

ENDPOINTS: Final = IPv4Network("10.128.0.0/14")

_REPOSITORY: Final = Path(__file__).parents[2]
_CRDS: Final = _REPOSITORY / "crds"


@dataclass(frozen=True, slots=True)
class Stand:
    """One node with its client and its server, by the names of their hosts."""

    node: str

    @property
    def client(self) -> str:
        return f"{self.node}-client"

    @property
    def server(self) -> str:
        return f"{self.node}-server"


HERALD: Final = Stand("node-1")
KUBE_PROXY: Final = Stand("node-2")
STANDS: Final = (HERALD, KUBE_PROXY)


class ForwardingSite(Site):
    """Entering it returns when the API server serves. Raises LabError."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts = plan(len(STANDS))
        self._control_plane = ControlPlane(
            self._register, self.network.path(CONTROL_PLANE), str(self.hosts[CONTROL_PLANE].ipv4), API_PORT
        )
        self._port_file = self.folder / "relay-port"

    def build(self) -> None:
        self.network.up(self.hosts)
        for stand in STANDS:
            self._wire(stand)
            # What one measurement leaves in conntrack should not be what the next one meets.
            set_sysctls({"net/netfilter/nf_conntrack_tcp_timeout_close": "1"}, self.network.path(stand.node))
        self._write_credentials()
        self._control_plane.start_etcd()
        self._control_plane.start_api_server()
        self._start_relay()
        for stand in STANDS:
            self.start(f"server-{stand.node}", stand.server, "benchmarks.forward.server", str(OPEN_PORT))
            self.run(
                f"iperf3-{stand.node}",
                stand.server,
                [str(binaries.find("iperf3")), "--server", f"--port={STREAM_PORT}"],
            )
        run_in(Surroundings(self.network.path(CONTROL_PLANE)), self._control_plane.wait_ready)

    def crds(self) -> list[dict[str, object]]:
        """Herald's kinds, as the API server takes them."""
        return [yaml.safe_load(file.read_text()) for file in sorted(_CRDS.glob("*.yaml"))]

    @property
    def url(self) -> str:
        """The API server, from this machine's own network."""
        return f"https://127.0.0.1:{self._port_file.read_text()}"

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def administrator(self) -> Path:
        """The kubeconfig of one, for use on the nodes."""
        return self.pki / "administrator.kubeconfig"

    @property
    def kube_proxy(self) -> Path:
        """The kubeconfig of kube-proxy."""
        return self.pki / "kube-proxy.kubeconfig"

    def run(self, name: str, host: str, argv: Sequence[str]) -> Process:
        """Start a program on a host, as a process of this name."""
        self._register.remove(name)
        surroundings = Surroundings(self.network.path(host), own_system_view=True)
        return self._register.start(name, argv, surroundings, _REPOSITORY)

    def end(self, name: str) -> None:
        """End a process; what it left in the kernel stays."""
        self.process(name).stop(patience=10.0)
        self._register.remove(name)

    def flush_rules(self, stand: Stand) -> None:
        """Take away whatever was programmed on a node."""
        nft("flush ruleset\n", self.network.path(stand.node))

    def _wire(self, stand: Stand) -> None:
        node, pods = self.network.path(stand.node), self.hosts[stand.node].pods_ipv4
        assert pods is not None
        gateway, client, transit = pods[1], pods[5], pods[129]
        for host in (stand.client, stand.server):
            ip([f"netns add {self.network.namespace(host)}"])
        ip(
            [
                f"link add client type veth peer name {INTERFACE} netns {self.network.namespace(stand.client)}",
                f"link add server type veth peer name {INTERFACE} netns {self.network.namespace(stand.server)}",
                f"address add {gateway}/25 dev client",
                f"address add {transit}/25 dev server",
                "link set client up",
                "link set server up",
                f"route add {ENDPOINTS} via {pods[130]} dev server",
                f"route add local {SERVICES_IPV4} dev lo",
            ],
            node,
        )
        ip(
            [
                "link set lo up",
                f"address add {client}/25 dev {INTERFACE}",
                f"link set {INTERFACE} up",
                f"route add default via {gateway}",
            ],
            self.network.path(stand.client),
        )
        ip(
            [
                "link set lo up",
                f"address add {pods[130]}/25 dev {INTERFACE}",
                f"link set {INTERFACE} up",
                f"route add default via {transit}",
                f"route add local {ENDPOINTS} dev lo",
            ],
            self.network.path(stand.server),
        )
        set_sysctls({"net/core/somaxconn": "65535"}, self.network.path(stand.server))

    def _write_credentials(self) -> None:
        authority = pki.Authority()
        self._control_plane.write_credentials(authority, [])
        for file, user, groups in (
            (self.administrator, "bench:admin", ["system:masters"]),
            (self.kube_proxy, IDENTITY, []),
        ):
            pair = authority.client(user, groups)
            content = pki.certificate_kubeconfig(self._control_plane.url, authority.certificate, pair)
            pki.write_private(file, content)

    def _start_relay(self) -> None:
        target = str(self.network.path(CONTROL_PLANE))
        argv = [sys.executable, "-m", "lab.relay", target, self._control_plane.host, str(API_PORT)]
        self._register.start("relay", [*argv, str(self._port_file)], Surroundings(), _REPOSITORY)
        wait_for("the relay to the API server", self._port_file.exists)
