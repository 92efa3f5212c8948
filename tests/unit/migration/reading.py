"""Short ways to say what conversion tests talk about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import dedent
from typing import Any

from heraldlb.migration.convert import convert, sort
from heraldlb.migration.documents import Document, read
from heraldlb.migration.manifests import Converted, name_of
from heraldlb.migration.notes import Kind


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a text."""

    converted: Converted

    @property
    def pools(self) -> dict[str, Any]:
        """The specs of the pools, by name."""
        return {name_of(pool): pool["spec"] for pool in self.converted.pools}

    @property
    def announcements(self) -> dict[str, Any]:
        """The specs of the announcements, by name."""
        return {name_of(each): each["spec"] for each in self.converted.announcements}

    def places(self, kind: Kind) -> list[str]:
        """`LINE PATH` of each note of that kind, by line."""
        notes = [note for note in self.converted.notes if note.kind is kind]
        return [f"{note.line} {note.path}" for note in sorted(notes, key=lambda note: note.line)]

    def why(self, path: str) -> str:
        """The words of the one note about that path."""
        [note] = [note for note in self.converted.notes if note.path == path]
        return note.why


def documents(text: str) -> list[Document]:
    return read("old.yaml", dedent(text).lstrip("\n"))


def converted(text: str, namespaces: Mapping[str, Mapping[str, str]] | None = None) -> Outcome:
    return Outcome(convert(sort(documents(text)).configuration, namespaces or {}))
