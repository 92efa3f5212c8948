"""The configuration file of MetalLB up to 0.12: the key `config` of a ConfigMap."""

from __future__ import annotations

from typing import Final

from heraldlb.api.objects import mapping
from heraldlb.migration.addresses import entries
from heraldlb.migration.documents import Document, embedded
from heraldlb.migration.manifests import Converted, Manifest, manifest, valid_name
from heraldlb.migration.metallb import NO_BGP, NOW_LAYER_2, pool_settings
from heraldlb.migration.notes import Fields, Note

_KEYS: Final = ("address-pools", "peers", "bgp-communities", "bfd-profiles", "peer-autodiscovery")


def holds(document: Document) -> bool:
    """Whether it is such a ConfigMap, or the configuration file itself."""
    if document.kind:
        config = mapping(document.raw, "data").get("config")
        return (
            document.kind == "ConfigMap" and isinstance(config, str) and any(f"{key}:" in config for key in _KEYS)
        )
    return any(key in document.raw for key in _KEYS)


def convert(document: Document) -> Converted:
    """Herald's objects for it. Raises DocumentError where the file in the ConfigMap is no YAML."""
    notes: list[Note] = []
    inner = embedded(document, "data", "config") if document.kind else document
    title = f"{document.title}, config" if document.kind else "config"
    fields = Fields(inner, title, inner.raw, notes)
    made = [_pool(pool, position) for position, pool in enumerate(fields.each("address-pools"))]
    for key in ("peers", "bgp-communities", "bfd-profiles", "peer-autodiscovery"):
        fields.refuse(key, NO_BGP)
    fields.close()
    return Converted(tuple(made), (), tuple(notes))


def _pool(fields: Fields, position: int) -> Manifest:
    written = fields.text("name")
    name = valid_name(written or f"pool-{position}")
    if written != name:
        fields.note(
            f'the pool is called "{name}", since "{written}" is no name that an object can have: Services that ask'
            " for it by name must ask for the new one",
            "name",
        )
    if fields.text("protocol") == "bgp":
        fields.note(NOW_LAYER_2, "protocol")
    fields.refuse("bgp-advertisements", NO_BGP)
    settings = pool_settings(fields, entries(fields, "addresses"), "auto-assign", "avoid-buggy-ips")
    return manifest("AddressPool", name, settings)
