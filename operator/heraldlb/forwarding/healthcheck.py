"""Who answers at which `spec.healthCheckNodePort`, and what: the text that kube-proxy sends. Pure.

A load balancer in front of the nodes learns from it which of them have a ready endpoint of a Service with
`externalTrafficPolicy: Local`. Endpoints that terminate do not count, although they may still get traffic: by then
the load balancer is to have turned away.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from heraldlb.api.endpoints import EndpointSlice
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of
from heraldlb.api.services import Service, first_of_family
from heraldlb.forwarding.model import HealthCheck, Plan

OK: Final = 200
UNAVAILABLE: Final = 503
LAST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a Service's health is asked: a node-port address and the health-check node port."""

    address: IPAddress
    port: int

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if self.address.version == 6 else f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Health:
    """What is answered there."""

    service: NamespacedName
    endpoints: int
    """Ready ones on this node, of the listener's family."""
    forwarded: bool
    """Whether this node forwards the Service as the cluster asks for."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return OK if self.endpoints and self.forwarded else UNAVAILABLE

    @property
    def headers(self) -> dict[str, str]:
        """Of the response, besides those that HTTP itself asks for."""
        return {
            "Content-Type": "application/json",
            "X-Content-Type-Options": "nosniff",
            "X-Load-Balancing-Endpoint-Weight": str(self.endpoints),
        }

    @property
    def body(self) -> bytes:
        """JSON, without a newline at the end."""
        found = {
            "service": {"namespace": self.service.namespace, "name": self.service.name},
            "localEndpoints": self.endpoints,
            "serviceProxyHealthy": self.forwarded,
        }
        return json.dumps(found, indent="\t").encode()


def health_check(service: Service, slices: Iterable[EndpointSlice], node_name: str) -> HealthCheck | None:
    """The health check of a Service on the node `node_name`, or None where it has none.

    Endpoints count once, whatever ports they have. Families are counted apart, and a family without a cluster IP is
    not served: kube-proxy is two independent proxies.
    """
    port = service.health_check_node_port
    if not (0 < port <= LAST_PORT and service.type == "LoadBalancer" and service.external_local):
        return None
    ready: dict[Family, set[IPAddress]] = {
        family: set() for family in FAMILIES if first_of_family(service.cluster_ips, family) is not None
    }
    for endpoint_slice in slices:
        for endpoint in endpoint_slice.endpoints if endpoint_slice.ports else ():
            family = family_of(endpoint.address)
            if endpoint.node_name == node_name and endpoint.ready and family in ready:
                ready[family].add(endpoint.address)
    return HealthCheck(port, {family: len(addresses) for family, addresses in ready.items()})


def listeners(
    plan: Plan,
    node_port_addresses: Iterable[IPAddress],
    *,
    forwarding: bool = True,
    refused: Collection[NamespacedName] = (),
) -> dict[Listener, Health]:
    """Every listener that this node should have. Of two Services with one port, the older has it.

    `forwarding`: the kernel has the plan, but for the Services that it `refused`.
    """
    checked = [(each.created, id_, each.health_check) for id_, each in plan.services.items() if each.health_check]
    addresses = tuple(node_port_addresses)
    found: dict[Listener, Health] = {}
    for _, id_, check in sorted(checked, key=lambda entry: entry[:2]):
        for address in addresses:
            endpoints = check.endpoints.get(family_of(address))
            if endpoints is not None:
                health = Health(id_, endpoints, forwarding and id_ not in refused)
                found.setdefault(Listener(address, check.port), health)
    return found
