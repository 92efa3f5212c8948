"""A snapshot made of files instead of a cluster. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from heraldlb.api.group import GROUP
from heraldlb.api.objects import Raw, mapping, text
from heraldlb.cli.kubectl.snapshot import Snapshot

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
"""What the API server labels every namespace with: its name."""


def snapshot_of(objects: Iterable[Raw], now: float) -> Snapshot:
    """A snapshot of these objects; kinds that decide nothing are left out.

    What the API server would add is added: a version, a uid, the namespace `default`, and namespaces that Services
    are in with the one label that every namespace has.
    """
    found: dict[tuple[str, str], list[Raw]] = {}
    for raw in objects:
        group = text(raw, "apiVersion").rpartition("/")[0]
        found.setdefault((group, text(raw, "kind")), []).append(_stored(raw))
    services = [_in_a_namespace(raw) for raw in found.get(("", "Service"), ())]
    namespaces = found.get(("", "Namespace"), [])
    known = {text(raw, "metadata", "name") for raw in namespaces}
    missing = sorted({text(raw, "metadata", "namespace") for raw in services} - known)
    return Snapshot(
        now,
        pools=tuple(found.get((GROUP, "AddressPool"), ())),
        announcements=tuple(found.get((GROUP, "L2Announcement"), ())),
        records=tuple(found.get((GROUP, "ServiceAddress"), ())),
        services=tuple(services),
        namespaces=(*namespaces, *map(_namespace, missing)),
        nodes=tuple(found.get(("", "Node"), ())),
    )


def _stored(raw: Raw) -> Raw:
    metadata = mapping(raw, "metadata")
    name = f"{text(metadata, 'namespace')}/{text(metadata, 'name')}"
    added = {"resourceVersion": "1", "uid": name, "generation": 1}
    return {**raw, "metadata": {**added, **metadata}}


def _in_a_namespace(raw: Raw) -> Raw:
    metadata = mapping(raw, "metadata")
    return {**raw, "metadata": {**metadata, "namespace": text(metadata, "namespace") or "default"}}


def _namespace(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {NAMESPACE_LABEL: name}, "resourceVersion": "1"}}
