"""Herald as users run it: a lab with the chart installed and web servers behind Services of both families."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.speaker.frames import Asker
from benchmarks.speaker.watcher import Watcher
from lab import workloads
from lab.lab import Lab
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.progress import Progress

NODES: Final = 3
_DOORS: Final = 6
"""So many that some node announces addresses of both families."""
_CHART: Final = Path(__file__).parents[2] / "charts" / "heraldlb"
POOL: Final[dict[str, Any]] = {
    "apiVersion": "heraldlb.io/v1beta1",
    "kind": "AddressPool",
    "metadata": {"name": "lan"},
    "spec": {"addresses": ["192.168.100.201-192.168.100.250", "fd00:100::f000/120"]},
}
_PATIENCE: Final = 90.0


@dataclass(frozen=True, slots=True)
class Shop:
    """A lab, and the addresses that its Services have."""

    lab: Lab
    addresses: tuple[str, ...]

    def owners(self) -> dict[str, str]:
        """The node that announces each address, as statuses say."""
        found = {}
        for record in self.lab.items("serviceaddresses"):
            node = record.get("status", {}).get("node")
            if node:
                found[record["spec"]["address"]] = node
        return found

    def pair(self, nodes: Sequence[str]) -> tuple[str, tuple[str, str]]:
        """The first of these nodes that announces addresses of both families, and one of each. Raises LabError."""

        def found() -> tuple[str, tuple[str, str]] | None:
            owners = self.owners()
            for node in nodes:
                ipv4 = [each for each in self.addresses if owners.get(each) == node and ":" not in each]
                ipv6 = [each for each in self.addresses if owners.get(each) == node and ":" in each]
                if ipv4 and ipv6:
                    return node, (ipv4[0], ipv6[0])
            return None

        return wait_for("a node to announce addresses of both families", found, _PATIENCE)

    def watcher(self, interval: float) -> Watcher:
        """On the client. To be entered once."""
        client = self.lab.client
        asker = Asker(bytes.fromhex(client.mac_address.replace(":", "")), client.ipv4, client.ipv6)
        return Watcher(client.socket(socket.AF_PACKET, socket.SOCK_RAW), asker, interval)

    def agent_pod(self, node: str) -> str:
        """The name of the pod of its agent."""
        pods = self.lab.items("pods", "-n", "kube-system", "-l", "app.kubernetes.io/component=agent")
        name: str = next(pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") == node)
        return name

    def agents(self) -> dict[str, Any]:
        """How often each agent was started again, by pod."""
        pods = self.lab.items("pods", "-n", "kube-system", "-l", "app.kubernetes.io/component=agent")
        return {
            pod["metadata"]["name"]: sum(each["restartCount"] for each in pod["status"]["containerStatuses"])
            for pod in pods
        }


@contextmanager
def opened(progress: Progress) -> Iterator[Shop]:
    """Open: every address is announced. Raises LabError."""
    with Lab(NODES, progress=progress) as lab:
        lab.install(_CHART)
        lab.apply(POOL, workloads.web("web", replicas=NODES))
        lab.wait_for_rollout("deployment/web")
        names = [f"door-{number}" for number in range(_DOORS)]
        lab.apply(*(workloads.service(name, selector={"app": "web"}) for name in names))

        def addresses() -> tuple[str, ...]:
            services = [body for body in lab.items("services") if body["metadata"]["name"] in names]
            return tuple(
                entry["ip"] for body in services for entry in body["status"]["loadBalancer"].get("ingress", ())
            )

        wait_for("every Service to have its addresses", lambda: len(addresses()) == 2 * _DOORS, _PATIENCE)
        shop = Shop(lab, addresses())
        wait_for("every address to be announced", lambda: set(shop.addresses) <= shop.owners().keys(), _PATIENCE)
        yield shop
