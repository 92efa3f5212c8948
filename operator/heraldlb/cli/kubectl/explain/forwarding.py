"""The chapter on forwarding: which endpoints connections to a Service would reach, and on which nodes. Pure.

Chosen by the forwarder's own code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from heraldlb.api.endpoints import Endpoint, EndpointSlice
from heraldlb.api.ranges import Family, family_of
from heraldlb.api.services import Service, ServicePort
from heraldlb.cli.kubectl.output import plural
from heraldlb.forwarding.endpoints import choose


@dataclass(frozen=True, slots=True)
class PortChapter:
    """One port in one family."""

    port: int
    protocol: str
    name: str
    family: Family
    endpoints: Mapping[str, int]
    """How many would get new connections, by node; one outside the cluster counts under the empty name."""
    problem: str
    """Why there are none."""


@dataclass(frozen=True, slots=True)
class ForwardingChapter:
    """All ports."""

    ports: tuple[PortChapter, ...]
    """Empty where EndpointSlices could not be read."""
    local: bool
    """`externalTrafficPolicy: Local`: a node forwards to its own endpoints only."""
    source_ranges: tuple[str, ...]
    """Clients that are let in; empty: all."""
    ready: int
    not_ready: int
    """Endpoints that are known and do not serve."""
    forwarders: Mapping[str, str]
    """By node that was asked: who forwards there."""


def forwarding_chapter(service: Service, slices: Collection[EndpointSlice] | None) -> ForwardingChapter:
    """The Service's endpoints, without who forwards. `slices`: None where they could not be read."""
    families = tuple(dict.fromkeys(map(family_of, service.ingress))) or service.families
    known = slices or ()
    endpoints = {(each.address, each.node_name): each for slice_ in known for each in slice_.endpoints}.values()
    wanted = ((port, family) for port in service.ports for family in families) if slices is not None else ()
    return ForwardingChapter(
        ports=tuple(_port(service, port, family, known) for port, family in wanted),
        local=service.external_local,
        source_ranges=service.source_ranges,
        ready=sum(_serves(each) for each in endpoints),
        not_ready=sum(not _serves(each) for each in endpoints),
        forwarders={},
    )


def _port(service: Service, port: ServicePort, family: Family, slices: Collection[EndpointSlice]) -> PortChapter:
    chosen = choose(slices, port, family, node_name="", zone="").cluster
    nodes = {each.address: each.node_name for slice_ in slices for each in slice_.endpoints if _serves(each)}
    counted = Counter(nodes.get(backend.address, "") for backend in chosen)
    problem = "" if chosen else _problem(service, port, family, slices)
    return PortChapter(port.port, port.protocol, port.name, family, dict(sorted(counted.items())), problem)


def _problem(service: Service, port: ServicePort, family: Family, slices: Iterable[EndpointSlice]) -> str:
    endpoints = [(slice_, each) for slice_ in slices for each in slice_.endpoints]
    if not endpoints:
        if not service.selector:
            return "it has no selector, and nobody has made an EndpointSlice for it"
        selector = ",".join(f"{key}={value}" for key, value in sorted(service.selector.items()))
        return f"no pod matches its selector: kubectl get pods -n {service.id.namespace} -l {selector}"
    of_family = [(slice_, each) for slice_, each in endpoints if family_of(each.address) == family]
    if not of_family:
        return f"its pods have no {family} addresses"
    listening = [
        each
        for slice_, each in of_family
        if any((target.name, target.protocol) == (port.name, port.protocol) for target in slice_.ports)
    ]
    if not listening:
        return f"no pod has the port that spec.ports sends it to ({port.name or port.port}/{port.protocol})"
    return f"{plural(len(listening), 'pod')} of it, none ready"


def _serves(endpoint: Endpoint) -> bool:
    return endpoint.ready or (endpoint.serving and endpoint.terminating)
