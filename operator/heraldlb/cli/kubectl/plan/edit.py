"""A snapshot as it would be after an edit. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from heraldlb.api.objects import Raw, mapping, number, text
from heraldlb.api.times import written
from heraldlb.cli.kubectl.snapshot import Snapshot

KINDS: Mapping[str, str] = {"AddressPool": "pools", "L2Announcement": "announcements"}
"""The kinds that can be planned, and the field of a Snapshot that has them."""


class Action(StrEnum):
    """What would be done with an object."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    NOTHING = "unchanged"


@dataclass(frozen=True, slots=True)
class Edit:
    """One object of the edit."""

    kind: str
    name: str
    action: Action
    refused: str = ""
    """Why the API server would refuse it, upon which nothing comes of it."""


def edited(
    snapshot: Snapshot, objects: Sequence[Raw], refusals: Mapping[tuple[str, str], str], *, delete: bool
) -> tuple[Snapshot, tuple[Edit, ...]]:
    """The snapshot with these objects applied, or deleted, and what that does to each.

    `refusals`: by kind and name, what the API server would refuse.
    """
    edits = []
    found = {kind: {text(raw, "metadata", "name"): raw for raw in getattr(snapshot, KINDS[kind])} for kind in KINDS}
    for raw in objects:
        kind, name = text(raw, "kind"), text(raw, "metadata", "name")
        before = found[kind].get(name)
        if refusal := refusals.get((kind, name)):
            edits.append(Edit(kind, name, Action.CREATE if before is None else Action.CHANGE, refusal))
        elif delete:
            edits.append(Edit(kind, name, Action.NOTHING if before is None else Action.DELETE))
            found[kind].pop(name, None)
        else:
            action, found[kind][name] = _applied(before, raw, snapshot.now)
            edits.append(Edit(kind, name, action))
    changed: dict[str, Any] = {KINDS[kind]: tuple(each.values()) for kind, each in found.items()}
    return replace(snapshot, **changed), tuple(edits)


def _applied(before: Raw | None, after: Raw, now: float) -> tuple[Action, Raw]:
    """The object as it would be stored."""
    if before is None:
        stored = {"creationTimestamp": written(now), "generation": 1, "resourceVersion": "1"}
        return Action.CREATE, {**after, "metadata": {**stored, **mapping(after, "metadata")}}
    if _settings(mapping(before, "spec")) == _settings(mapping(after, "spec")):
        return Action.NOTHING, before
    metadata = {**mapping(before, "metadata"), "generation": number(before, "metadata", "generation") + 1}
    return Action.CHANGE, {**before, "metadata": metadata, "spec": mapping(after, "spec")}


_DEFAULTS: Mapping[str, Any] = {
    "assignment": "Automatic",
    "priority": 100,
    "skipNetworkAndBroadcast": False,
    "reuseDelay": "0s",
    "reclaimPolicy": "Release",
    "balancing": "Single",
}


def _settings(spec: Raw) -> dict[str, Any]:
    """The fields that say something: the API server adds defaults to what it stores."""
    return {
        key: value for key, value in spec.items() if value not in (None, [], {}) and value != _DEFAULTS.get(key)
    }
