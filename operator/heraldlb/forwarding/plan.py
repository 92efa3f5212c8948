"""From Services, their EndpointSlices and this node to what the node forwards. Pure.

Semantics: https://kubernetes.io/docs/reference/networking/virtual-ips/ (traffic policies, terminating endpoints).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from hashlib import blake2s
from types import MappingProxyType
from typing import Final

from heraldlb.api.endpoints import EndpointSlice
from heraldlb.api.group import SERVICE_PROXY_NAME_LABEL
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of
from heraldlb.api.services import Protocol, Service, ServicePort, first_of_family
from heraldlb.forwarding.endpoints import EndpointLists, choose
from heraldlb.forwarding.healthcheck import health_check
from heraldlb.forwarding.leastconn import Loads
from heraldlb.forwarding.model import (
    AddressKind,
    Affinity,
    Backend,
    Candidate,
    Frame,
    Frontend,
    Masquerade,
    Pick,
    Plan,
    Refusal,
    ServicePlan,
    VirtualServer,
)
from heraldlb.forwarding.node import NodeView
from heraldlb.forwarding.schedulers import wishes_of
from heraldlb.forwarding.sources import allowed_sources, objections_to
from heraldlb.forwarding.spreading import spreading_of
from heraldlb.forwarding.survivors import candidates_of, wish_of

NO_LOADS: Final[Loads] = MappingProxyType({})


def make_plan(
    services: Iterable[Service],
    slices: Mapping[NamespacedName, Iterable[EndpointSlice]],
    node: NodeView,
    frame: Frame,
    lost: Container[str] = (),
    loads: Loads = NO_LOADS,
) -> Plan:
    """The whole plan from scratch; `Plan.replace` with `plan_service` changes single Services of it."""
    planned = (plan_service(service, slices.get(service.id, ()), node, lost, loads) for service in services)
    return Plan(frame).replace(plan for plan in planned if plan is not None)


def plan_service(
    service: Service,
    slices: Iterable[EndpointSlice],
    node: NodeView,
    lost: Container[str] = (),
    loads: Loads = NO_LOADS,
) -> ServicePlan | None:
    """One Service on this node, or None where there is nothing to forward.

    Headless and ExternalName Services, and those labelled `service.kubernetes.io/service-proxy-name`, are left
    alone, and so is a family in which the Service has no cluster IP. `lost`: nodes whose agents fell silent (see
    `choose`). `loads`: open connections, for the schedulers that count them.
    """
    if service.type == "ExternalName" or SERVICE_PROXY_NAME_LABEL in service.labels:
        return None
    slices = tuple(slices)
    wishes = wishes_of(service)
    spreading = spreading_of(wishes, slices, node, loads)
    survival = wish_of(service, slices, default=node.connection_survival)
    survivors: dict[Frontend, tuple[Candidate, ...]] = {}
    servers: dict[Frontend, VirtualServer] = {}
    local: set[IPAddress] = set()
    counted: set[tuple[Protocol, Backend]] = set()
    quiesced: set[Backend] = set()
    cluster_ips: set[IPAddress] = set()
    for family in FAMILIES:
        cluster_ip = first_of_family(service.cluster_ips, family)
        if cluster_ip is None:
            continue
        cluster_ips.add(cluster_ip)
        vips = _answered_addresses(service)
        sources = allowed_sources(service.source_ranges, family, vips, node.addresses)
        for port in service.ports:
            lists = choose(slices, port, family, node_name=node.name, zone=node.zone, lost=lost)
            local.update(backend.address for backend in lists.local)
            quiesced.update(lists.quiesced)
            if service.internal_traffic_policy == "Local":
                quiesced.update(lists.cluster)
            if spreading.scheduler.counts:
                counted.update((port.protocol, backend) for backend in (*lists.cluster, *lists.local))
            everyone, lists = lists, spreading.spread(lists, port.protocol)
            if lists is not everyone:
                # Weight 0 keeps new connections away and no others.
                quiesced.update(set(everyone.cluster).difference(lists.cluster))
            # The first claim stands where a Service has one address in two roles.
            dialled = Frontend(cluster_ip, port.protocol, port.port)
            affinity = _affinity(service, dialled, AddressKind.CLUSTER_IP)
            servers.setdefault(dialled, _internal(service, lists, affinity, spreading.pick))
            for kind, frontend in _outside(service, port, family, node):
                server = _external(service, lists, kind, _affinity(service, dialled, kind), spreading.pick)
                if kind is AddressKind.LOAD_BALANCER:
                    server = replace(server, sources=sources)
                    if survival.survives(port) and frontend not in servers:
                        survivors[frontend] = candidates_of(slices, port, family, spreading.weights, lost)
                servers.setdefault(frontend, server)
    if not servers:
        return None
    return ServicePlan(
        service.id,
        service.created,
        servers,
        frozenset(local),
        frozenset(cluster_ips),
        objections=(
            *objections_to(service.source_ranges if service.type == "LoadBalancer" else ()),
            *wishes.objections,
            *survival.objections,
        ),
        counted=frozenset(counted),
        quiesced=frozenset(quiesced),
        health_check=health_check(service, slices, node.name),
        survivors=survivors,
    )


def _outside(
    service: Service, port: ServicePort, family: Family, node: NodeView
) -> Iterator[tuple[AddressKind, Frontend]]:
    """Where a Service port is reachable for clients outside the cluster, best claim first."""
    claims = (
        (AddressKind.LOAD_BALANCER, port.port, _answered_addresses(service)),
        (AddressKind.NODE_PORT, port.node_port, node.node_port_addresses),
        (AddressKind.EXTERNAL_IP, port.port, service.external_ips),
    )
    for kind, number, addresses in claims:
        if number:
            for address in addresses:
                if family_of(address) == family:
                    yield kind, Frontend(address, port.protocol, number)


def _answered_addresses(service: Service) -> tuple[IPAddress, ...]:
    if service.type != "LoadBalancer":
        return ()
    return tuple(address for address in service.ingress if address not in service.proxied_ingress)


def _affinity(service: Service, cluster_ip: Frontend, kind: AddressKind) -> Affinity | None:
    """How clients of a frontend are remembered.

    Under traffic policy Cluster a client gets the same backend at all addresses of the Service. What it has learned
    at a ClusterIP must not lead it past a Local policy at the others, nor the other way round.
    """
    if not service.session_affinity_seconds:
        return None
    alike = service.internal_traffic_policy != "Local" and not service.external_local
    scope = "all" if alike else "internal" if kind is AddressKind.CLUSTER_IP else "external"
    name = f"{cluster_ip.address} {cluster_ip.protocol} {cluster_ip.port} {scope}"
    digest = blake2s(name.encode(), digest_size=16).digest()
    return Affinity(int.from_bytes(digest), service.session_affinity_seconds)


def _internal(service: Service, lists: EndpointLists, affinity: Affinity | None, pick: Pick) -> VirtualServer:
    return VirtualServer(
        AddressKind.CLUSTER_IP,
        Masquerade.ALL_BUT_PODS,
        backends=lists.local if service.internal_traffic_policy == "Local" else lists.cluster,
        refusal=Refusal.DROP if lists.cluster else Refusal.REJECT,
        affinity=affinity,
        pick=pick,
    )


def _external(
    service: Service, lists: EndpointLists, kind: AddressKind, affinity: Affinity | None, pick: Pick
) -> VirtualServer:
    if not service.external_local:
        return VirtualServer(kind, Masquerade.EVERYONE, lists.cluster, affinity=affinity, pick=pick)
    return VirtualServer(
        kind,
        Masquerade.ALL_BUT_PODS,
        lists.cluster,
        local_backends=lists.local if lists.cluster else None,
        affinity=affinity,
        pick=pick,
    )
