"""Herald in the lab, asked as its users ask it: with kubectl, and from the client host."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from lab.waiting import wait_for
from lab.workloads import service, web

if TYPE_CHECKING:
    from lab.host import Host
    from lab.lab import Lab
    from lab.processes import Process

Body = dict[str, Any]

CHART = Path(__file__).parents[3] / "charts" / "heraldlb"
AGENT, AGENT_METRICS_PORT = "agent", 7473
POOL = {
    "apiVersion": "heraldlb.io/v1beta1",
    "kind": "AddressPool",
    "metadata": {"name": "lan"},
    "spec": {"addresses": ["192.168.100.201-192.168.100.250", "fd00:100::f000/120"]},
}
PATIENCE = 60.0
"""Seconds after which what must come has not come, on however busy a machine."""


@dataclass(frozen=True, slots=True)
class Exposed:
    """A LoadBalancer Service that has its addresses, one of each family."""

    namespace: str
    name: str
    ipv4: str
    ipv6: str
    node_port: int

    @property
    def addresses(self) -> tuple[str, str]:
        return self.ipv4, self.ipv6


@dataclass(frozen=True, slots=True)
class Placement:
    """Who announces an address, and since when."""

    node: str
    mac: str
    since: str


class Product:
    """What tests need to know of Herald in a lab."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def install(self) -> None:
        """Apply the chart; return when every agent serves."""
        self.lab.install(CHART)
        self.wait_healthy()

    # -- Services

    def expose(self, namespace: str, name: str, **spec: Any) -> Exposed:
        """Make a Service; return when it has an address of each family."""
        self.lab.apply(service(name, namespace, **spec))
        return self.exposed(namespace, name)

    def run(self, namespace: str, name: str = "web", replicas: int = 2) -> None:
        """Run web servers; return when they are ready."""
        self.lab.apply(web(name, namespace, replicas))
        self.lab.wait_for_rollout(f"deployment/{name}", namespace)

    def exposed(self, namespace: str, name: str) -> Exposed:
        shown = wait_for(f"addresses of {namespace}/{name}", lambda: self._both(namespace, name), PATIENCE)
        by_version = {ipaddress.ip_address(address).version: address for address in shown}
        ports = self.lab.get("service", name, "-n", namespace)["spec"]["ports"]
        return Exposed(namespace, name, by_version[4], by_version[6], ports[0]["nodePort"])

    def _both(self, namespace: str, name: str) -> list[str] | None:
        found = self.shown(namespace, name)
        return found if len(found) == 2 else None

    def shown(self, namespace: str, name: str) -> list[str]:
        """The addresses in a Service's status."""
        status = self.lab.get("service", name, "-n", namespace)["status"]["loadBalancer"]
        return [entry["ip"] for entry in status.get("ingress", ())]

    def events(self, namespace: str, name: str, reason: str) -> list[str]:
        """The notes of the Service's Events with that reason."""
        selector = f"--field-selector=involvedObject.kind=Service,involvedObject.name={name},reason={reason}"
        return [event["message"] for event in self.lab.items("events", "-n", namespace, selector)]

    # -- addresses

    def record(self, address: str) -> Body:
        """The ServiceAddress of an address."""
        return self.lab.get("serviceaddress", record_name(address))

    def owner(self, address: str) -> str:
        """The node that the status names; empty if none."""
        return _node(self.record(address))

    def placements(self) -> dict[str, Placement]:
        """Where each address is announced as its status says; those announced by nobody are left out."""
        return {
            record["spec"]["address"]: Placement(_node(record), status["macAddress"], status["since"])
            for record in self.lab.items("serviceaddresses")
            if _node(record) and condition(record, "Announced").get("status") == "True"
            for status in [record["status"]]
        }

    def announcers(self) -> dict[str, str]:
        """The node that announces each address as its status says."""
        return {address: placement.node for address, placement in self.placements().items()}

    def await_owner(self, address: str, *among: str, timeout: float = PATIENCE) -> str:
        """Until the status names one of these nodes, or any, as announcing it."""
        wanted = set(among or self.lab.nodes)

        def named() -> str:
            record = self.record(address)
            node = _node(record)
            return node if node in wanted and condition(record, "Announced").get("status") == "True" else ""

        return wait_for(f"{address} to be announced by {' or '.join(sorted(wanted))}", named, timeout)

    def mac(self, node: str) -> str:
        """Of a node; empty if there is none of that name."""
        return self.lab.nodes[node].mac_address if node in self.lab.nodes else ""

    def macs(self, *without: str) -> set[str]:
        """Of all nodes but these."""
        return {host.mac_address for name, host in self.lab.nodes.items() if name not in without}

    def node_of(self, mac: str) -> str:
        return next(name for name, host in self.lab.nodes.items() if host.mac_address == mac)

    # -- connections

    def fetch(self, address: str, port: int = 80, host: Host | None = None, timeout: float = PATIENCE) -> str:
        """What a web server answers, asked until it does. Raises WaitTimeoutError."""
        asking = host or self.lab.client

        def answer() -> str:
            try:
                return asking.http_get(address, port, timeout=1.0)
            except OSError:
                return ""

        return wait_for(f"{address} port {port} to answer", answer, timeout)

    # -- agents

    def agent(self, node: str) -> Process:
        return self.lab.process(node, AGENT)

    def metrics(self, node: str) -> dict[str, float]:
        """An agent's metrics by name and label values, as `heraldlb_speaker_frames_total{Answered}`."""
        text = self.lab.client.http_get(str(self.lab.nodes[node].ipv4), AGENT_METRICS_PORT, "/metrics")
        found = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(value for _, value in sorted(sample.labels.items()))
                found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
        return found

    def serves(self, node: str) -> bool:
        """Whether the node's agent may own addresses and hears the agents of all other nodes."""
        try:
            metrics = self.metrics(node)
        except OSError:
            return False
        others = len(self.lab.nodes) - 1
        return (
            metrics.get("heraldlb_speaker_serving") == 1 and metrics.get("heraldlb_speaker_peers_alive") == others
        )

    def restarts(self) -> dict[str, int]:
        """Restarts of Herald's containers, by pod."""
        pods = self.lab.items("pods", "-n", "kube-system", "-l", "app.kubernetes.io/name=heraldlb")
        return {
            pod["metadata"]["name"]: status["restartCount"]
            for pod in pods
            for status in pod["status"].get("containerStatuses", ())
        }

    def agent_logs(self) -> str:
        """What every agent has said last."""
        pods = self.lab.items("pods", "-n", "kube-system", "-l", "app.kubernetes.io/component=agent")
        return "\n".join(
            f"{pod['spec'].get('nodeName')}:\n{self.lab.log_tail(pod['metadata']['name'], 'kube-system')}"
            for pod in pods
        )

    def wait_healthy(self) -> None:
        """Until every node is Ready, and every agent serves and hears all the others."""
        self.lab.wait_ready()
        for node in self.lab.nodes:
            wait_for(f"the agent on {node} to serve", lambda node=node: self.serves(node), PATIENCE)  # type: ignore[misc]

    def wait_settled(self) -> None:
        """Until no agent is on probation, after which addresses move; long, where the machine starved some."""
        for node in self.lab.nodes:
            wait_for(f"{node} to be proven", lambda node=node: not self._on_probation(node), PATIENCE * 5)  # type: ignore[misc]

    def _on_probation(self, node: str) -> bool:
        return self.metrics(node)["heraldlb_speaker_probation"] == 1


def _node(record: Body) -> str:
    return record.get("status", {}).get("node") or ""


def record_name(address: str) -> str:
    """IPv4 as it is, IPv6 as eight groups joined by `-`."""
    groups = ipaddress.ip_address(address).exploded.split(":")
    return address if len(groups) == 1 else "-".join(f"{int(group, 16):x}" for group in groups)


def condition(body: Body, kind: str) -> Body:
    """A condition of an object's status; empty if there is none."""
    conditions = body.get("status", {}).get("conditions", ())
    return next((each for each in conditions if each["type"] == kind), {})


def milliseconds(since: float, until: float | None = None) -> int:
    """Between two times of the monotonic clock; the second: now."""
    return round(((time.monotonic() if until is None else until) - since) * 1000)
