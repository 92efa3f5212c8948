"""What a benchmark is given, and where it leaves what it measured beside its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.progress import Progress


@dataclass(frozen=True, slots=True)
class Context:
    """One run of one benchmark."""

    progress: Progress
    """Takes one line about what goes on."""
    samples: dict[str, list[Any]] = field(default_factory=dict)
    """Raw measurements by name, in the order they were made; stored beside the rows."""
