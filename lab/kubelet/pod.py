"""One pod on one node: its network and volumes, its containers in order, its status, its end."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.api_client import MERGE_PATCH, UNREACHABLE, ApiError
from lab.kubelet.clock import now
from lab.kubelet.container import Container, Setting
from lab.kubelet.environment import ConfigError, PodFacts
from lab.kubelet.status import pod_status
from lab.kubelet.volumes import REFRESH_SECONDS, Volumes
from lab.network import NetworkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.api_client import Api
    from lab.kubelet.images import Installation
    from lab.kubelet.pod_network import PodNetwork, PodNetworks

_RETRY = 0.25
_NOT_FOUND, _CONFLICT = 404, 409


@dataclass(frozen=True, slots=True)
class NodeContext:
    """What all pods of a node share."""

    api: Api
    name: str
    ips: tuple[str, ...]
    networks: PodNetworks
    folder: Path
    log_folder: Path
    service_environment: Mapping[str, str]
    installation: Installation


@dataclass(slots=True)
class Pod:
    """Runs a pod from its binding to its end. `observe` takes every later version of the object."""

    node: NodeContext
    object: dict[str, Any]
    _network: PodNetwork | None = None
    _init: list[Container] = field(default_factory=list)
    _containers: list[Container] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _leaving: asyncio.Event = field(default_factory=asyncio.Event)
    _is_gone: bool = False

    @property
    def _path(self) -> str:
        metadata = self.object["metadata"]
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    @property
    def _folder(self) -> Path:
        return self.node.folder / str(self.object["metadata"]["uid"])

    @property
    def _ips(self) -> tuple[str, ...]:
        if self.object["spec"].get("hostNetwork"):
            return self.node.ips
        return (str(self._network.ipv4), str(self._network.ipv6)) if self._network else ()

    def observe(self, version: dict[str, Any]) -> None:
        """A newer version of the object."""
        self.object = version
        if "deletionTimestamp" in version["metadata"]:
            self._leaving.set()

    def vanished(self) -> None:
        """The object is gone from the API server: end the containers at once."""
        self._is_gone = True
        self._leaving.set()

    async def run(self) -> None:
        """Returns when nothing of the pod is left on the node, nor in the API server if it was deleted."""
        status = asyncio.create_task(self._publish())
        running = asyncio.create_task(self._run_containers())
        try:
            await self._leaving.wait()
            await self._stop(running)
        finally:
            running.cancel()
            status.cancel()
            if self._network:
                self.node.networks.disconnect(self._network)
            shutil.rmtree(self._folder, ignore_errors=True)
        if not self._is_gone:
            await self._delete()

    async def _run_containers(self) -> None:
        setting = await self._set_up()
        spec = self.object["spec"]
        self._init = [
            Container(container, setting, self._changed.set) for container in spec.get("initContainers", ())
        ]
        self._containers = [Container(container, setting, self._changed.set) for container in spec["containers"]]
        self._changed.set()
        policy = spec.get("restartPolicy", "Always")
        refreshing = asyncio.create_task(self._refresh(setting.volumes))
        try:
            for container in self._init:
                await container.run("Never" if policy == "Never" else "OnFailure")
                if container.report.exit_code != 0:
                    return
            await asyncio.gather(*(container.run(policy) for container in self._containers))
        finally:
            refreshing.cancel()

    async def _set_up(self) -> Setting:
        """Network first, for the pod's address is in its environment; then volumes, tried until all are there."""
        spec, metadata = self.object["spec"], self.object["metadata"]
        while not spec.get("hostNetwork") and self._network is None:
            try:
                self._network = self.node.networks.connect()
            except NetworkError as error:
                await self._report_problem("FailedCreatePodSandBox", str(error))
        facts = PodFacts(self.object, self._ips, self.node.ips)
        volumes = Volumes(self.node.api, self._folder / "volumes", facts)
        while True:
            try:
                await volumes.write()
                break
            except (ConfigError, ApiError, *UNREACHABLE) as error:
                await self._report_problem("ContainerCreating", str(error))
        return Setting(
            facts=facts,
            volumes=volumes,
            network=self._network.path if self._network else None,
            hostname=self.node.name if spec.get("hostNetwork") else metadata["name"],
            service_environment=self.node.service_environment,
            installation=self.node.installation,
            log_folder=self.node.log_folder,
        )

    async def _report_problem(self, reason: str, message: str) -> None:
        waiting = {"waiting": {"reason": reason, "message": message}}
        names = [container["name"] for container in self.object["spec"]["containers"]]
        statuses = [
            {"name": name, "image": "", "imageID": "", "ready": False, "restartCount": 0, "state": waiting}
            for name in names
        ]
        with suppress(ApiError, *UNREACHABLE):
            body = {"status": {"containerStatuses": statuses}}
            await self.node.api.request("PATCH", f"{self._path}/status", body, MERGE_PATCH)
        await asyncio.sleep(_RETRY)

    async def _refresh(self, volumes: Volumes) -> None:
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            with suppress(ConfigError, ApiError, *UNREACHABLE):
                await volumes.write()

    async def _publish(self) -> None:
        """Keep the object's status what the containers are."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            init = [container.report for container in self._init]
            main = [container.report for container in self._containers]
            status = pod_status(self.object, init, main, self._ips, self.node.ips, now())
            try:
                body = {"metadata": {"uid": self.object["metadata"]["uid"]}, "status": status}
                patched = await self.node.api.request("PATCH", f"{self._path}/status", body, MERGE_PATCH)
                self.object["status"] = patched["status"]
            except ApiError as error:
                if error.status in (_NOT_FOUND, _CONFLICT):
                    return
                self._changed.set()
                await asyncio.sleep(_RETRY)
            except UNREACHABLE:
                self._changed.set()
                await asyncio.sleep(_RETRY)

    async def _stop(self, running: asyncio.Task[None]) -> None:
        default = self.object["spec"].get("terminationGracePeriodSeconds", 30)
        grace = 0 if self._is_gone else self.object["metadata"].get("deletionGracePeriodSeconds", default)
        containers = [*self._init, *self._containers]
        if not containers:
            return
        await asyncio.gather(*(container.stop(grace) for container in containers))
        await asyncio.wait([running])

    async def _delete(self) -> None:
        """Take the object away, as a kubelet does when the last container has ended."""
        preconditions = {"uid": self.object["metadata"]["uid"]}
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "gracePeriodSeconds": 0,
            "preconditions": preconditions,
        }
        while True:
            try:
                await self.node.api.request("DELETE", self._path, options)
                return
            except ApiError as error:
                if error.status in (_NOT_FOUND, _CONFLICT):
                    return
            except UNREACHABLE:
                pass
            await asyncio.sleep(_RETRY)
