"""The chapter on what happened: Herald's Events about a Service. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from heraldlb.api.group import AGENT_NAME, CONTROLLER_NAME
from heraldlb.api.objects import NamespacedName, Raw, number, text


@dataclass(frozen=True, slots=True)
class Happened:
    """One Event, as often as it repeated."""

    service: NamespacedName
    reason: str
    note: str
    warning: bool
    source: str
    """The node, or the replica of the controller, that wrote it."""
    last: str
    """RFC 3339: when it happened last."""
    count: int


def happenings(events: Iterable[Raw]) -> tuple[Happened, ...]:
    """Herald's Events, the latest first."""
    ours = (event for event in events if text(event, "reportingController") in (AGENT_NAME, CONTROLLER_NAME))
    return tuple(sorted(map(_parse, ours), key=lambda each: each.last, reverse=True))


def _parse(event: Raw) -> Happened:
    return Happened(
        service=NamespacedName(text(event, "regarding", "namespace"), text(event, "regarding", "name")),
        reason=text(event, "reason"),
        note=text(event, "note"),
        warning=text(event, "type") == "Warning",
        source=text(event, "reportingInstance"),
        last=text(event, "series", "lastObservedTime") or text(event, "eventTime"),
        count=number(event, "series", "count") or 1,
    )
