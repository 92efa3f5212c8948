"""Status conditions with the semantics of `metav1.Condition`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from heraldlb.api.objects import Raw, number, text

MESSAGE_LIMIT = 32_768


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition as it should be. `observed_generation` 0 leaves the field out."""

    type: str
    status: bool
    reason: str
    message: str
    observed_generation: int = 0


def is_true(conditions: Iterable[Raw], kind: str) -> bool:
    """Whether the condition of that type is present with status `True`."""
    return any(text(entry, "type") == kind and text(entry, "status") == "True" for entry in conditions)


def merge(current: Sequence[Any], wanted: Iterable[Condition], now: str) -> list[dict[str, Any]]:
    """`current` with the wanted conditions set; conditions of other types stay as they are.

    `now` is an RFC 3339 time. `lastTransitionTime` moves only when the status flips, so that an unchanged
    condition compares equal and need not be written.
    """
    result = {text(entry, "type"): dict(entry) for entry in current if isinstance(entry, dict)}
    for condition in wanted:
        status = "True" if condition.status else "False"
        before = result.get(condition.type, {})
        since = before.get("lastTransitionTime") if before.get("status") == status else None
        entry: dict[str, Any] = {
            "type": condition.type,
            "status": status,
            "reason": condition.reason,
            "message": condition.message[:MESSAGE_LIMIT],
            "lastTransitionTime": since or now,
        }
        # An older generation never overwrites what a newer one has said.
        if generation := max(condition.observed_generation, number(before, "observedGeneration")):
            entry["observedGeneration"] = generation
        result[condition.type] = entry
    return list(result.values())
