"""etcd, kube-apiserver and kube-controller-manager of one lab: how each is started, and when it is ready.

Durability is given up for speed: data in memory where the machine has a tmpfs, no fsync. Two more settings differ
from a default cluster, so that tests of failures need not wait minutes: a node is NotReady NODE_GRACE seconds after
its last heartbeat (default: 50), and its pods are evicted EVICTION_SECONDS after that (default: 300).
"""

from __future__ import annotations

import http.client
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab import binaries, pki
from lab.addressing import SERVICES_IPV4, SERVICES_IPV6
from lab.errors import LabError
from lab.namespaces import Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lab.processes import Register

NODE_GRACE = 8
"""Seconds without a heartbeat after which a node is NotReady."""
EVICTION_SECONDS = 30
"""How long a pod without a toleration of its own stays on a node that is NotReady or unreachable."""

ETCD, API_SERVER, CONTROLLER_MANAGER = "etcd", "kube-apiserver", "kube-controller-manager"

# etcd takes HOST:PORT only, and makes that the name of a socket in its working directory; the API server finds it
# the same way.
_ETCD_SOCKET = "unix://etcd:0"
_ETCD_PEER_SOCKET = "unix://etcd-peer:0"

_READY_TIMEOUT = 60.0
_POLL_INTERVAL = 0.05
_STOP_PATIENCE = 2.0


class ControlPlaneError(LabError):
    """A part of the control plane did not start; carries the end of its log."""


def _tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no output)"


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The three processes of one lab, their files, and where they listen."""

    register: Register
    network: Path | None
    """The network namespace they run in; None: the caller's."""
    host: str
    """The address the API server listens on, and is advertised with."""
    port: int
    dual_stack: bool = True

    @property
    def folder(self) -> Path:
        return self.register.lab

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    @property
    def authority_file(self) -> Path:
        return self._pki / "ca.crt"

    @property
    def _pki(self) -> Path:
        return self.folder / "pki"

    def write_credentials(self, authority: pki.Authority, addresses: Iterable[str]) -> None:
        """Make the files the processes need. `addresses`: where clients reach the API server, besides `host`."""
        self._pki.mkdir(parents=True)
        self.authority_file.write_bytes(authority.certificate)
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
        names.append("kubernetes.default.svc.cluster.local")
        reached_by = {self.host, "127.0.0.1", "::1", str(SERVICES_IPV4[1]), str(SERVICES_IPV6[1]), *addresses}
        serving = authority.server(names, sorted(reached_by))
        tokens = pki.signing_key()
        for name, pair in (("apiserver", serving), ("service-accounts", tokens)):
            (self._pki / f"{name}.crt").write_bytes(pair.certificate)
            pki.write_private(self._pki / f"{name}.key", pair.key)
        manager = authority.client("system:kube-controller-manager")
        pki.write_private(
            self._pki / "controller-manager.kubeconfig",
            pki.certificate_kubeconfig(self.url, authority.certificate, manager),
        )
        probe = authority.client("lab:probe", ["system:masters"])
        pki.write_private(self._pki / "probe.pem", probe.certificate + probe.key)

    def _start(self, name: str, arguments: list[str]) -> None:
        argv = [str(binaries.find(name)), *arguments]
        self.register.start(name, argv, Surroundings(network=self.network), self.folder)

    def start_etcd(self) -> None:
        self._start(
            ETCD,
            [
                "--name=lab",
                f"--data-dir={self.folder}/etcd",
                f"--listen-client-urls={_ETCD_SOCKET}",
                f"--advertise-client-urls={_ETCD_SOCKET}",
                f"--listen-peer-urls={_ETCD_PEER_SOCKET}",
                f"--initial-advertise-peer-urls={_ETCD_PEER_SOCKET}",
                f"--initial-cluster=lab={_ETCD_PEER_SOCKET}",
                "--unsafe-no-fsync",
                "--log-level=warn",
                "--logger=zap",
            ],
        )

    def start_api_server(self) -> None:
        ranges = [str(SERVICES_IPV4)] + ([str(SERVICES_IPV6)] if self.dual_stack else [])
        self._start(
            API_SERVER,
            [
                f"--etcd-servers={_ETCD_SOCKET}",
                f"--bind-address={'::' if self.network else self.host}",
                f"--advertise-address={self.host}",
                f"--secure-port={self.port}",
                f"--cert-dir={self._pki}",
                f"--tls-cert-file={self._pki}/apiserver.crt",
                f"--tls-private-key-file={self._pki}/apiserver.key",
                f"--client-ca-file={self._pki}/ca.crt",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                f"--service-cluster-ip-range={','.join(ranges)}",
                "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
                f"--service-account-key-file={self._pki}/service-accounts.crt",
                f"--service-account-signing-key-file={self._pki}/service-accounts.key",
                f"--default-not-ready-toleration-seconds={EVICTION_SECONDS}",
                f"--default-unreachable-toleration-seconds={EVICTION_SECONDS}",
                "--allow-privileged=true",
                "--endpoint-reconciler-type=none" if self.network is None else "--endpoint-reconciler-type=lease",
            ],
        )

    def start_controller_manager(self) -> None:
        kubeconfig = self._pki / "controller-manager.kubeconfig"
        self._start(
            CONTROLLER_MANAGER,
            [
                f"--kubeconfig={kubeconfig}",
                f"--authentication-kubeconfig={kubeconfig}",
                f"--authorization-kubeconfig={kubeconfig}",
                "--bind-address=127.0.0.1",
                "--secure-port=0",
                "--leader-elect=false",
                "--kube-api-qps=200",
                "--kube-api-burst=400",
                "--use-service-account-credentials=true",
                f"--root-ca-file={self._pki}/ca.crt",
                f"--service-account-private-key-file={self._pki}/service-accounts.key",
                "--controllers=*",
                "--allocate-node-cidrs=false",
                "--node-monitor-period=1s",
                f"--node-monitor-grace-period={NODE_GRACE}s",
            ],
        )

    def _probe(self, path: str) -> bool:
        context = ssl.create_default_context(cafile=str(self.authority_file))
        context.load_cert_chain(self._pki / "probe.pem")
        connection = http.client.HTTPSConnection(self.host, self.port, timeout=5, context=context)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()

    def is_ready(self) -> bool:
        """Whether the API server says so at /readyz. Call where `host` is reachable."""
        return self._probe("/readyz")

    def check_running(self) -> None:
        """Raise ControlPlaneError if a process that was started has ended."""
        for name in (ETCD, API_SERVER, CONTROLLER_MANAGER):
            process = self.register.get(name)
            if process is not None and not process.is_alive():
                raise ControlPlaneError(
                    f"{name} ended; the end of {self.register.log(name)}:\n{_tail(self.register.log(name))}"
                )

    def wait_ready(self) -> None:
        """Return when the API server is ready. Raises ControlPlaneError if it ends or takes over a minute."""
        deadline = time.monotonic() + _READY_TIMEOUT
        while not self.is_ready():
            self.check_running()
            if time.monotonic() > deadline:
                log = self.register.log(API_SERVER)
                raise ControlPlaneError(f"the API server is not ready after {_READY_TIMEOUT:.0f} s:\n{_tail(log)}")
            time.sleep(_POLL_INTERVAL)

    def stop_api_server(self) -> None:
        """Stop kube-apiserver, and kube-controller-manager with it; etcd keeps the state.

        In a real cluster the controller manager ends by itself when it cannot renew its Lease. Left running, it
        would wait up to a minute between its tries, and serve nothing in the first minute after the outage.
        """
        self._stop(CONTROLLER_MANAGER)
        self._stop(API_SERVER)

    def _stop(self, name: str) -> None:
        process = self.register.get(name)
        if process is not None:
            process.stop(_STOP_PATIENCE)
            self.register.remove(name)
