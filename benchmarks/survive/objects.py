"""Manifests of what the benchmark runs in its cluster. Pure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from benchmarks.survive.server import BULK_PORT, TALK_PORT
from lab.workloads import one_shot

Body = dict[str, Any]

ENDPOINTS: Final = "endpoints"
"""The value of the label `app` of those that talk."""
STREAM: Final = "stream"
"""The same of the one that runs iperf3."""
STREAM_PORT: Final = 5201
GRACE: Final = 600
"""Seconds, more than any trial takes: a terminating endpoint ends when its clients have gone."""
SURVIVAL: Final = "heraldlb.io/connection-survival"

POOL: Final[Body] = {
    "apiVersion": "heraldlb.io/v1beta1",
    "kind": "AddressPool",
    "metadata": {"name": "lan"},
    "spec": {"addresses": ["192.168.100.240-192.168.100.250", "fd00:100::240-fd00:100::24f"]},
}

_REPOSITORY: Final = Path(__file__).parents[2]


_PORTS: Final = {
    ENDPOINTS: {"talk": ("TCP", TALK_PORT), "flow": ("UDP", TALK_PORT), "bulk": ("TCP", BULK_PORT)},
    STREAM: {"stream": ("TCP", STREAM_PORT)},
}
"""Of the Services in front of either."""


def announced_by(node: str) -> Body:
    """This node announces all addresses while it lives, and any other when it does not."""
    preferred = {"weight": 100, "nodeSelector": {"matchLabels": {"kubernetes.io/hostname": node}}}
    return _announcement({"nodePreferences": [preferred]})


def announced_by_all() -> Body:
    """All nodes share the clients of all addresses."""
    return _announcement({"balancing": "PerClient"})


def _announcement(spec: Body) -> Body:
    return {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "L2Announcement",
        "metadata": {"name": "benchmark"},
        "spec": spec,
    }


def service(name: str, app: str, *, survives: bool) -> Body:
    """A dual-stack load balancer in front of the pods with this label."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "annotations": {SURVIVAL: "true"} if survives else {}},
        "spec": {
            "type": "LoadBalancer",
            "selector": {"app": app},
            "ipFamilyPolicy": "RequireDualStack",
            "ports": [
                {"name": each, "protocol": protocol, "port": port, "targetPort": port}
                for each, (protocol, port) in _PORTS[app].items()
            ],
        },
    }


def endpoint(name: str, node: str) -> Body:
    """One that talks."""
    return _pod(name, node, ENDPOINTS, TALK_PORT, [sys.executable, "-m", "benchmarks.survive.server"])


def stream(name: str, node: str, iperf3: Path) -> Body:
    """One that runs iperf3."""
    return _pod(name, node, STREAM, STREAM_PORT, [str(iperf3), "--server", f"--port={STREAM_PORT}"])


def _pod(name: str, node: str, app: str, port: int, command: list[str]) -> Body:
    body = one_shot(
        name,
        command,
        workingDir=str(_REPOSITORY),
        env=[
            {"name": "POD_NAME", "value": name},
            {"name": "NODE_NAME", "value": node},
        ],
        readinessProbe={"tcpSocket": {"port": port}, "periodSeconds": 1},
    )
    body["metadata"]["labels"] = {"app": app}
    body["spec"] |= {"nodeName": node, "restartPolicy": "Always", "terminationGracePeriodSeconds": GRACE}
    return body
