"""What every lab offers its user, with nodes or without: kubectl, Helm charts, kubeconfigs, waiting."""

from __future__ import annotations

import json
import os
import subprocess
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

import yaml

from lab import binaries, pki
from lab.errors import LabError
from lab.progress import step
from lab.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    from lab.progress import Progress

Body = dict[str, Any]

_ROLLOUTS = {"Deployment", "DaemonSet"}
_HELM_TRIES = 3
_UNREACHABLE = "Kubernetes cluster unreachable"
"""What Helm says before it has done anything, also when a busy machine keeps it waiting for ten seconds."""


class KubectlError(LabError):
    """kubectl failed; carries what it said."""


class HelmError(LabError):
    """Helm failed; carries what it said."""


class Cluster(ABC):
    """A running API server and the folder of its lab. A context manager that takes it down, unless it is kept."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self.folder = folder
        self._progress = progress
        self._is_kept = False

    def __enter__(self) -> Self:
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._is_kept:
            self.down()

    @abstractmethod
    def up(self) -> None:
        """Return when it can be used. Raises LabError."""

    @abstractmethod
    def down(self) -> None:
        """Take everything away: processes, namespaces, files. Harmless when it is down."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The API server, as reached from this machine's root network namespace."""

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    def _write_admin_kubeconfig(self, authority: pki.Authority) -> None:
        admin = authority.client("lab:admin", ["system:masters"])
        content = pki.certificate_kubeconfig(self.url, authority.certificate, admin)
        pki.write_private(self.kubeconfig, content)

    def kubectl(self, *arguments: str, input: str | None = None, timeout: float = 120.0) -> str:  # noqa: A002
        """Run kubectl as administrator; return what it prints. Raises KubectlError."""
        argv = [str(binaries.find("kubectl")), f"--cache-dir={self.folder}/kubectl", *arguments]
        environment = os.environ | {"KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(
            argv, input=input, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def helm(self, *arguments: str, timeout: float = 300.0) -> str:
        """Run Helm as administrator, without this machine's settings; return what it prints. Raises HelmError."""
        own = {f"HELM_{kind}_HOME": f"{self.folder}/helm/{kind.lower()}" for kind in ("CACHE", "CONFIG", "DATA")}
        argv = [str(binaries.find("helm")), *arguments]
        environment = os.environ | own | {"KUBECONFIG": str(self.kubeconfig)}
        for _ in range(_HELM_TRIES):
            done = subprocess.run(
                argv, env=environment, capture_output=True, text=True, timeout=timeout, check=False
            )
            if _UNREACHABLE not in done.stderr:
                break
        if done.returncode != 0:
            raise HelmError(f"helm {' '.join(arguments)}: {done.stdout}{done.stderr.strip()}")
        return done.stdout

    def get(self, resource: str, *arguments: str) -> Body:
        """`kubectl get RESOURCE ... -o json`. Raises KubectlError, also where a named object does not exist."""
        answer: Body = json.loads(self.kubectl("get", resource, *arguments, "-o", "json"))
        return answer

    def items(self, resource: str, *arguments: str) -> list[Body]:
        """The objects that `kubectl get RESOURCE ...` lists. Raises KubectlError."""
        found: list[Body] = self.get(resource, *arguments)["items"]
        return found

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Server-side apply, in this order. Raises KubectlError."""
        document = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", input=json.dumps(document))

    def wait_until(self, resource: str, condition: str, *arguments: str, timeout: float = 60.0) -> None:
        """`kubectl wait --for=CONDITION RESOURCE`. Raises KubectlError."""
        limit = f"--timeout={timeout:.0f}s"
        self.kubectl("wait", f"--for={condition}", limit, resource, *arguments, timeout=timeout + 10)

    def wait_for_rollout(self, resource: str, namespace: str = "default", timeout: float = 90.0) -> None:
        """Until the Deployment or DaemonSet (`deployment/web`) is up. Raises LabError that names what is not."""
        try:
            limit = f"--timeout={timeout:.0f}s"
            self.kubectl("rollout", "status", resource, "-n", namespace, limit, timeout=timeout + 10)
        except KubectlError as error:
            raise LabError(f"{error}\n{self._unready_pods(namespace)}") from None

    def _wait_for_pods(self, kind: str, name: str, namespace: str, timeout: float) -> None:
        """Until all are up to date and ready; `minReadySeconds` of a DaemonSet are for its next change to await."""
        if kind != "DaemonSet":
            self.wait_for_rollout(f"{kind}/{name}", namespace, timeout)
            return
        try:
            wait_for(f"{kind}/{name}", lambda: _is_ready(self.get(kind, name, "-n", namespace)), timeout)
        except LabError as error:
            raise LabError(f"{error}\n{self._unready_pods(namespace)}") from None

    def _unready_pods(self, namespace: str) -> str:
        lines = []
        for pod in self.items("pods", "-n", namespace):
            for status in pod["status"].get("containerStatuses", ()):
                if not status["ready"]:
                    name = pod["metadata"]["name"]
                    lines.append(f"pod {name}: {json.dumps(status['state'])}\n{self.log_tail(name, namespace)}")
        return "\n".join(lines)

    def log(self, pod: str, namespace: str = "default", container: str | None = None) -> str:
        """What a pod's containers, or one of them, have printed since the pod began. Empty if nothing."""
        files = sorted((self.folder / "logs").glob(f"{namespace}_{pod}_{container or '*'}.log"))
        return "".join(file.read_text(errors="replace") for file in files)

    def log_tail(self, pod: str, namespace: str = "default", lines: int = 15) -> str:
        return "\n".join(self.log(pod, namespace).splitlines()[-lines:])

    def service_account_kubeconfig(self, namespace: str, name: str, hours: int = 24) -> Path:
        """A kubeconfig that acts as this ServiceAccount, with the roles it has and no more. Raises KubectlError."""
        token = self.kubectl("create", "token", name, "-n", namespace, f"--duration={hours}h").strip()
        authority = (self.folder / "pki" / "ca.crt").read_bytes()
        target = self.folder / f"{namespace}_{name}.kubeconfig"
        return pki.write_private(target, pki.token_kubeconfig(self.url, authority, token, namespace))

    def render(
        self, chart: Path, values: Mapping[str, Any], release: str, namespace: str, *, hooks: bool = False
    ) -> list[Body]:
        """What `helm template` makes of a chart, with hooks only if asked to. Raises LabError."""
        argv = [str(binaries.find("helm")), "template", release, str(chart), "--namespace", namespace]
        argv += ["--include-crds", "--values", "-", "--kube-version", binaries.KUBERNETES_VERSION]
        argv += [] if hooks else ["--no-hooks"]
        done = subprocess.run(argv, input=json.dumps(values), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise LabError(f"helm template {chart}: {done.stderr.strip()}")
        return [document for document in yaml.safe_load_all(done.stdout) if document]

    def install(
        self,
        chart: Path,
        values: Mapping[str, Any] | None = None,
        release: str = "heraldlb",
        namespace: str = "kube-system",
        *,
        wait: bool = True,
        timeout: float = 90.0,
    ) -> None:
        """Apply what the chart renders: CRDs until they are established, then the rest until it is rolled out.

        Repeatable with other values, as an upgrade; objects that are no longer rendered are then deleted.
        Raises LabError.
        """
        rendered = self.render(chart, values or {}, release, namespace)
        record = self._release_file(release)
        previous = json.loads(record.read_text()) if record.exists() else []
        record.parent.mkdir(exist_ok=True)
        record.write_text(json.dumps(rendered))
        with step(f"Installing {release}", self._progress):
            crds = [body for body in rendered if body["kind"] == "CustomResourceDefinition"]
            if crds:
                self.apply(*crds)
                for crd in crds:
                    self.wait_until(f"crd/{crd['metadata']['name']}", "condition=Established")
            self.create_namespace(namespace)
            others = [_placed(body, namespace) for body in rendered if body["kind"] != "CustomResourceDefinition"]
            if others:
                self.apply(*others)
            there = {_identity(body) for body in rendered}
            self._delete([body for body in previous if _identity(body) not in there], namespace)
            for body in others if wait else ():
                if body["kind"] in _ROLLOUTS:
                    own = body["metadata"].get("namespace", namespace)
                    self._wait_for_pods(body["kind"], body["metadata"]["name"], own, timeout)

    def uninstall(self, release: str = "heraldlb", namespace: str = "kube-system", *, crds: bool = True) -> None:
        """Delete what `install` applied, with the CRDs unless told otherwise. Raises KubectlError."""
        record = self._release_file(release)
        rendered = json.loads(record.read_text()) if record.exists() else []
        self._delete([body for body in rendered if crds or body["kind"] != "CustomResourceDefinition"], namespace)
        record.unlink(missing_ok=True)

    def _release_file(self, release: str) -> Path:
        return self.folder / "releases" / f"{release}.json"

    def create_namespace(self, namespace: str) -> None:
        """Make a namespace, if it is not there; return when pods can be made in it. Raises LabError."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        # Pods cannot be made before the namespace's ServiceAccount is.
        wait_for(
            f"the default ServiceAccount of namespace {namespace}",
            lambda: self.items("serviceaccounts", "-n", namespace, "--field-selector=metadata.name=default"),
        )

    def _delete(self, objects: list[Body], namespace: str) -> None:
        if objects:
            document = {"apiVersion": "v1", "kind": "List", "items": [_placed(body, namespace) for body in objects]}
            self.kubectl(
                "delete", "--ignore-not-found", "--cascade=foreground", "-f", "-", input=json.dumps(document)
            )


def _is_ready(daemon_set: Body) -> bool:
    status = daemon_set["status"]
    wanted: int = status["desiredNumberScheduled"]
    is_seen: bool = status.get("observedGeneration") == daemon_set["metadata"]["generation"]
    return is_seen and wanted == status.get("updatedNumberScheduled", 0) == status["numberReady"]


_CLUSTER_SCOPED = {"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Namespace", "PriorityClass"}


def _placed(body: Body, namespace: str) -> Body:
    """The object in the release's namespace where the chart names none, as Helm installs it."""
    is_ours = body["apiVersion"].startswith("heraldlb.io/")
    if body["kind"] in _CLUSTER_SCOPED or is_ours or "namespace" in body["metadata"]:
        return body
    return body | {"metadata": body["metadata"] | {"namespace": namespace}}


def _identity(body: Body) -> tuple[str, str, str]:
    return body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"]
