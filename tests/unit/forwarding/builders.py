"""Short ways to write the Services, slices and nodes of these tests."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from heraldlb.api.endpoints import Endpoint, EndpointPort, EndpointSlice
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.services import Protocol, Service, ServicePort
from heraldlb.forwarding.model import Backend, Frame, Frontend
from heraldlb.forwarding.node import NodeView

WEB = NamespacedName("default", "web")

NODE = NodeView(
    "n1",
    zone="a",
    node_port_addresses=(ip_address("192.168.0.1"), ip_address("fd00::1")),
    pod_cidrs=(ip_network("10.244.1.0/24"), ip_network("fd00:1::/64")),
)
FRAME = Frame(NODE.pod_cidrs)


def addresses(*texts: str) -> tuple[IPAddress, ...]:
    return tuple(map(ip_address, texts))


def service(id_: NamespacedName = WEB, **fields: Any) -> Service:
    """A ClusterIP Service 10.96.0.1:80 unless `fields` say otherwise; addresses are given as texts."""
    for name in ("cluster_ips", "external_ips", "ingress", "proxied_ingress"):
        if name in fields:
            fields[name] = addresses(*fields[name])
    defaults: dict[str, Any] = {
        "uid": f"uid-{id_.name}",
        "created": "2026-01-01T00:00:00Z",
        "type": "ClusterIP",
        "cluster_ips": addresses("10.96.0.1"),
        "ports": (ServicePort("http", "TCP", 80),),
    }
    return Service(id_, **{**defaults, **fields})


def slice_of(
    *endpoints: Endpoint,
    name: str = "web-1",
    of: NamespacedName = WEB,
    ports: tuple[EndpointPort, ...] = (EndpointPort("http", "TCP", 8080),),
) -> EndpointSlice:
    return EndpointSlice(NamespacedName(of.namespace, name), of, ports, endpoints)


def endpoint(address: str, node: str = "n2", **fields: Any) -> Endpoint:
    return Endpoint(ip_address(address), node, **fields)


def draining(address: str, node: str = "n2", *, serving: bool = True) -> Endpoint:
    return endpoint(address, node, ready=False, serving=serving, terminating=True)


def frontend(address: str, port: int, protocol: Protocol = "TCP") -> Frontend:
    return Frontend(ip_address(address), protocol, port)


def backends(*texts: str, port: int = 8080) -> tuple[Backend, ...]:
    return tuple(Backend(ip_address(text), port) for text in texts)
