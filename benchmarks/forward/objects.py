"""The Services and EndpointSlices that are to be programmed. Bodies and addresses are pure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from benchmarks.forward.site import CLOSED_PORT, ENDPOINTS, OPEN_PORT, STANDS, STREAM_PORT
from lab.addressing import SERVICES_IPV4
from lab.api_client import MERGE_PATCH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.addressing import HostAddresses
    from lab.api_client import Api

Body = dict[str, Any]

NAMESPACE: Final = "default"
ENDPOINTS_EACH: Final = 3
PORT: Final = 80
STREAM: Final = 0
"""The number of the Service in front of the iperf3 servers; all others count from 1."""

_NODES: Final = 10
"""So many nodes have the endpoints in turn: a tenth of them is local to each node that is measured."""
_FIRST: Final = 1024
"""Offset of the first ClusterIP; the API server takes lower ones for its own."""
_AT_ONCE: Final = 16
_SERVICES: Final = f"/api/v1/namespaces/{NAMESPACE}/services"
_SLICES: Final = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"


def name(number: int) -> str:
    return f"service-{number:05}"


def cluster_ip(number: int) -> str:
    return str(SERVICES_IPV4[_FIRST + number])


def endpoint(number: int, index: int = 0) -> str:
    """The address of one of a Service's endpoints, which no other has."""
    return str(ENDPOINTS[_FIRST + number * ENDPOINTS_EACH + index])


def service(number: int) -> Body:
    """Without a selector, so that its slice is ours to write."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name(number)},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": cluster_ip(number),
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{"name": "web", "port": PORT}],
        },
    }


def endpoint_slice(number: int) -> Body:
    """All endpoints ready."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": name(number),
            "labels": {
                "kubernetes.io/service-name": name(number),
                "endpointslice.kubernetes.io/managed-by": "benchmark",
            },
        },
        "addressType": "IPv4",
        "ports": _ports(STREAM_PORT if number == STREAM else OPEN_PORT),
        "endpoints": [
            {
                "addresses": [endpoint(number, index)],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "nodeName": f"node-{(number * ENDPOINTS_EACH + index) % _NODES + 1}",
            }
            for index in range(ENDPOINTS_EACH)
        ],
    }


def node(host: HostAddresses) -> Body:
    """A Node as its kubelet makes it, in what a service proxy reads."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": host.name, "labels": {"kubernetes.io/hostname": host.name}},
        "spec": {"podCIDR": str(host.pods_ipv4), "podCIDRs": [str(host.pods_ipv4), str(host.pods_ipv6)]},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": str(host.ipv4)},
                {"type": "InternalIP", "address": str(host.ipv6)},
            ],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}],
        },
    }


async def create_cluster(api: Api, crds: Iterable[Body], hosts: Iterable[HostAddresses]) -> None:
    """What has to be there before any Service. Raises ApiError, and UNREACHABLE."""
    for crd in crds:
        await api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", crd)
    nodes = {stand.node for stand in STANDS}
    for host in hosts:
        if host.name in nodes:
            await api.request("POST", "/api/v1/nodes", node(host))
    await create(api, [STREAM])


async def create(api: Api, numbers: Iterable[int]) -> None:
    """As fast as the API server takes them. Raises ApiError, and UNREACHABLE."""
    remaining = iter(numbers)

    async def work() -> None:
        for number in remaining:
            await api.request("POST", _SERVICES, service(number))
            await api.request("POST", _SLICES, endpoint_slice(number))

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


async def change(api: Api, number: int, *, answers: bool) -> None:
    """Move all endpoints of a Service to the port that is open, or to the closed one. Raises ApiError.

    Asked again where the API server is too busy to answer in time, as any client would.
    """
    body = {"ports": _ports(OPEN_PORT if answers else CLOSED_PORT)}
    while True:
        try:
            await api.request("PATCH", f"{_SLICES}/{name(number)}", body, MERGE_PATCH)
        except TimeoutError:
            continue
        return


def _ports(port: int) -> list[Body]:
    return [{"name": "web", "port": port, "protocol": "TCP"}]
