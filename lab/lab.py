"""A cluster in a box: a real control plane, nodes as network namespaces, a LAN, and a client on it."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lab import binaries, kube_proxy, pki, store
from lab.addressing import API_PORT, CLIENT, CONTROL_PLANE, HostAddresses, plan
from lab.cluster import Cluster
from lab.control_plane import ControlPlane
from lab.errors import LabError
from lab.faults import freeze, powerless, thaw
from lab.finding import container_process, pod_host
from lab.host import Host
from lab.namespaces import Surroundings, run_in
from lab.network import Network
from lab.processes import Process, Register
from lab.progress import silent, step
from lab.supervisor import Supervision
from lab.teardown import teardown
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.progress import Progress

RELAY, SCHEDULER = "relay", "scheduler"
_ROOT = Path(__file__).parent.parent
_STOP_PATIENCE = 5.0
_CLEANUP_PATIENCE = 60.0


def _kube_proxy(node: str) -> str:
    return f"kube-proxy-{node}"


def kubelet(node: str) -> str:
    """The name a node's kubelet stand-in is registered under."""
    return f"kubelet-{node}"


def _answers(host: Host, port: int) -> bool:
    try:
        host.http_get(str(host.ipv4), port, "/healthz")
    except OSError:
        return False
    return True


class Lab(Cluster):
    """One lab. A context manager that takes it down, unless `keep` was called; or `Lab.attach` to a kept one.

    The lab never outlives the process that made it, however that ends, unless it is kept.
    """

    def __init__(self, nodes: int = 3, name: str | None = None, *, progress: Progress = silent) -> None:
        """Nothing is started before `up`. `progress` is told of steps that take more than two seconds."""
        super().__init__(store.base_folder() / (name or store.new_name()), progress)
        self._network = Network(self.name)
        self._addresses = plan(nodes)
        self._register = Register(self.folder)
        control_plane = self._addresses[CONTROL_PLANE]
        self._control_plane = ControlPlane(
            self._register, self._network.path(CONTROL_PLANE), str(control_plane.ipv4), API_PORT
        )
        self._relay_port: int | None = None
        self._supervision: Supervision | None = None
        self._is_there = False
        self.hosts = {name: self._host(addresses) for name, addresses in self._addresses.items()}

    @classmethod
    def attach(cls, name: str | None = None, *, progress: Progress = silent) -> Lab:
        """A lab that is up, made by this or another process; None: the only one there is. Raises LabError."""
        folder, state = store.existing(name)
        lab = cls(state.nodes, folder.name, progress=progress)
        lab._relay_port = state.relay_port
        lab._is_there = True
        return lab

    def _host(self, addresses: HostAddresses) -> Host:
        variables = {"KUBECONFIG": str(self.folder / "lan.kubeconfig")}
        return Host(
            name=addresses.name,
            ipv4=addresses.ipv4,
            ipv6=addresses.ipv6,
            mac_address=addresses.mac_address,
            network=self._network.path(addresses.name),
            environment=variables,
        )

    @property
    def nodes(self) -> dict[str, Host]:
        return {name: self.hosts[name] for name, addresses in self._addresses.items() if addresses.is_node}

    @property
    def client(self) -> Host:
        """A machine on the LAN that is no part of the cluster."""
        return self.hosts[CLIENT]

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._relay_port}"

    # -- coming and going

    def up(self) -> None:
        """Return when all nodes are Ready and pods can be made. Raises LabError."""
        binaries.find_for_lab(self._progress)
        store.create(self.name)
        self._is_there = True
        self._supervision = Supervision(self.folder)
        with step("Starting the control plane", self._progress):
            self._network.up(self._addresses)
            self._write_credentials()
            self._control_plane.start_etcd()
            self._control_plane.start_api_server()
            self._start_relay()
            for node in self.nodes:
                self._start_kubelet(node)
            self._start_scheduler()
            self._wait_for_api_server()
            self._control_plane.start_controller_manager()
        with step("Waiting for the nodes", self._progress):
            self.wait_ready()
            wait_for("the ServiceAccount of the namespace default", self._takes_pods)
        self._save(kept=False)

    def keep(self) -> None:
        """From now on the lab outlives this process; `down` removes it."""
        self._save(kept=True)
        self._is_kept = True
        if self._supervision:
            self._supervision.keep()
            self._supervision = None

    def down(self) -> None:
        processes = self._register.all().values()
        if self._supervision:
            self._supervision.end()
            self._supervision = None
        elif self._is_there:
            teardown(self.folder)
        self._is_there = False
        for process in processes:
            process.reap()

    def _save(self, *, kept: bool) -> None:
        state = store.State(
            name=self.name,
            nodes=len(self.nodes),
            kept=kept,
            api_host=self._control_plane.host,
            api_port=self._control_plane.port,
            relay_port=self._relay_port,
        )
        state.save(self.folder)

    def _write_credentials(self) -> None:
        authority = pki.Authority()
        control_plane = self._addresses[CONTROL_PLANE]
        self._control_plane.write_credentials(authority, [str(control_plane.ipv4), str(control_plane.ipv6)])
        identities = {SCHEDULER: authority.client("system:kube-scheduler")}
        for node in self.nodes:
            identities[node] = authority.client(f"system:node:{node}", ["system:nodes"])
        for name, pair in identities.items():
            pki.write_private(self.folder / "pki" / f"{name}.pem", pair.certificate + pair.key)
        admin = authority.client("lab:admin", ["system:masters"])
        proxy = authority.client(kube_proxy.IDENTITY)
        for file, pair in (
            (self.folder / "lan.kubeconfig", admin),
            (self.folder / "pki" / "kube-proxy.kubeconfig", proxy),
        ):
            content = pki.certificate_kubeconfig(self._control_plane.url, authority.certificate, pair)
            pki.write_private(file, content)
        self._authority = authority

    # -- processes

    def _start(self, name: str, module: str, arguments: list[str], surroundings: Surroundings) -> None:
        self._register.start(name, [sys.executable, "-m", module, *arguments], surroundings, _ROOT)

    @property
    def _api_arguments(self) -> list[str]:
        return ["--folder", str(self.folder), "--api-server", self._control_plane.url]

    def _start_kubelet(self, node: str) -> None:
        arguments = ["--node", node, "--nodes", str(len(self.nodes)), *self._api_arguments]
        self._start(kubelet(node), "lab.kubelet", arguments, Surroundings(self._network.path(node), new_pids=True))

    def _start_scheduler(self) -> None:
        surroundings = Surroundings(self._network.path(CONTROL_PLANE))
        self._start(SCHEDULER, "lab.scheduler", self._api_arguments, surroundings)

    def _start_relay(self) -> None:
        port_file = self.folder / "relay-port"
        target = self._network.path(CONTROL_PLANE)
        host, port = self._control_plane.host, str(self._control_plane.port)
        self._start(RELAY, "lab.relay", [str(target), host, port, str(port_file)], Surroundings())
        wait_for("the relay to the API server", port_file.exists)
        self._relay_port = int(port_file.read_text())
        self._write_admin_kubeconfig(self._authority)

    def process(self, node: str, name: str) -> Process:
        """The first process of a container on a node. `name`: of the container, the pod, or what made the pod.

        Raises LabError if there is none, or more than one.
        """
        return container_process(self._node_process(node), name)

    def _node_process(self, node: str) -> Process:
        process = self._register.get(kubelet(node))
        if process is None:
            raise LabError(f"{node} is powered off")
        return process

    def kubelet(self, node: str) -> Process:
        """The node's kubelet stand-in: paused, it stops its heartbeat, and the pods run on. Raises LabError."""
        return self._node_process(node)

    def pod(self, name: str, namespace: str = "default") -> Host:
        """A running pod as a host, to run commands in its network. Raises LabError."""
        return pod_host(self.get("pod", name, "-n", namespace), self._node_process)

    @staticmethod
    def pause(process: Process) -> None:
        """SIGSTOP."""
        process.send(signal.SIGSTOP)

    @staticmethod
    def resume(process: Process) -> None:
        """SIGCONT."""
        process.send(signal.SIGCONT)

    # -- kube-proxy, which no node runs unless told to

    def start_kube_proxy(self, mode: kube_proxy.Mode) -> None:
        """Run kube-proxy on every node; return when each has programmed what there is. Raises LabError."""
        if mode == "iptables":
            binaries.find("iptables")
        for node in self.nodes:
            file = self._kube_proxy_file(node)
            content = kube_proxy.configuration(node, mode, self.folder / "pki" / "kube-proxy.kubeconfig")
            pki.write_private(file, json.dumps(content))
            surroundings = Surroundings(self._network.path(node), own_system_view=True)
            self._register.start(_kube_proxy(node), kube_proxy.command(file), surroundings, self.folder)
        for node, host in self.nodes.items():
            wait_for(f"kube-proxy on {node}", lambda host=host: _answers(host, kube_proxy.HEALTH_PORT))  # type: ignore[misc]

    def stop_kube_proxy(self, *, for_good: bool = False) -> None:
        """End it on every node. Its rules stay, as after a crash or an upgrade, unless it goes for good."""
        for node, host in self.nodes.items():
            if process := self._register.get(_kube_proxy(node)):
                process.stop(_STOP_PATIENCE)
                self._register.remove(_kube_proxy(node))
            if for_good:
                host.exec(kube_proxy.cleanup_command(self._kube_proxy_file(node)), timeout=_CLEANUP_PATIENCE)

    def _kube_proxy_file(self, node: str) -> Path:
        return self.folder / "pki" / f"{_kube_proxy(node)}.json"

    # -- waiting

    def _is_ready(self) -> bool:
        return run_in(Surroundings(self._network.path(CONTROL_PLANE)), self._control_plane.is_ready)

    def _wait_for_api_server(self) -> None:
        run_in(Surroundings(self._network.path(CONTROL_PLANE)), self._control_plane.wait_ready)

    def _takes_pods(self) -> bool:
        return bool(self.items("serviceaccounts", "--field-selector=metadata.name=default"))

    def ready_nodes(self) -> set[str]:
        """The nodes the cluster holds for Ready. Raises KubectlError."""
        return {
            node["metadata"]["name"]
            for node in self.items("nodes")
            for condition in node["status"].get("conditions", ())
            if condition["type"] == "Ready" and condition["status"] == "True"
        }

    def wait_ready(self, nodes: Iterable[str] | None = None, timeout: float = 60.0) -> None:
        """Until these nodes, or all, are Ready. Raises WaitTimeoutError."""
        wanted = set(self.nodes if nodes is None else nodes)
        wait_for(f"{', '.join(sorted(wanted))} to be Ready", lambda: wanted <= self.ready_nodes(), timeout)

    def wait_not_ready(self, node: str, timeout: float = 60.0) -> None:
        """Until the cluster has noticed that the node is gone. Raises WaitTimeoutError."""
        wait_for(f"{node} to be NotReady", lambda: node not in self.ready_nodes(), timeout)

    # -- faults

    def cut_link(self, host: str) -> None:
        """Pull the host's cable: it and the bridge lose carrier."""
        self._network.cut_link(host)

    def heal_link(self, host: str) -> None:
        """Plug the cable back in."""
        self._network.heal_link(host)

    def cut(self, one: str, other: str) -> None:
        """Drop every frame between two hosts, both ways; all other traffic flows."""
        self._network.cut(one, other)

    def heal(self, one: str, other: str) -> None:
        """Undo `cut`."""
        self._network.heal(one, other)

    def power_off(self, node: str) -> None:
        """At one stroke: link down, every process of the node and its pods killed, its kernel state gone."""
        process = self._node_process(node)
        self._network.cut_link(node)
        powerless(process, self._network.path(node))
        self._register.remove(kubelet(node))
        self._network.disconnect(node)

    def power_on(self, node: str) -> None:
        """Boot the node: link, addresses, kubelet; its pods start again. See `wait_ready`."""
        if self._register.get(kubelet(node)) is not None:
            raise LabError(f"{node} is on")
        self._network.connect(self._addresses[node], self._addresses.values())
        self._start_kubelet(node)

    def freeze(self, node: str) -> None:
        """SIGSTOP every process of the node and its pods; the kernel's part of it, routing and rules, works on."""
        freeze(self._node_process(node), self._network.path(node))

    def thaw(self, node: str) -> None:
        """Let a frozen node go on."""
        thaw(self._node_process(node), self._network.path(node))

    def stop_api_server(self) -> None:
        """Stop kube-apiserver, and kube-controller-manager with it; etcd keeps the state."""
        self._control_plane.stop_api_server()

    def start_api_server(self) -> None:
        """Start both again; return when the API server is ready."""
        self._control_plane.start_api_server()
        self._wait_for_api_server()
        self._control_plane.start_controller_manager()
