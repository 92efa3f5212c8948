"""Who is measured: Herald, the bare ceiling, and controllers of others. How each is made ready and started."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from benchmarks.allocate import ceiling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.api_server import ApiServer

RANGE: Final = "10.200.0.0/16"
"""What everybody assigns from."""

_REPOSITORY: Final = Path(__file__).parents[2]
_NAMESPACE: Final = "kube-system"
_ACCOUNT: Final = "heraldlb-controller"
_RIGHTS: Final = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}
_PATIENCE: Final = 60.0
_BUILD_PATIENCE: Final = 1800.0
"""Of one that may have to be built first."""
_POOL: Final = {
    "apiVersion": "heraldlb.io/v1beta1",
    "kind": "AddressPool",
    "metadata": {"name": ceiling.POOL},
    "spec": {"addresses": [RANGE]},
}


class Contestant(Protocol):
    """Anybody who serves Services when started."""

    @property
    def name(self) -> str:
        """As it is called in what is told."""

    @property
    def patience(self) -> float:
        """Seconds that it may take to serve the first Service ever."""

    def prepare(self, server: ApiServer) -> Path:
        """Make a fresh API server ready. Returns the kubeconfig to start it with. Raises LabError."""

    def command(self, kubeconfig: Path, *, again: bool) -> Sequence[str]:
        """What to start. `again`: it has run against this API server before."""


def _prepare_for_herald(server: ApiServer) -> Path:
    """The kinds and the rights that the chart ships, and a pool."""
    rendered = server.render(_REPOSITORY / "charts" / "heraldlb", {}, "heraldlb", _NAMESPACE)
    crds = [body for body in rendered if body["kind"] == "CustomResourceDefinition"]
    server.apply(*crds, *(body for body in rendered if body["kind"] in _RIGHTS))
    for crd in crds:
        server.wait_until(f"crd/{crd['metadata']['name']}", "condition=Established")
    server.apply(_POOL)
    return server.service_account_kubeconfig(_NAMESPACE, _ACCOUNT)


@dataclass(frozen=True, slots=True)
class Herald:
    """The controller as the chart runs it, but for the probes."""

    name: str = "Herald"
    patience: float = _PATIENCE

    def prepare(self, server: ApiServer) -> Path:
        return _prepare_for_herald(server)

    def command(self, kubeconfig: Path, *, again: bool) -> Sequence[str]:
        program = Path(sys.executable).with_name("heraldlb")
        return [str(program), "controller", f"--kubeconfig={kubeconfig}", "--metrics-address="]


@dataclass(frozen=True, slots=True)
class Bare:
    """The ceiling, with Herald's kinds and rights."""

    concurrency: int
    patience: float = _PATIENCE

    @property
    def name(self) -> str:
        return f"the bare ceiling ({self.concurrency} at a time)"

    def prepare(self, server: ApiServer) -> Path:
        return _prepare_for_herald(server)

    def command(self, kubeconfig: Path, *, again: bool) -> Sequence[str]:
        program = [sys.executable, str(Path(ceiling.__file__))]
        return [*program, f"--kubeconfig={kubeconfig}", f"--range={RANGE}", f"--concurrency={self.concurrency}"]


@dataclass(frozen=True, slots=True)
class Other:
    """A controller that brings its own kinds and configuration. The contract is in benchmarks/README.md."""

    name: str
    argv: tuple[str, ...]
    kubectl: Path
    patience: float = _BUILD_PATIENCE

    def prepare(self, server: ApiServer) -> Path:
        return server.kubeconfig

    def command(self, kubeconfig: Path, *, again: bool) -> Sequence[str]:
        environment = {"KUBECONFIG": kubeconfig, "KUBECTL": self.kubectl, "HERALD_BENCH_RANGE": RANGE}
        if again:
            environment["HERALD_BENCH_PREPARED"] = "1"
        return ["env", *(f"{name}={value}" for name, value in environment.items()), *self.argv]
