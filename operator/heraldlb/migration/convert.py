"""All formats together: who reads which document, and one set of objects from all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from heraldlb.api.group import GROUP
from heraldlb.migration import cilium, kubevip, metallb, metallb_configmap
from heraldlb.migration.documents import Document
from heraldlb.migration.manifests import Converted, Manifest, name_of
from heraldlb.migration.notes import Kind, Note


class Origin(StrEnum):
    """Whose configuration it is."""

    METALLB = "metallb"
    CILIUM = "cilium"
    KUBE_VIP = "kube-vip"


@dataclass(frozen=True, slots=True)
class Sorted:
    """Documents by what they are."""

    configuration: Mapping[Origin, tuple[Document, ...]]
    state: tuple[Document, ...]
    """Services, namespaces, nodes and Herald's own objects."""
    others: tuple[Document, ...]


def origin_of(document: Document) -> Origin | None:
    """Whose configuration the document is; None: nobody's that is known here."""
    if document.group == metallb.GROUP or metallb_configmap.holds(document):
        return Origin.METALLB
    if document.group == cilium.GROUP and document.kind.startswith(("CiliumLoadBalancer", "CiliumL2", "CiliumBGP")):
        return Origin.CILIUM
    return Origin.KUBE_VIP if kubevip.holds(document) else None


def sort(documents: Sequence[Document]) -> Sorted:
    """Whose configuration each document is, or that it is part of the cluster's state."""
    configuration: dict[Origin, list[Document]] = {}
    state, others = [], []
    for document in documents:
        if (origin := origin_of(document)) is not None:
            configuration.setdefault(origin, []).append(document)
        elif document.group == GROUP or (not document.group and document.kind in ("Service", "Namespace", "Node")):
            state.append(document)
        else:
            others.append(document)
    return Sorted({origin: tuple(found) for origin, found in configuration.items()}, tuple(state), tuple(others))


def convert(
    configuration: Mapping[Origin, Sequence[Document]], namespaces: Mapping[str, Mapping[str, str]]
) -> Converted:
    """Herald's objects for all of it. `namespaces`: the labels of those that there are. Raises DocumentError."""
    found = Converted()
    for origin, documents in configuration.items():
        if origin is Origin.METALLB:
            objects = [document for document in documents if document.group == metallb.GROUP]
            found += metallb.convert(objects, namespaces)
            for document in documents:
                if document.group != metallb.GROUP:
                    found += metallb_configmap.convert(document)
        elif origin is Origin.CILIUM:
            found += cilium.convert(documents)
        else:
            for document in documents:
                found += kubevip.convert(document)
    return _unique(found)


def _unique(found: Converted) -> Converted:
    """The first object of each name, which what an older configuration left behind does not overwrite."""
    notes = list(found.notes)

    def first(made: Sequence[Manifest]) -> tuple[Manifest, ...]:
        kept: dict[str, Manifest] = {}
        for each in made:
            name = name_of(each)
            if name not in kept:
                kept[name] = each
            elif each != kept[name]:
                why = "there are two of this name; the first was taken: give the other one another name"
                notes.append(Note(Kind.NOT_CARRIED, "-", 0, f"{each['kind']} {name}", "", why))
        return tuple(kept.values())

    pools = []
    for pool in first(found.pools):
        if pool["spec"].get("addresses"):
            pools.append(pool)
        else:
            why = "no address of it can be used, so no pool came of it"
            notes.append(Note(Kind.NOT_CARRIED, "-", 0, f"AddressPool {name_of(pool)}", "", why))
    return Converted(tuple(pools), first(found.announcements), tuple(notes))
