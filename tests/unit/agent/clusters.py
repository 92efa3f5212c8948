"""A cluster as an agent's mirrors have it, from objects as the API server writes them."""

from __future__ import annotations

from itertools import count
from typing import Any

from heraldlb.agent.cluster import Cluster
from heraldlb.kube.recorder import Happening, Recorder


class Listening(Recorder):
    """Keeps the Events that it is given."""

    def __init__(self) -> None:
        self.heard: list[Happening] = []

    def record(self, happening: Happening) -> None:
        self.heard.append(happening)


_VERSIONS = count(1)
NODE_ADDRESS = "192.168.77.1"


def node(name: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "resourceVersion": str(next(_VERSIONS))},
        "spec": {"podCIDRs": ["10.244.1.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": NODE_ADDRESS}]},
    }


def service(name: str, cluster_ip: str, *, vip: str = "", port: int = 80) -> dict[str, Any]:
    """A Service of type LoadBalancer, with one port."""
    return {
        "metadata": {
            "namespace": "default",
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "resourceVersion": str(next(_VERSIONS)),
        },
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": cluster_ip,
            "clusterIPs": [cluster_ip],
            "ports": [{"name": "http", "protocol": "TCP", "port": port}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": vip}] if vip else []}},
    }


def endpoint_slice(service_name: str, *addresses: str, port: int = 8080, triggered: str = "") -> dict[str, Any]:
    """The only slice of a Service."""
    annotations = {"endpoints.kubernetes.io/last-change-trigger-time": triggered} if triggered else {}
    return {
        "metadata": {
            "namespace": "default",
            "name": f"{service_name}-1",
            "labels": {"kubernetes.io/service-name": service_name},
            "annotations": annotations,
            "resourceVersion": str(next(_VERSIONS)),
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "protocol": "TCP", "port": port}],
        "endpoints": [{"addresses": [address], "nodeName": "node-1"} for address in addresses],
    }


def cluster_of(
    nodes: list[dict[str, Any]], services: list[dict[str, Any]], slices: list[dict[str, Any]]
) -> Cluster:
    """With everything listed and indexed."""
    cluster = Cluster()
    for mirror, objects in ((cluster.nodes, nodes), (cluster.services, services), (cluster.slices, slices)):
        mirror.replace(objects, 0)  # type: ignore[attr-defined]
    cluster.index()
    return cluster
