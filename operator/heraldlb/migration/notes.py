"""The account of a conversion: what of the old configuration has no place in the new one, line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from heraldlb.api.objects import Raw
from heraldlb.migration.documents import Document, Path

UNKNOWN: Final = "is no field that is known here; nothing came of it"


class Kind(StrEnum):
    """How much a note matters."""

    NOT_CARRIED = "not carried"
    CHANGED = "carried otherwise"
    NOT_NEEDED = "not needed"


@dataclass(frozen=True, slots=True)
class Note:
    """One line or field that is not in the new objects as it was in the old ones."""

    kind: Kind
    source: str
    """The file, or the cluster."""
    line: int
    """From 1; 0 where it is not known."""
    title: str
    """The object: kind and name."""
    path: str
    """The field in it, as `spec.addresses[0]`; empty: the whole object."""
    why: str
    """Why, and what to do where there is something to do."""

    @property
    def place(self) -> str:
        """Where it stands, as compilers say it."""
        return f"{self.source}:{self.line}" if self.line else self.source


@dataclass(slots=True)
class Fields:
    """One mapping of a document, which notes all that nobody has looked at (`close`), so that no line is lost.

    Whoever reads a field answers for it: it is carried, or there is a note.
    """

    document: Document
    title: str
    raw: Raw
    notes: list[Note]
    path: Path = ()
    _seen: set[str] = field(default_factory=set)
    _inner: list[Fields] = field(default_factory=list)

    def __contains__(self, key: str) -> bool:
        return key in self.raw

    def take(self, key: str) -> Any:
        """The value as it is; None where there is none."""
        self._seen.add(key)
        return self.raw.get(key)

    def text(self, key: str) -> str:
        """A text; a number counts as what it is written like. Empty where there is none."""
        value = self.take(key)
        return value if isinstance(value, str) else str(value) if type(value) in (int, float) else ""

    def flag(self, key: str, default: bool = False) -> bool:
        """A truth value, which may be quoted."""
        value = self.take(key)
        if isinstance(value, str):
            return value.strip().lower() in ("true", "yes", "on")
        return value if isinstance(value, bool) else default

    def whole(self, key: str) -> int:
        """An integer; 0 where there is none."""
        value = self.take(key)
        return value if type(value) is int else 0

    def texts(self, key: str) -> list[tuple[int, str]]:
        """The entries of a list of texts, each with its place in the list."""
        value = self.take(key)
        entries = value if isinstance(value, list) else [] if value is None else [value]
        return [(index, str(entry)) for index, entry in enumerate(entries)]

    def inner(self, key: str) -> Fields:
        """The mapping at a key, empty where there is none."""
        value = self.take(key)
        return self._enter(value if isinstance(value, Mapping) else {}, key)

    def each(self, key: str) -> list[Fields]:
        """The mappings of a list."""
        value = self.take(key)
        entries: Sequence[Any] = value if isinstance(value, list) else ()
        return [
            self._enter(entry if isinstance(entry, Mapping) else {}, key, index)
            for index, entry in enumerate(entries)
        ]

    def refuse(self, key: str, why: str, kind: Kind = Kind.NOT_CARRIED) -> None:
        """Note a field that has no place, if it is there; of a list each entry."""
        value = self.take(key)
        if isinstance(value, list) and value:
            for index in range(len(value)):
                self.note(why, key, index, kind=kind)
        elif value not in (None, [], {}):
            self.note(why, key, kind=kind)

    def note(self, why: str, *path: str | int, kind: Kind = Kind.NOT_CARRIED) -> None:
        """Note something about a field in this mapping, or about the mapping itself."""
        full = (*self.path, *path)
        self.notes.append(
            Note(kind, self.document.source, self.document.line(full), self.title, written(full), why)
        )

    def close(self) -> None:
        """Note every field that nobody has looked at, here and in everything that was entered from here."""
        for key in self.raw:
            if key not in self._seen:
                self.note(UNKNOWN, key)
        for inner in self._inner:
            inner.close()

    def _enter(self, raw: Raw, *path: str | int) -> Fields:
        fields = Fields(self.document, self.title, raw, self.notes, (*self.path, *path))
        self._inner.append(fields)
        return fields


def fields_of(document: Document, notes: list[Note]) -> Fields:
    """The fields of a whole object, without what the API server keeps in each: identity and status."""
    fields = Fields(document, document.title, document.raw, notes)
    for key in ("apiVersion", "kind", "status"):
        fields.take(key)
    return fields


def written(path: Path) -> str:
    """`("spec", "addresses", 0)` as `spec.addresses[0]`."""
    found = ""
    for part in path:
        found += f"[{part}]" if isinstance(part, int) else f".{part}" if found else part
    return found
