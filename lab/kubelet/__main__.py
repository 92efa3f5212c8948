"""The kubelet stand-in of one node; the first process of the node's PID namespace, in its network namespace."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from pathlib import Path
from typing import Any

import lab
from lab import binaries
from lab.addressing import CONTROL_PLANE, HostAddresses, plan
from lab.api_client import Api, Listed
from lab.binaries import KUBERNETES_VERSION
from lab.kubelet.images import Installation
from lab.kubelet.node import Node
from lab.kubelet.pod import NodeContext, Pod
from lab.kubelet.pod_network import PodNetworks
from lab.namespaces import CLONE_NEWNS, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_PRIVATE, MS_REC, mount, unshare

_ENDED = {"Succeeded", "Failed"}


class Kubelet:
    """Follows the pods bound to a node, each in a task of its own."""

    def __init__(self, context: NodeContext) -> None:
        self._context = context
        self._pods: dict[str, Pod] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """For ever."""
        path = "/api/v1/pods"
        async for event in self._context.api.follow(path, {"fieldSelector": f"spec.nodeName={self._context.name}"}):
            if isinstance(event, Listed):
                there = {pod["metadata"]["uid"] for pod in event.objects}
                for pod in event.objects:
                    self._observe(pod)
                for uid in self._pods.keys() - there:
                    self._pods[uid].vanished()
            elif event.type == "DELETED":
                if gone := self._pods.get(event.object["metadata"]["uid"]):
                    gone.vanished()
            else:
                self._observe(event.object)

    def _observe(self, version: dict[str, Any]) -> None:
        uid = version["metadata"]["uid"]
        if uid not in self._pods:
            if version.get("status", {}).get("phase") in _ENDED and "deletionTimestamp" not in version["metadata"]:
                return
            pod = self._pods[uid] = Pod(self._context, version)
            task = asyncio.create_task(self._run(uid, pod))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._pods[uid].observe(version)

    async def _run(self, uid: str, pod: Pod) -> None:
        try:
            await pod.run()
        finally:
            del self._pods[uid]


async def serve(folder: Path, host: HostAddresses, url: str) -> None:
    """Be the kubelet of `host` for ever."""
    pki = folder / "pki"
    assert host.pods_ipv4 is not None
    assert host.pods_ipv6 is not None
    pods = folder / "nodes" / host.name
    shutil.rmtree(pods, ignore_errors=True)
    address, _, port = url.removeprefix("https://").rpartition(":")
    async with Api(url, pki / "ca.crt", pki / f"{host.name}.pem") as api:
        context = NodeContext(
            api=api,
            name=host.name,
            ips=(str(host.ipv4), str(host.ipv6)),
            networks=PodNetworks(host.pods_ipv4, host.pods_ipv6),
            folder=pods,
            log_folder=folder / "logs",
            # There is no service proxy in the lab, so pods reach the API server where it listens.
            service_environment={"KUBERNETES_SERVICE_HOST": address, "KUBERNETES_SERVICE_PORT": port},
            installation=Installation(Path(sys.executable), Path(lab.__file__).parent, binaries.find),
        )
        node = Node(api, host, KUBERNETES_VERSION)
        await node.register()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(node.heartbeat())
            tasks.create_task(Kubelet(context).run())


def _see_own_processes() -> None:
    """Have /proc show the node's PID namespace."""
    unshare(CLONE_NEWNS)
    mount("", "/", flags=MS_PRIVATE | MS_REC)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the lab's folder")
    parser.add_argument("--node", required=True)
    parser.add_argument("--nodes", type=int, required=True, help="how many the lab has")
    parser.add_argument("--api-server", required=True, help="URL")
    arguments = parser.parse_args()
    host = plan(arguments.nodes)[arguments.node]
    if host.name == CONTROL_PLANE or not host.is_node:
        parser.error(f"{host.name} is not a node")
    _see_own_processes()
    asyncio.run(serve(arguments.folder, host, arguments.api_server))


if __name__ == "__main__":
    main()
