"""A cluster of four nodes with eight endpoints, a client beside it, and Services by each way to be compared."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.survive import objects
from benchmarks.survive.server import TALK_PORT
from benchmarks.survive.talk import GapError, Kind, Opening, frame, line, read_answer
from benchmarks.survive.verdict import losses
from lab import binaries
from lab.lab import Lab
from lab.network import INTERFACE
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.host import Host
    from lab.progress import Progress

NODES: Final = 4
SURVIVAL: Final = "survival"
PLAIN: Final = "plain"
KUBE_PROXY: Final = "kube-proxy"
FAMILIES: Final = ("ipv4", "ipv6")
STREAM_NODE: Final = "node-4"

_ENDPOINTS: Final = 8
_CHART: Final = Path(__file__).parents[2] / "charts" / "heraldlb"
_PATIENCE: Final = 90.0
_ANSWER: Final = 5.0
_DATAGRAM: Final = 1 << 11
_DIALS: Final = 32
"""New connections, and as many flows, that must all go as they should, before it counts as so."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Who forwards in a cluster, and the ways there are to its endpoints: by name, whether connections survive."""

    ways: Mapping[str, bool]
    kube_proxy: bool = False
    values: Mapping[str, Any] = field(default_factory=dict)
    """Of the chart."""


HERALD: Final = Setup({SURVIVAL: True, PLAIN: False})
BESIDE_KUBE_PROXY: Final = Setup({KUBE_PROXY: False}, kube_proxy=True, values={"agent": {"keepConnections": False}})
"""Herald gives and announces addresses, as kube-proxy does neither, and does nothing for connections."""


@dataclass(frozen=True, slots=True)
class Stand:
    """It is up."""

    lab: Lab
    setup: Setup

    def address(self, way: str, family: str, app: str = objects.ENDPOINTS) -> str:
        """Of the Service of that way. Raises LabError."""
        status = self.lab.get("service", f"{app}-{way}")["status"]["loadBalancer"]
        addresses: list[str] = [each["ip"] for each in status["ingress"]]
        return next(each for each in addresses if (":" in each) == (family == "ipv6"))

    def owners(self) -> dict[str, str]:
        """The node that announces each address, as statuses say; empty: nobody."""
        return {
            record["spec"]["address"]: record.get("status", {}).get("node", "")
            for record in self.lab.items("serviceaddresses")
        }

    def announce_from(self, node: str) -> None:
        """Returns when it does announce everything. Raises LabError."""
        self.lab.apply(objects.announced_by(node))
        wait_for(f"{node} to announce all addresses", lambda: set(self.owners().values()) == {node}, _PATIENCE)

    def await_owners_beside(self, node: str) -> None:
        """Until others announce everything. Raises LabError."""
        wait_for(f"others than {node} to announce", lambda: not {node, ""} & set(self.owners().values()), _PATIENCE)

    def share_among_all(self, clients: Sequence[Host]) -> None:
        """Every node announces to its share of clients; these have to ask anew. Raises LabError."""
        self.lab.apply(objects.announced_by_all())
        shared = f"{NODES} nodes share its clients"

        def is_shared() -> bool:
            return all(
                any(shared in condition["message"] for condition in record["status"]["conditions"])
                for record in self.lab.items("serviceaddresses")
            )

        wait_for("all nodes to share the clients", is_shared, _PATIENCE)
        for client in clients:
            client.exec(["ip", "neighbour", "flush", "dev", INTERFACE])

    def endpoints(self) -> dict[str, bool]:
        """Of those that talk, by name: whether they get new connections."""
        slices = self.lab.items("endpointslices", "-l", f"kubernetes.io/service-name={self._any_service}")
        return {
            each["targetRef"]["name"]: each["conditions"]["ready"]
            for one in slices
            for each in one.get("endpoints") or ()
        }

    def lost(self) -> dict[int, str]:
        """Connections that servers say they have lost, by number."""
        files = sorted((self.lab.folder / "logs").glob("default_*_main.log"))
        return {number: error for file in files for number, error in losses(file.read_text(errors="replace"))}

    @property
    def _any_service(self) -> str:
        return f"{objects.ENDPOINTS}-{next(iter(self.setup.ways))}"


@contextmanager
def opened(setup: Setup, progress: Progress) -> Iterator[Stand]:
    """Open: every way leads to the endpoints, as it should. Raises LabError."""
    with Lab(NODES, progress=progress) as lab:
        if setup.kube_proxy:
            lab.start_kube_proxy("nftables")
        lab.install(_CHART, setup.values)
        nodes = list(lab.nodes)
        lab.apply(
            objects.POOL,
            objects.stream("stream", STREAM_NODE, binaries.find("iperf3")),
            *(objects.endpoint(f"talker-{number}", nodes[number % NODES]) for number in range(_ENDPOINTS)),
            *(
                objects.service(f"{app}-{way}", app, survives=survives)
                for way, survives in setup.ways.items()
                for app in (objects.ENDPOINTS, objects.STREAM)
            ),
        )
        stand = Stand(lab, setup)
        services = 2 * len(setup.ways)
        wait_for("every Service to have its addresses", lambda: len(stand.owners()) == 2 * services, _PATIENCE)
        wait_for("the endpoints to be ready", lambda: sum(stand.endpoints().values()) == _ENDPOINTS, _PATIENCE)
        stand.announce_from(nodes[0])
        for way, survives in setup.ways.items():
            for family in FAMILIES:
                address = stand.address(way, family)
                what = f"{address} to lead to all endpoints" + (
                    " with the client's own address" if survives else ""
                )
                wait_for(what, lambda: _leads(stand, address, seen=survives), _PATIENCE)  # noqa: B023
        yield stand


def _leads(stand: Stand, address: str, *, seen: bool) -> bool:
    host = stand.lab.client
    own = {str(host.ipv4), str(host.ipv6)}
    try:
        clients = host.call(lambda: [greet(address) for _ in range(_DIALS) for greet in (_greet, _ask)])
    except (OSError, GapError):
        return False
    return all((client in own) == seen for client in clients)


def _greet(address: str) -> str:
    """Whom a server says it sees, over TCP. Raises OSError."""
    with socket.create_connection((address, TALK_PORT), timeout=_ANSWER) as connection:
        connection.sendall(line(Opening(-1)))
        greeting = json.loads(connection.makefile().readline() or "{}")
    if not greeting:
        raise ConnectionResetError(f"{address} said nothing")
    return str(greeting["client"])


def _ask(address: str) -> str:
    """The same over UDP. Raises OSError, GapError."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as flow:
        flow.settimeout(_ANSWER)
        flow.connect((address, TALK_PORT))
        flow.send(frame(Kind.QUESTION))
        _, hello = read_answer(flow.recv(_DATAGRAM))
        return hello.client
