"""A local copy of one kind of object that never goes back in time. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from heraldlb.api.objects import NamespacedName, Raw, identity, resource_version

T = TypeVar("T")

TOMBSTONES = 10_000
"""Deletions remembered, so that an older list that still holds the object cannot bring it back."""


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One object before and after; None is absence."""

    key: NamespacedName
    before: T | None
    after: T | None


class Mirror(Generic[T]):
    """Objects by namespace and name, as views made by `parse`; what it returns None for is left out.

    Events and lists may come late, twice and in any order between each other: each is taken only if its
    resourceVersion is newer than what is known of the object.
    """

    __slots__ = ("_deleted", "_objects", "_parse", "_versions")

    def __init__(self, parse: Callable[[Raw], T | None]) -> None:
        self._parse = parse
        self._objects: dict[NamespacedName, T] = {}
        self._versions: dict[NamespacedName, int] = {}
        self._deleted: dict[NamespacedName, int] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[NamespacedName]:
        return iter(self._objects)

    def values(self) -> Iterable[T]:
        """Every view."""
        return self._objects.values()

    def get(self, key: NamespacedName) -> T | None:
        """The view of one object."""
        return self._objects.get(key)

    def version(self, key: NamespacedName) -> int:
        """The resourceVersion of the object as it is known; 0 where it is not."""
        return self._versions.get(key, 0)

    def observe(self, event: str | None, raw: dict[str, Any]) -> Change[T] | None:
        """Take in a watch event (`ADDED`, `MODIFIED`, `DELETED`, or None for a listed object), if it is news."""
        key, version = identity(raw), resource_version(raw)
        if version <= self._known(key):
            return None
        return self._remove(key, version) if event == "DELETED" else self._set(key, version, raw)

    def replace(self, items: Iterable[dict[str, Any]], version: int) -> list[Change[T]]:
        """Take in a complete list made at `version`; what it lacks, and is not newer, has been deleted."""
        changes = []
        listed = set()
        for raw in items:
            listed.add(identity(raw))
            changes.append(self.observe(None, raw))
        gone = [key for key, known in self._versions.items() if key not in listed and known <= version]
        changes.extend(self._remove(key, version) for key in gone)
        return [change for change in changes if change is not None]

    def forget(self, key: NamespacedName, version: int) -> Change[T] | None:
        """Take in that the object was deleted at, or just after, `version`."""
        return self._remove(key, version) if version >= self._versions.get(key, 0) else None

    def _known(self, key: NamespacedName) -> int:
        return max(self._versions.get(key, 0), self._deleted.get(key, 0))

    def _set(self, key: NamespacedName, version: int, raw: dict[str, Any]) -> Change[T] | None:
        self._deleted.pop(key, None)
        before, after = self._objects.pop(key, None), self._parse(raw)
        self._versions[key] = version
        if after is not None:
            self._objects[key] = after
        return Change(key, before, after) if before is not None or after is not None else None

    def _remove(self, key: NamespacedName, version: int) -> Change[T] | None:
        self._versions.pop(key, None)
        self._deleted[key] = version
        if len(self._deleted) > TOMBSTONES:
            del self._deleted[next(iter(self._deleted))]
        before = self._objects.pop(key, None)
        return Change(key, before, None) if before is not None else None
