"""What a kubelet reports of a pod, computed from its containers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Body = dict[str, Any]


@dataclass(slots=True)
class ContainerReport:
    """One container as its pod's status tells of it."""

    name: str
    image: str
    identity: str = ""
    state: Body = field(default_factory=lambda: {"waiting": {"reason": "ContainerCreating"}})
    last_state: Body = field(default_factory=dict)
    ready: bool = False
    started: bool = False
    restarts: int = 0

    @property
    def is_running(self) -> bool:
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """None while it has not ended for good."""
        ended = self.state.get("terminated")
        return None if ended is None else int(ended["exitCode"])

    def body(self) -> Body:
        return {
            "name": self.name,
            "image": self.image,
            "imageID": f"lab://{self.image}",
            "containerID": f"lab://{self.identity}" if self.identity else "",
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
        }


def phase(containers: Sequence[ContainerReport], restart_policy: str) -> str:
    """The pod's phase (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase)."""
    codes = [container.exit_code for container in containers]
    if restart_policy != "Always" and containers and all(code is not None for code in codes):
        failed = any(code != 0 for code in codes)
        return "Failed" if failed else "Succeeded"
    if any(
        container.is_running or container.restarts or container.exit_code is not None for container in containers
    ):
        return "Running"
    return "Pending"


def _conditions(holds: Mapping[str, bool], previous: Iterable[Body], now: str) -> list[Body]:
    known = {condition["type"]: condition for condition in previous}
    for kind, value in holds.items():
        status = "True" if value else "False"
        if known.get(kind, {}).get("status") != status:
            known[kind] = {"type": kind, "status": status, "lastTransitionTime": now}
            if not value and kind in {"Ready", "ContainersReady"}:
                known[kind]["reason"] = "ContainersNotReady"
    return list(known.values())


def pod_status(
    pod: Mapping[str, Any],
    init_containers: Sequence[ContainerReport],
    containers: Sequence[ContainerReport],
    pod_ips: Sequence[str],
    host_ips: Sequence[str],
    now: str,
) -> Body:
    """A whole status. `now` in RFC 3339; conditions that have not changed keep their transition time."""
    current = pod.get("status", {})
    is_ready = bool(containers) and all(container.ready for container in containers)
    holds = {
        "PodReadyToStartContainers": bool(pod_ips),
        "Initialized": all(container.exit_code == 0 for container in init_containers),
        "ContainersReady": is_ready,
        "Ready": is_ready,
    }
    return {
        "phase": phase(containers, pod["spec"].get("restartPolicy", "Always")),
        "conditions": _conditions(holds, current.get("conditions", ()), now),
        "hostIP": host_ips[0],
        "hostIPs": [{"ip": address} for address in host_ips],
        "podIP": pod_ips[0] if pod_ips else None,
        "podIPs": [{"ip": address} for address in pod_ips],
        "startTime": current.get("startTime", now),
        "initContainerStatuses": [container.body() for container in init_containers],
        "containerStatuses": [container.body() for container in containers],
    }
