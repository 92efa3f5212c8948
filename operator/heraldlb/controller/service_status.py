"""The part of a Service's status that is ours, as it should be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from heraldlb.allocation.allocator import Outcome
from heraldlb.api.conditions import Condition, merge
from heraldlb.api.group import ADDRESS_ASSIGNED_CONDITION
from heraldlb.api.objects import text
from heraldlb.api.ranges import IPAddress
from heraldlb.api.services import Service


@dataclass(frozen=True, slots=True)
class StatusPatch:
    """A strategic merge patch of the status subresource, and whether its reason or message is news."""

    body: Mapping[str, Any]
    news: bool


def assigned(service: Service, outcome: Outcome, now: str) -> StatusPatch | None:
    """The patch that tells the outcome, or None where the Service says so already. `now` is RFC 3339."""
    addresses = tuple(grant.address for grant in outcome.grants)
    condition = Condition(ADDRESS_ASSIGNED_CONDITION, outcome.satisfied, outcome.reason.value, outcome.message)
    before = _condition(service)
    [after] = merge([before] if before else [], [condition], now)
    news = any(before.get(field) != after[field] for field in ("status", "reason", "message"))
    if not news and service.ingress == addresses and not service.hostname_ingress and not service.proxied_ingress:
        return None
    return StatusPatch(_patch(service, {"conditions": [after], "loadBalancer": _load_balancer(addresses)}), news)


def released(service: Service, held: tuple[IPAddress, ...]) -> StatusPatch | None:
    """The patch for a Service that is no LoadBalancer of ours any more; addresses that we did not give stay."""
    ours = _condition(service)
    remaining = tuple(address for address in service.ingress if address not in held)
    status: dict[str, Any] = {}
    if remaining != service.ingress:
        status["loadBalancer"] = _load_balancer(remaining)
    if ours:
        status["conditions"] = [{"type": ADDRESS_ASSIGNED_CONDITION, "$patch": "delete"}]
    return StatusPatch(_patch(service, status), news=False) if status else None


def _condition(service: Service) -> Mapping[str, Any]:
    return next((entry for entry in service.conditions if text(entry, "type") == ADDRESS_ASSIGNED_CONDITION), {})


def _load_balancer(addresses: tuple[IPAddress, ...]) -> dict[str, Any]:
    return {"ingress": [{"ip": str(address), "ipMode": "VIP"} for address in addresses] or None}


def _patch(service: Service, status: Mapping[str, Any]) -> dict[str, Any]:
    # The version read is a precondition: a decision made on an older Service is not written over a newer one.
    return {"metadata": {"uid": service.uid, "resourceVersion": service.resource_version}, "status": dict(status)}
