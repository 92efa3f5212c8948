"""The ServiceAddress: one object per assigned address, named after the address.

The API server refuses a second object of one name, so however many controllers act, an address has one record.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from heraldlb.api.group import API_VERSION
from heraldlb.api.objects import NamespacedName, Raw, entries, number, text
from heraldlb.api.ranges import IPAddress, RangeError, parse_address
from heraldlb.api.reasons import Reason
from heraldlb.api.services import Protocol, Service, parse_protocol
from heraldlb.api.times import parse_time, written_finely

ANNOUNCED_CONDITION = "Announced"
CONFLICT_CONDITION = "Conflict"


@dataclass(frozen=True, slots=True, order=True)
class HeldPort:
    """A port that a holder serves on the address; two holders never have an equal one."""

    protocol: Protocol
    port: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A Service that holds the address."""

    service: NamespacedName
    uid: str
    ports: tuple[HeldPort, ...] = ()


@dataclass(frozen=True, slots=True)
class Reservation:
    """A Service that had the address, and for whose name it is kept."""

    service: NamespacedName
    released: float
    """Unix seconds."""
    moved: bool = False
    """It was given up for another one, or for want of a use: `reclaimPolicy: Retain` does not keep it."""


@dataclass(frozen=True, slots=True)
class ServiceAddress:
    """The record of one address: who holds it, for whom it is kept, and who answers for it."""

    address: IPAddress
    pool: str
    holders: tuple[Holder, ...] = ()
    sharing_key: str = ""
    reservations: tuple[Reservation, ...] = ()
    node: str = ""
    interface: str = ""
    mac_address: str = ""
    since: str = ""
    first_announced: str = ""
    """When a node announced it for the first time since somebody holds it; empty: none has."""
    stranger: str = ""
    """The link-layer address of the host that claimed the address last, if the agent has said."""
    conditions: tuple[Raw, ...] = ()
    uid: str = ""
    resource_version: str = ""

    @property
    def name(self) -> str:
        """The object's name."""
        return object_name(self.address)

    @property
    def contested_since(self) -> float | None:
        """Since when, in Unix seconds, a host outside the cluster answers for the address; None: there is none.

        As the announcing node sees it; without a holder nobody looks.
        """
        for condition in self.conditions:
            if text(condition, "type") == CONFLICT_CONDITION and text(condition, "status") == "True":
                return parse_time(text(condition, "lastTransitionTime")) or 0.0
        return None

    @property
    def withheld(self) -> bool:
        """Whether no node announces the address because another host had it before any did."""
        return any(
            text(condition, "type") == ANNOUNCED_CONDITION
            and text(condition, "status") == "False"
            and text(condition, "reason") == Reason.ADDRESS_CONFLICT
            for condition in self.conditions
        )

    @property
    def announced_before(self) -> bool:
        """Whether some node has announced the address since somebody holds it."""
        return bool(self.node or self.first_announced)


def object_name(address: IPAddress) -> str:
    """IPv4 as it is written; IPv6 as its eight groups without leading zeros, joined by `-`.

    Every spelling of an IPv6 address has this one name, and it is a valid object name, which `::` is not.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return "-".join(f"{int(group, 16):x}" for group in address.exploded.split(":"))


def record_key(address: IPAddress) -> NamespacedName:
    """The identity of an address's ServiceAddress."""
    return NamespacedName("", object_name(address))


def holder_of(service: Service) -> Holder:
    """The holder entry that a Service makes for itself."""
    ports = sorted({HeldPort(port.protocol, port.port) for port in service.ports})
    return Holder(service.id, service.uid, tuple(ports))


def parse_service_address(raw: Raw) -> ServiceAddress | None:
    """A ServiceAddress from its JSON, or None where `spec.address` is not an address."""
    try:
        address = parse_address(text(raw, "spec", "address"))
    except RangeError:
        return None
    return ServiceAddress(
        address=address,
        pool=text(raw, "spec", "addressPool"),
        holders=tuple(_parse_holder(entry) for entry in entries(raw, "spec", "services")),
        sharing_key=text(raw, "spec", "sharingKey"),
        reservations=tuple(_parse_reservation(entry) for entry in entries(raw, "spec", "reservations")),
        node=text(raw, "status", "node"),
        interface=text(raw, "status", "interface"),
        mac_address=text(raw, "status", "macAddress"),
        since=text(raw, "status", "since"),
        first_announced=text(raw, "status", "firstAnnounced"),
        stranger=text(raw, "status", "conflict", "macAddress"),
        conditions=tuple(entries(raw, "status", "conditions")),
        uid=text(raw, "metadata", "uid"),
        resource_version=text(raw, "metadata", "resourceVersion"),
    )


def manifest(record: ServiceAddress) -> dict[str, Any]:
    """The object to create: identity and spec, no status."""
    return {
        "apiVersion": API_VERSION,
        "kind": "ServiceAddress",
        "metadata": {"name": record.name},
        "spec": spec_body(record),
    }


def spec_body(record: ServiceAddress) -> dict[str, Any]:
    """`spec` as JSON, holders and ports in a fixed order so that equal records compare equal."""
    body: dict[str, Any] = {
        "address": str(record.address),
        "addressPool": record.pool,
        "services": [_holder_body(holder) for holder in _ordered(record.holders)],
    }
    if record.sharing_key:
        body["sharingKey"] = record.sharing_key
    if record.reservations:
        ordered = sorted(record.reservations, key=lambda reservation: reservation.service)
        body["reservations"] = [_reservation_body(reservation) for reservation in ordered]
    return body


def _ordered(holders: Iterable[Holder]) -> list[Holder]:
    return sorted(holders, key=lambda holder: (holder.service, holder.uid))


def _holder_body(holder: Holder) -> dict[str, Any]:
    return {
        "namespace": holder.service.namespace,
        "name": holder.service.name,
        "uid": holder.uid,
        "ports": [{"port": held.port, "protocol": held.protocol} for held in sorted(holder.ports)],
    }


def _reservation_body(reservation: Reservation) -> dict[str, Any]:
    body: dict[str, Any] = {
        "namespace": reservation.service.namespace,
        "name": reservation.service.name,
        "releasedAt": written_finely(reservation.released),
    }
    if reservation.moved:
        body["moved"] = True
    return body


def _parse_reservation(raw: Raw) -> Reservation:
    # Without a time that can be read, it counts as released long ago.
    released = parse_time(text(raw, "releasedAt")) or 0.0
    return Reservation(
        NamespacedName(text(raw, "namespace"), text(raw, "name")), released, raw.get("moved") is True
    )


def _parse_holder(raw: Raw) -> Holder:
    ports = sorted(HeldPort(parse_protocol(entry), number(entry, "port")) for entry in entries(raw, "ports"))
    return Holder(NamespacedName(text(raw, "namespace"), text(raw, "name")), text(raw, "uid"), tuple(ports))
