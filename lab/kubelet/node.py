"""The Node object and its Lease: registers the node and keeps it Ready, as a kubelet does."""

from __future__ import annotations

import asyncio
import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.api_client import MERGE_PATCH, UNREACHABLE, ApiError
from lab.kubelet.clock import now, now_micro

if TYPE_CHECKING:
    from lab.addressing import HostAddresses
    from lab.api_client import Api

LEASE_SECONDS = 8
HEARTBEAT_SECONDS = 2.0
_RETRY = 0.1
_CONFLICT, _NOT_FOUND = 409, 404
_PODS = "250"

_HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


@dataclass(frozen=True, slots=True)
class Node:
    """One node's presence in the API server."""

    api: Api
    host: HostAddresses
    version: str
    """The Kubernetes version it says it runs."""

    @property
    def _path(self) -> str:
        return f"/api/v1/nodes/{self.host.name}"

    def _object(self) -> dict[str, Any]:
        labels = {
            "kubernetes.io/hostname": self.host.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(
                platform.machine(), platform.machine()
            ),
        }
        prefixes = [str(self.host.pods_ipv4), str(self.host.pods_ipv6)]
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.host.name, "labels": labels},
            "spec": {"podCIDR": prefixes[0], "podCIDRs": prefixes},
            "status": self._status(),
        }

    def _status(self) -> dict[str, Any]:
        moment = now()
        conditions = [
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": moment,
                "lastTransitionTime": moment,
            }
            for kind, status, reason, message in _HEALTHY
        ]
        memory = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') // 1024}Ki"
        capacity = {"cpu": str(os.cpu_count() or 1), "memory": memory, "pods": _PODS}
        return {
            "addresses": [
                {"type": "InternalIP", "address": str(self.host.ipv4)},
                {"type": "InternalIP", "address": str(self.host.ipv6)},
                {"type": "Hostname", "address": self.host.name},
            ],
            "conditions": conditions,
            "capacity": capacity,
            "allocatable": capacity,
            "nodeInfo": self._information(),
        }

    def _information(self) -> dict[str, str]:
        machine = Path("/etc/machine-id")
        return {
            "machineID": machine.read_text().strip() if machine.exists() else "",
            "systemUUID": "",
            "bootID": Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
            "kernelVersion": platform.release(),
            "osImage": "Herald lab",
            "containerRuntimeVersion": "lab://1",
            "kubeletVersion": self.version,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": platform.machine(),
        }

    async def register(self) -> None:
        """Make the Node object, or make the one there is Ready again. Tries until it succeeds."""
        while True:
            try:
                await self.api.request("POST", "/api/v1/nodes", self._object())
                return
            except ApiError as error:
                if error.status == _CONFLICT:
                    if await self._report():
                        return
                else:
                    await asyncio.sleep(_RETRY)
            except UNREACHABLE:
                await asyncio.sleep(_RETRY)

    async def _report(self) -> bool:
        try:
            await self.api.request("PATCH", f"{self._path}/status", {"status": self._status()}, MERGE_PATCH)
        except (ApiError, *UNREACHABLE):
            return False
        return True

    async def heartbeat(self) -> None:
        """Renew the Lease for ever; say Ready again whenever the cluster thinks otherwise."""
        while True:
            begun = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(LEASE_SECONDS):
                    await self._renew()
                    node = await self.api.get(self._path)
                    conditions = node["status"].get("conditions", ())
                    if not any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions):
                        await self._report()
            except ApiError as error:
                if error.status == _NOT_FOUND:
                    await self.register()
            except UNREACHABLE:
                pass
            passed = asyncio.get_running_loop().time() - begun
            await asyncio.sleep(max(HEARTBEAT_SECONDS - passed, _RETRY))

    async def _renew(self) -> None:
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        spec = {
            "holderIdentity": self.host.name,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now_micro(),
        }
        try:
            await self.api.request("PATCH", f"{path}/{self.host.name}", {"spec": spec}, MERGE_PATCH)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                raise
            metadata = {"name": self.host.name, "namespace": "kube-node-lease"}
            lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
            await self.api.request("POST", path, lease)
