"""What Herald reads of a `v1` Service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from heraldlb.api.objects import NamespacedName, Raw, entries, identity, mapping, number, sequence, text
from heraldlb.api.ranges import FAMILIES, Family, IPAddress, RangeError, family_of, parse_address

Protocol = Literal["TCP", "UDP", "SCTP"]


@dataclass(frozen=True, slots=True, order=True)
class ServicePort:
    """One entry of `spec.ports`. `node_port` 0: none is allocated."""

    name: str
    protocol: Protocol
    port: int
    node_port: int = 0


@dataclass(frozen=True, slots=True)
class Service:
    """A Service reduced to what allocation, announcing and forwarding decide on."""

    id: NamespacedName
    uid: str
    created: str
    """RFC 3339; sorts as text."""
    type: str
    families: tuple[Family, ...] = ("IPv4",)
    family_policy: str = "SingleStack"
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    selector: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[ServicePort, ...] = ()
    cluster_ips: tuple[IPAddress, ...] = ()
    external_ips: tuple[IPAddress, ...] = ()
    load_balancer_class: str | None = None
    load_balancer_ip: str = ""
    external_traffic_policy: str = "Cluster"
    internal_traffic_policy: str = "Cluster"
    source_ranges: tuple[str, ...] = ()
    health_check_node_port: int = 0
    session_affinity_seconds: int = 0
    """0: no session affinity."""
    publish_not_ready_addresses: bool = False
    deleting: bool = False
    ingress: tuple[IPAddress, ...] = ()
    """Addresses in `status.loadBalancer.ingress`, in their order."""
    proxied_ingress: tuple[IPAddress, ...] = ()
    """Those of them with `ipMode: Proxy`, which nodes must not answer themselves (KEP-1860)."""
    hostname_ingress: bool = False
    """Some ingress entry carries a host name: another implementation wrote it."""
    conditions: tuple[Raw, ...] = ()
    resource_version: str = ""

    @property
    def is_load_balancer(self) -> bool:
        """Whether the Service wants an EXTERNAL-IP at all."""
        return self.type == "LoadBalancer" and not self.deleting

    @property
    def external_local(self) -> bool:
        """Outside traffic may only go to endpoints on the node that it reached."""
        return self.external_traffic_policy == "Local"


def parse_service(raw: Raw) -> Service:
    """A Service from its JSON. Addresses that do not parse are left out."""
    spec = mapping(raw, "spec")
    ingress = entries(raw, "status", "loadBalancer", "ingress")
    affinity = mapping(spec, "sessionAffinityConfig", "clientIP")
    return Service(
        id=identity(raw),
        uid=text(raw, "metadata", "uid"),
        created=text(raw, "metadata", "creationTimestamp"),
        type=text(spec, "type") or "ClusterIP",
        families=tuple(family for family in sequence(spec, "ipFamilies") if family in FAMILIES) or ("IPv4",),
        family_policy=text(spec, "ipFamilyPolicy") or "SingleStack",
        labels=mapping(raw, "metadata", "labels"),
        annotations=mapping(raw, "metadata", "annotations"),
        selector=mapping(spec, "selector"),
        ports=tuple(_parse_port(port) for port in entries(spec, "ports")),
        cluster_ips=_addresses(sequence(spec, "clusterIPs")),
        external_ips=_addresses(sequence(spec, "externalIPs")),
        load_balancer_class=text(spec, "loadBalancerClass") or None,
        load_balancer_ip=text(spec, "loadBalancerIP"),
        external_traffic_policy=text(spec, "externalTrafficPolicy") or "Cluster",
        internal_traffic_policy=text(spec, "internalTrafficPolicy") or "Cluster",
        source_ranges=tuple(map(str, sequence(spec, "loadBalancerSourceRanges"))),
        health_check_node_port=number(spec, "healthCheckNodePort"),
        session_affinity_seconds=(number(affinity, "timeoutSeconds") or 10_800)
        if text(spec, "sessionAffinity") == "ClientIP"
        else 0,
        publish_not_ready_addresses=spec.get("publishNotReadyAddresses") is True,
        deleting=bool(text(raw, "metadata", "deletionTimestamp")),
        ingress=_addresses([entry.get("ip") for entry in ingress]),
        proxied_ingress=_addresses([entry.get("ip") for entry in ingress if entry.get("ipMode") == "Proxy"]),
        hostname_ingress=any(entry.get("hostname") for entry in ingress),
        conditions=tuple(entries(raw, "status", "conditions")),
        resource_version=text(raw, "metadata", "resourceVersion"),
    )


def first_of_family(addresses: tuple[IPAddress, ...], family: Family) -> IPAddress | None:
    """The first address of that family, or None."""
    return next((address for address in addresses if family_of(address) == family), None)


def parse_protocol(raw: Raw) -> Protocol:
    """The `protocol` of a port; TCP where it is unset, as the API documents."""
    match text(raw, "protocol"):
        case "UDP":
            return "UDP"
        case "SCTP":
            return "SCTP"
        case _:
            return "TCP"


def _parse_port(raw: Raw) -> ServicePort:
    return ServicePort(
        name=text(raw, "name"),
        protocol=parse_protocol(raw),
        port=number(raw, "port"),
        node_port=number(raw, "nodePort"),
    )


def _addresses(texts: Any) -> tuple[IPAddress, ...]:
    found = []
    for entry in texts:
        try:
            found.append(parse_address(entry))
        except (RangeError, AttributeError):
            continue
    return tuple(found)
