"""Conditions, as they are found on objects. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from heraldlb.api.group import ADDRESS_ASSIGNED_CONDITION
from heraldlb.api.objects import Raw, text
from heraldlb.api.services import Service


def assigned_condition(service: Service) -> Raw:
    """What the controller says of the Service; empty: nothing."""
    return condition_of(service.conditions, ADDRESS_ASSIGNED_CONDITION)


def condition_of(conditions: Iterable[Raw], kind: str) -> Raw:
    """The condition of that type; empty where there is none."""
    return next((each for each in conditions if text(each, "type") == kind), {})
