"""What Herald reads of a `discovery.k8s.io/v1` EndpointSlice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from heraldlb.api.group import SERVICE_NAME_LABEL
from heraldlb.api.objects import NamespacedName, Raw, entries, identity, mapping, number, sequence, text
from heraldlb.api.ranges import IPAddress, RangeError, parse_address
from heraldlb.api.services import Protocol, parse_protocol

_TRIGGER_TIME: Final = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint; only its first address counts, as for kube-proxy.

    `ready` and `serving` are true where unset, `terminating` is false, as the API documents.
    """

    address: IPAddress
    node_name: str = ""
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    zone_hints: frozenset[str] = frozenset()
    node_hints: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, order=True)
class EndpointPort:
    """A port that every endpoint of the slice listens on, joined to the Service's port by name and protocol."""

    name: str
    protocol: Protocol
    port: int


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """Some of the endpoints of one Service, of one family."""

    id: NamespacedName
    service: NamespacedName
    ports: tuple[EndpointPort, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    triggered: str = ""
    """RFC 3339: when the pod or Service changed that made the controller write the slice last, if it says so."""


def parse_endpoint_slice(raw: Raw) -> EndpointSlice:
    """An EndpointSlice from its JSON. Ports without a number and addresses that do not parse are left out."""
    id_ = identity(raw)
    return EndpointSlice(
        id=id_,
        service=NamespacedName(id_.namespace, text(raw, "metadata", "labels", SERVICE_NAME_LABEL)),
        ports=tuple(_parse_port(port) for port in entries(raw, "ports") if number(port, "port")),
        endpoints=tuple(
            endpoint for entry in entries(raw, "endpoints") if (endpoint := _parse_endpoint(entry)) is not None
        ),
        triggered=text(raw, "metadata", "annotations", _TRIGGER_TIME),
    )


def _parse_port(raw: Raw) -> EndpointPort:
    return EndpointPort(
        name=text(raw, "name"),
        protocol=parse_protocol(raw),
        port=number(raw, "port"),
    )


def _parse_endpoint(raw: Raw) -> Endpoint | None:
    addresses = sequence(raw, "addresses")
    if not addresses:
        return None
    try:
        address = parse_address(str(addresses[0]))
    except RangeError:
        return None
    conditions = mapping(raw, "conditions")
    ready = conditions.get("ready") is not False
    return Endpoint(
        address=address,
        node_name=text(raw, "nodeName"),
        ready=ready,
        serving=conditions.get("serving") is not False,
        terminating=conditions.get("terminating") is True,
        zone_hints=frozenset(text(hint, "name") for hint in entries(raw, "hints", "forZones")),
        node_hints=frozenset(text(hint, "name") for hint in entries(raw, "hints", "forNodes")),
    )
