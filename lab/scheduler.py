"""A stand-in for the scheduler: binds pending pods to Ready nodes, spread evenly.

Heeds nodeSelector, required node affinity, taints, cordons and required pod anti-affinity by host name; knows
nothing of resources. Run as `python -m lab.scheduler --folder LAB --api-server URL`.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.api_client import MERGE_PATCH, UNREACHABLE, Api, ApiError, Listed
from lab.kubelet.clock import now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Body = dict[str, Any]

_ENDED = {"Succeeded", "Failed"}
_RETRY = 0.25


def _matches_expression(expression: Mapping[str, Any], values: Mapping[str, str]) -> bool:
    key, operator, wanted = expression["key"], expression["operator"], expression.get("values", [])
    has = key in values
    holds: dict[str, Callable[[], bool]] = {
        "In": lambda: has and values[key] in wanted,
        "NotIn": lambda: not has or values[key] not in wanted,
        "Exists": lambda: has,
        "DoesNotExist": lambda: not has,
        "Gt": lambda: has and int(values[key]) > int(wanted[0]),
        "Lt": lambda: has and int(values[key]) < int(wanted[0]),
    }
    return holds[operator]()


def _matches_selector(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    exact = selector.get("matchLabels", {}).items()
    expressions = selector.get("matchExpressions", ())
    return exact <= labels.items() and all(_matches_expression(expression, labels) for expression in expressions)


def _labels(body: Mapping[str, Any]) -> dict[str, str]:
    return body["metadata"].get("labels") or {}


def _matches_node(pod: Body, node: Body) -> bool:
    spec, labels = pod["spec"], _labels(node)
    if not spec.get("nodeSelector", {}).items() <= labels.items():
        return False
    required = (
        spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    )
    if not required:
        return True
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(
        all(_matches_expression(expression, labels) for expression in term.get("matchExpressions", ()))
        and all(_matches_expression(expression, fields) for expression in term.get("matchFields", ()))
        for term in required["nodeSelectorTerms"]
    )


def _tolerates(pod: Body, taint: Mapping[str, str]) -> bool:
    if taint["effect"] == "PreferNoSchedule":
        return True
    for toleration in pod["spec"].get("tolerations", ()):
        if toleration.get("effect") not in (None, "", taint["effect"]):
            continue
        if toleration.get("key") not in (None, "", taint["key"]):
            continue
        if toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""):
            return True
    return False


def _repelled(pod: Body, node_name: str, pods: Iterable[Body]) -> bool:
    """By required anti-affinity with a pod that is on the node."""
    terms = (
        pod["spec"]
        .get("affinity", {})
        .get("podAntiAffinity", {})
        .get("requiredDuringSchedulingIgnoredDuringExecution", ())
    )
    return any(
        other["spec"].get("nodeName") == node_name
        and other["metadata"]["namespace"] == pod["metadata"]["namespace"]
        and _matches_selector(term.get("labelSelector", {}), _labels(other))
        for term in terms
        if term["topologyKey"] == "kubernetes.io/hostname"
        for other in pods
    )


def _is_ready(node: Body) -> bool:
    conditions = node.get("status", {}).get("conditions", ())
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def choose(pod: Body, nodes: Iterable[Body], pods: Iterable[Body]) -> str | None:
    """The node for a pod: of those that fit, the one with the fewest pods alike, then fewest pods, then by name."""
    alive = [other for other in pods if other.get("status", {}).get("phase") not in _ENDED]
    candidates = [
        node["metadata"]["name"]
        for node in nodes
        if _is_ready(node)
        and not node["spec"].get("unschedulable")
        and _matches_node(pod, node)
        and all(_tolerates(pod, taint) for taint in node["spec"].get("taints", ()))
        and not _repelled(pod, node["metadata"]["name"], alive)
    ]
    total = Counter(other["spec"].get("nodeName") for other in alive)
    alike = Counter(other["spec"].get("nodeName") for other in alive if _labels(other) == _labels(pod))
    return min(candidates, key=lambda name: (alike[name], total[name], name), default=None)


class Scheduler:
    """Keeps a view of nodes and pods, and binds whenever either changes."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._views: dict[str, dict[str, Body]] = {"nodes": {}, "pods": {}}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            for resource in self._views:
                tasks.create_task(self._follow(resource))
            tasks.create_task(self._bind_all())

    async def _follow(self, resource: str) -> None:
        view = self._views[resource]
        async for event in self._api.follow(f"/api/v1/{resource}"):
            if isinstance(event, Listed):
                view.clear()
                view.update({body["metadata"]["uid"]: body for body in event.objects})
            elif event.type == "DELETED":
                view.pop(event.object["metadata"]["uid"], None)
            else:
                view[event.object["metadata"]["uid"]] = event.object
            self._changed.set()

    async def _bind_all(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            pods = self._views["pods"]
            for pod in [pod for pod in pods.values() if not pod["spec"].get("nodeName")]:
                if "deletionTimestamp" not in pod["metadata"]:
                    await self._place(pod)

    async def _place(self, pod: Body) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        node = choose(pod, self._views["nodes"].values(), self._views["pods"].values())
        try:
            if node is None:
                await self._refuse(pod, path)
                return
            target = {"apiVersion": "v1", "kind": "Node", "name": node}
            body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": metadata["name"]}, "target": target}
            await self._api.request("POST", f"{path}/binding", body)
            pod["spec"]["nodeName"] = node
        except ApiError:
            pass  # deleted or bound meanwhile; the watch will tell
        except UNREACHABLE:
            await asyncio.sleep(_RETRY)
            self._changed.set()

    async def _refuse(self, pod: Body, path: str) -> None:
        conditions = pod.get("status", {}).get("conditions", [])
        if any(entry["type"] == "PodScheduled" and entry["status"] == "False" for entry in conditions):
            return
        condition = {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": f"none of {len(self._views['nodes'])} nodes is Ready, schedulable and fits the pod",
            "lastTransitionTime": now(),
        }
        others = [entry for entry in conditions if entry["type"] != "PodScheduled"]
        body = {"status": {"conditions": [*others, condition]}}
        await self._api.request("PATCH", f"{path}/status", body, MERGE_PATCH)


async def _serve(folder: Path, url: str) -> None:
    async with Api(url, folder / "pki" / "ca.crt", folder / "pki" / "scheduler.pem") as api:
        await Scheduler(api).run()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the lab's folder")
    parser.add_argument("--api-server", required=True, help="URL")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.folder, arguments.api_server))


if __name__ == "__main__":
    main()
