"""Cilium's load-balancer pools (LB IPAM), its layer-2 policies, and what is about BGP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heraldlb.migration.addresses import ends_of_ipv6, usable
from heraldlb.migration.announcing import Policy, announcements
from heraldlb.migration.documents import Document
from heraldlb.migration.globs import glob_of
from heraldlb.migration.manifests import Converted, Manifest, manifest, valid_name
from heraldlb.migration.metadata import metadata
from heraldlb.migration.metallb import NO_BGP
from heraldlb.migration.notes import Fields, Kind, Note, fields_of
from heraldlb.migration.selectors import Selector, carried

GROUP: Final = "cilium.io"
POOL: Final = "CiliumLoadBalancerIPPool"
POLICY: Final = "CiliumL2AnnouncementPolicy"

_NAMESPACE: Final = "io.kubernetes.service.namespace"
_NAME: Final = "io.kubernetes.service.name"
_NAMESPACE_LABEL: Final = "kubernetes.io/metadata.name"
"""What the API server labels every namespace with: its name."""


def convert(documents: Sequence[Document]) -> Converted:
    """Herald's objects for these."""
    notes: list[Note] = []
    pools: list[Manifest] = []
    policies: list[Policy] = []
    for document in documents:
        fields = fields_of(document, notes)
        metadata(fields)
        if document.kind == POOL:
            pools.append(_pool(document, fields))
        elif document.kind == POLICY:
            policies += _policy(document, fields)
        elif document.kind.startswith("CiliumBGP"):
            fields.note(NO_BGP)
            continue
        else:
            continue
        fields.close()
    if pools and not any(document.kind == POLICY for document in documents):
        for document in documents:
            if document.kind == POOL:
                why = (
                    "no CiliumL2AnnouncementPolicy announced it; Herald does, on the local network, from every node"
                )
                fields_of(document, notes).note(why, kind=Kind.CHANGED)
    return Converted(tuple(pools), announcements(policies), tuple(notes))


def _pool(document: Document, fields: Fields) -> Manifest:
    spec = fields.inner("spec")
    listed = []
    for key in ("blocks", "cidrs"):
        for block in spec.each(key):
            written = block.text("cidr")
            start, stop = block.text("start"), block.text("stop")
            if not written and start:
                written = f"{start}-{stop}" if stop else start
            place = "cidr" if "cidr" in block.raw else "start"
            listed.append((written, (*block.path[1:], place)))
    found = usable(spec, listed)
    settings: dict[str, object] = {"addresses": [entry.written for entry in found]}
    if spec.text("allowFirstLastIPs") == "No":
        settings["skipNetworkAndBroadcast"] = True
        settings["excluded"] = ends_of_ipv6(found)
    if spec.flag("disabled"):
        settings["assignment"] = "Paused"
    selector = spec.inner("serviceSelector")
    settings |= _whom(selector, settings)
    return manifest("AddressPool", valid_name(document.name), settings)


def _whom(fields: Fields, settings: dict[str, object]) -> dict[str, object]:
    """A selector over labels, namespace and name of Services, as an AddressPool says it."""
    selector, namespaces, by_name = _parted(carried(fields))
    whom: dict[str, object] = {"serviceSelector": selector}
    if by_name:
        fields.note(
            "an AddressPool cannot select Services by name: it gives addresses only to those that ask for it"
            " (annotation heraldlb.io/address-pool), so annotate the Service that this names",
            kind=Kind.NOT_CARRIED,
        )
        whom["assignment"] = settings.get("assignment", "OnRequest")
    positive = [entry for entry in namespaces if entry["operator"] == "In"]
    if len(positive) == 1 and len(namespaces) == 1:
        whom["namespaces"] = positive[0]["values"]
    elif namespaces:
        whom["namespaceSelector"] = {"matchExpressions": namespaces}
    return whom


def _parted(selector: Selector) -> tuple[Selector, list[Selector], bool]:
    """What is about labels, what about the namespace (over its label), and whether any is about names."""
    labels = dict(selector.get("matchLabels", {}))
    by_name = labels.pop(_NAME, None) is not None
    namespaces: list[Selector] = []
    if (named := labels.pop(_NAMESPACE, None)) is not None:
        namespaces.append({"key": _NAMESPACE_LABEL, "operator": "In", "values": [named]})
    expressions = []
    for entry in selector.get("matchExpressions", []):
        if entry["key"] == _NAME:
            by_name = by_name or entry["operator"] != "Exists"
        elif entry["key"] == _NAMESPACE:
            if entry["operator"] != "Exists":
                namespaces.append({**entry, "key": _NAMESPACE_LABEL})
        else:
            expressions.append(entry)
    rest = {"matchLabels": labels, "matchExpressions": expressions}
    return {key: value for key, value in rest.items() if value}, namespaces, by_name


def _policy(document: Document, fields: Fields) -> list[Policy]:
    """The policy of an L2 policy; none where it announces no load-balancer address."""
    spec = fields.inner("spec")
    nodes, services = carried(spec.inner("nodeSelector")), spec.inner("serviceSelector")
    selector, namespaces, by_name = _parted(carried(services))
    globs = []
    for index, written in spec.texts("interfaces"):
        glob, exact = glob_of(written)
        if not glob:
            why = f'"{written}" cannot be said as a pattern with * and ?; add the interfaces that it means'
            spec.note(why, "interfaces", index)
        elif not exact:
            why = f'"{written}" became {glob}, which matches more'
            spec.note(why, "interfaces", index, kind=Kind.CHANGED)
        globs += [glob] if glob else []
    if spec.flag("externalIPs"):
        why = "spec.externalIPs of Services are forwarded, but no node announces them: route them to a node"
        spec.note(why, "externalIPs")
    if not spec.flag("loadBalancerIPs"):
        fields.note("does not announce load-balancer addresses (loadBalancerIPs), so nothing came of it")
        return []
    if namespaces or by_name:
        services.note(
            "an L2Announcement selects Services by their labels only, not by namespace or name: it announces others"
            " that match the rest, too"
        )
    interfaces = tuple(globs)
    return [Policy(fields, document.name, (), [nodes], [selector], interfaces)]
