"""What has become of each Service of `type: LoadBalancer`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from heraldlb.api.objects import NamespacedName, Raw, text
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import ANNOUNCED_CONDITION, CONFLICT_CONDITION, ServiceAddress
from heraldlb.api.services import Service
from heraldlb.cli.kubectl.installation import installation
from heraldlb.cli.kubectl.services.condition import assigned_condition, condition_of
from heraldlb.cli.kubectl.snapshot import Snapshot, controller_view
from heraldlb.controller.adoption import owned
from heraldlb.controller.cluster import Cluster
from heraldlb.controller.settings import ControllerSettings


class State(StrEnum):
    """How far a Service has come, what needs somebody first."""

    REFUSED = "Refused"
    CONTESTED = "Contested"
    SILENT = "NotAnnounced"
    PENDING = "Pending"
    UNMET = "Unmet"
    ANNOUNCED = "Announced"
    FOREIGN = "NotServed"


MEANINGS: Final[Mapping[State, str]] = {
    State.REFUSED: "has no address, and the controller says why",
    State.CONTESTED: "a host that is none of the nodes claims its address",
    State.SILENT: "has an address that no node announces",
    State.PENDING: "has no address, and the controller has not said anything yet",
    State.UNMET: "has an address, but not all that it asks for",
    State.ANNOUNCED: "has what it asks for, and nodes answer for it",
    State.FOREIGN: "is of a loadBalancerClass that Herald does not serve, or of another type",
}

WRONG: Final = frozenset({State.REFUSED, State.CONTESTED, State.SILENT, State.UNMET})
"""States in which something needs to be done."""


@dataclass(frozen=True, slots=True)
class AddressReport:
    """One address of a Service."""

    address: IPAddress
    pool: str
    node: str
    """Who announces it; empty: nobody."""
    interface: str
    since: str
    """RFC 3339."""
    announced: bool
    contested: bool
    message: str
    """What the agents say of it."""


@dataclass(frozen=True, slots=True)
class ServiceReport:
    """One Service."""

    service: NamespacedName
    state: State
    reason: str
    """Of its condition, or of that of the address which is not in order; empty: nothing was said."""
    message: str
    addresses: tuple[AddressReport, ...]
    ports: tuple[str, ...]
    created: str
    """RFC 3339."""


@dataclass(frozen=True, slots=True)
class ServicesReport:
    """Services by namespace and name."""

    services: tuple[ServiceReport, ...]
    now: float
    """Unix seconds."""

    @property
    def wrong(self) -> tuple[ServiceReport, ...]:
        """Those with which something needs to be done, the most urgent first."""
        order = list(State)
        return tuple(
            sorted((each for each in self.services if each.state in WRONG), key=lambda s: order.index(s.state))
        )


def services_report(snapshot: Snapshot, namespace: str = "") -> ServicesReport:
    """The report of a snapshot with `services`, `records` and `pods`; of one namespace, or of all."""
    cluster = controller_view(snapshot)
    settings = installation(snapshot).controller_settings
    chosen = sorted(
        (
            each
            for each in cluster.services.values()
            if namespace in ("", each.id.namespace) and each.is_load_balancer
        ),
        key=lambda service: service.id,
    )
    return ServicesReport(tuple(service_report(each, cluster, settings) for each in chosen), snapshot.now)


def service_report(service: Service, cluster: Cluster, settings: ControllerSettings) -> ServiceReport:
    """One Service, as objects say."""
    condition = assigned_condition(service)
    addresses = tuple(address_report(address, cluster.record(address)) for address in service.ingress)
    state, reason, message = _judged(service, condition, addresses, cluster, ours=owned(service, settings))
    return ServiceReport(
        service.id,
        state,
        reason,
        message,
        addresses,
        tuple(f"{port.port}/{port.protocol}" for port in service.ports),
        service.created,
    )


def address_report(address: IPAddress, record: ServiceAddress | None) -> AddressReport:
    """One address, as its record says."""
    if record is None:
        return AddressReport(address, "", "", "", "", False, False, "it has no ServiceAddress")
    announced = condition_of(record.conditions, ANNOUNCED_CONDITION)
    return AddressReport(
        address,
        record.pool,
        record.node,
        record.interface,
        record.since,
        announced=bool(record.node),
        contested=record.contested_since is not None,
        message=text(announced, "message") or "no agent has said anything of it yet",
    )


def _judged(
    service: Service, condition: Raw, addresses: tuple[AddressReport, ...], cluster: Cluster, *, ours: bool
) -> tuple[State, str, str]:
    reason, message = text(condition, "reason"), text(condition, "message")
    if not ours:
        if not service.is_load_balancer:
            return State.FOREIGN, "", "it is being deleted" if service.deleting else f"spec.type is {service.type}"
        return State.FOREIGN, "", f"spec.loadBalancerClass is {service.load_balancer_class or 'not set'}"
    if not addresses:
        return (State.REFUSED if condition else State.PENDING), reason, message or MEANINGS[State.PENDING]
    for each in addresses:
        record = cluster.record(each.address)
        conditions = record.conditions if record is not None else ()
        kind = CONFLICT_CONDITION if each.contested else ANNOUNCED_CONDITION
        said = condition_of(conditions, kind)
        if each.contested or not each.announced:
            state = State.CONTESTED if each.contested else State.SILENT
            words = text(said, "message") or each.message
            return state, text(said, "reason"), f"{each.address}: {words}"
    if text(condition, "status") == "False":
        return State.UNMET, reason, message
    return State.ANNOUNCED, reason, message
