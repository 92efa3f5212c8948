"""A control plane without nodes, on 127.0.0.1, for tests of what passes between Herald and the API server.

Needs no root.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from lab import pki, store
from lab.cluster import Cluster
from lab.control_plane import ControlPlane
from lab.processes import Register
from lab.progress import silent, step
from lab.supervisor import Supervision
from lab.waiting import wait_for

if TYPE_CHECKING:
    from lab.progress import Progress

_LOOPBACK = "127.0.0.1"


def _free_port() -> int:
    with socket.create_server((_LOOPBACK, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class ApiServer(Cluster):
    """etcd, kube-apiserver and, unless told otherwise, kube-controller-manager, as a context manager."""

    def __init__(
        self, name: str | None = None, *, controller_manager: bool = True, progress: Progress = silent
    ) -> None:
        """`controller_manager`: without it no EndpointSlices, no default ServiceAccounts, no end of namespaces."""
        super().__init__(store.base_folder() / (name or store.new_name()), progress)
        self._with_manager = controller_manager
        self._register = Register(self.folder)
        self._control_plane = ControlPlane(self._register, network=None, host=_LOOPBACK, port=_free_port())
        self._supervision: Supervision | None = None

    @property
    def url(self) -> str:
        return self._control_plane.url

    def up(self) -> None:
        """Return when the API server serves and the namespace `default` takes pods. Raises LabError."""
        store.create(self.name)
        self._supervision = Supervision(self.folder)
        authority = pki.Authority()
        self._control_plane.write_credentials(authority, [])
        self._write_admin_kubeconfig(authority)
        with step("Starting the API server", self._progress):
            self._control_plane.start_etcd()
            self.start_api_server()
            if self._with_manager:
                wait_for(
                    "the ServiceAccount of the namespace default",
                    lambda: self.items("serviceaccounts", "--field-selector=metadata.name=default"),
                )

    def down(self) -> None:
        processes = self._register.all().values()
        if self._supervision:
            self._supervision.end()
            self._supervision = None
            for process in processes:
                process.reap()

    def stop_api_server(self) -> None:
        """Stop kube-apiserver, and kube-controller-manager with it; etcd keeps the state."""
        self._control_plane.stop_api_server()

    def start_api_server(self) -> None:
        """Start what ran before, at the same address; return when the API server is ready."""
        self._control_plane.start_api_server()
        self._control_plane.wait_ready()
        if self._with_manager:
            self._control_plane.start_controller_manager()
