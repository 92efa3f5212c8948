"""The ConfigMap `kubevip` of kube-vip's cloud provider: pools for all namespaces and for single ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from heraldlb.api.objects import mapping
from heraldlb.migration.addresses import Entry, ends_of_ipv6, usable
from heraldlb.migration.announcing import Policy, announcements
from heraldlb.migration.documents import Document
from heraldlb.migration.manifests import Converted, Manifest, manifest, valid_name
from heraldlb.migration.metadata import metadata
from heraldlb.migration.notes import Fields, Note, fields_of

NAME: Final = "kubevip"

_GLOBAL: Final = "global"
_DHCP: Final = ("0.0.0.0", "0.0.0.0/32", "::", "::/128")


@dataclass(slots=True)
class _Pool:
    """What the keys of one namespace say, or those of all."""

    texts: list[tuple[str, tuple[str | int, ...]]] = field(default_factory=list)
    interface: str = ""


def holds(document: Document) -> bool:
    """Whether it is such a ConfigMap."""
    if document.kind != "ConfigMap":
        return False
    keys = mapping(document.raw, "data")
    return document.name == NAME or any(key.startswith(("cidr-", "range-")) for key in keys)


def convert(document: Document) -> Converted:
    """Herald's objects for it."""
    notes: list[Note] = []
    fields = fields_of(document, notes)
    metadata(fields)
    data = fields.inner("data")
    pools = _read(data)
    own = sorted(namespace for namespace, pool in pools.items() if namespace != _GLOBAL and pool.texts)
    skip_ends = data.flag("skip-end-ips-in-cidr")
    if data.text("search-order") == "desc":
        data.note("the lowest free address is given first; Services keep what they have", "search-order")
    made: list[Manifest] = []
    policies: list[Policy] = []
    for namespace, pool in sorted(pools.items(), key=lambda item: item[0] == _GLOBAL):
        found = usable(data, pool.texts)
        name = valid_name(f"kube-vip-{namespace}")
        if found:
            made.append(manifest("AddressPool", name, _settings(found, namespace, own, skip_ends)))
            policies.append(Policy(fields, name, (name,), interfaces=(pool.interface,) if pool.interface else ()))
        elif pool.interface:
            why = f'the namespace "{namespace}" has no pool of its own, and interfaces are chosen by pool'
            data.note(why, f"interface-{namespace}")
    fields.close()
    wanted = any(policy.interfaces for policy in policies)
    return Converted(tuple(made), announcements(policies) if wanted else (), tuple(notes))


def _read(data: Fields) -> dict[str, _Pool]:
    """The keys, by the namespace at their end."""
    pools: dict[str, _Pool] = {}
    for key in data.raw:
        prefix, _, namespace = key.partition("-")
        if not namespace or key in ("search-order", "skip-end-ips-in-cidr"):
            continue
        if prefix in ("cidr", "range"):
            listed = [part.strip() for part in data.text(key).split(",")]
            for text in filter(None, listed):
                if text in _DHCP:
                    data.note("addresses by DHCP are not to be had: give the Services addresses of a pool", key)
                else:
                    pools.setdefault(namespace, _Pool()).texts.append((text, (key,)))
        elif prefix == "interface":
            pools.setdefault(namespace, _Pool()).interface = data.text(key)
        elif key.startswith("allow-share-"):
            data.note(
                "Services share an address only if they say so: give those that share one the same"
                " heraldlb.io/sharing-key",
                key,
            )
            data.take(key)
    return pools


def _settings(found: list[Entry], namespace: str, own: list[str], skip_ends: bool) -> dict[str, object]:
    settings: dict[str, object] = {"addresses": [entry.written for entry in found]}
    if skip_ends:
        settings["skipNetworkAndBroadcast"] = True
        settings["excluded"] = ends_of_ipv6(found)
    if namespace != _GLOBAL:
        settings["namespaces"] = [namespace]
    elif own:
        # A namespace with a pool of its own gets nothing of the common one.
        apart = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": own}
        settings["namespaceSelector"] = {"matchExpressions": [apart]}
    return settings
