"""Herald's objects as they are written down."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from heraldlb.api.group import API_VERSION
from heraldlb.migration.notes import Note

Manifest = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Converted:
    """What came of a configuration: Herald's objects, and the account of what did not."""

    pools: tuple[Manifest, ...] = ()
    announcements: tuple[Manifest, ...] = ()
    notes: tuple[Note, ...] = ()

    @property
    def objects(self) -> tuple[Manifest, ...]:
        """Everything to apply."""
        return (*self.pools, *self.announcements)

    def __add__(self, other: Converted) -> Converted:
        return Converted(
            (*self.pools, *other.pools),
            (*self.announcements, *other.announcements),
            (*self.notes, *other.notes),
        )


def manifest(kind: str, name: str, spec: Mapping[str, Any]) -> Manifest:
    """An object of ours. What is empty in `spec` is left out, except for zero and False."""
    kept = {key: value for key, value in spec.items() if value not in (None, "", [], {}, ())}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": kept}


def name_of(manifest: Manifest) -> str:
    """Its `metadata.name`."""
    return str(manifest["metadata"]["name"])


def valid_name(written: str) -> str:
    """The nearest name that an object can have (RFC 1123 subdomain)."""
    name = re.sub(r"[^a-z0-9.-]+", "-", written.lower())[:253]
    name = re.sub(r"^[^a-z0-9]+|[^a-z0-9]+$", "", name)
    return re.sub(r"[.-]*\.[.-]*", ".", name) or "pool"


def dump(manifests: Sequence[Manifest]) -> str:
    """YAML documents that `kubectl apply -f` takes."""
    return yaml.dump_all(
        manifests,
        Dumper=_Dumper,
        sort_keys=False,
        explicit_start=True,
        default_flow_style=False,
        allow_unicode=True,
    )


class _Dumper(yaml.SafeDumper):
    """With lists indented, and without anchors for what is there twice."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True
