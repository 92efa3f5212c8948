"""MetalLB's `metallb.io` objects: IPAddressPool, the older AddressPool, L2Advertisement, and what is about BGP."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from heraldlb.api.objects import mapping, number
from heraldlb.api.selectors import parse_selector
from heraldlb.migration.addresses import Entry, ending_in_0_or_255, entries
from heraldlb.migration.announcing import Policy, announcements
from heraldlb.migration.documents import Document
from heraldlb.migration.manifests import Converted, Manifest, manifest, valid_name
from heraldlb.migration.metadata import metadata
from heraldlb.migration.notes import Fields, Kind, Note, fields_of
from heraldlb.migration.selectors import Selector, alternatives, carried

GROUP: Final = "metallb.io"

NO_BGP: Final = "Herald speaks no BGP: it announces addresses on the local network, by ARP and neighbour discovery"
NOW_LAYER_2: Final = (
    "Herald speaks no BGP: from now on these addresses are announced on the local network, by nodes that have an"
    " address of the same network"
)

_POOLS: Final = ("IPAddressPool", "AddressPool")
_ABOUT_BGP: Final = ("BGPPeer", "BGPAdvertisement", "BFDProfile", "Community")
_STATES: Final = ("ConfigurationState", "ServiceL2Status", "ServiceBGPStatus")
_OPERATOR: Final = "is about MetalLB's own pods"


def convert(documents: Sequence[Document], namespaces: Mapping[str, Mapping[str, str]]) -> Converted:
    """Herald's objects for these; `namespaces`: the labels of those that there are, if they are known."""
    notes: list[Note] = []
    pools = [(document, fields_of(document, notes)) for document in documents if document.kind in _POOLS]
    priorities = _Priorities(document for document, _ in pools)
    made = [_pool(document, fields, priorities, namespaces) for document, fields in pools]
    known = {document.name: document for document, _ in pools}
    policies = []
    for document in documents:
        if document.kind == "L2Advertisement":
            policies += _policy(document, fields_of(document, notes), known)
        elif document.kind in _ABOUT_BGP:
            fields_of(document, notes).note(NO_BGP)
        elif document.kind not in _POOLS and document.kind not in _STATES:
            unknown = "is no kind of MetalLB's that is known here; nothing came of it"
            fields_of(document, notes).note(_OPERATOR if document.kind == "MetalLB" else unknown)
    _note_unannounced(pools, policies)
    for _, fields in pools:
        fields.close()
    return Converted(tuple(made), announcements(policies), tuple(notes))


class _Priorities:
    """MetalLB tries pools that name whom they serve first, by priority, where 0 is last; then all others."""

    def __init__(self, pools: Iterable[Document]) -> None:
        named = [self._said(document) for document in pools]
        self._last = max(100, *(said + 2 for said in named)) if named else 100

    def of(self, document: Document) -> int | None:
        """The priority among Herald's pools; None: the default."""
        if mapping(document.raw, "spec", "serviceAllocation"):
            return self._said(document) or self._last - 1
        return self._last if self._last != 100 else None

    @staticmethod
    def _said(document: Document) -> int:
        return number(document.raw, "spec", "serviceAllocation", "priority")


def pool_settings(fields: Fields, listed: Sequence[Entry], auto_assign: str, avoid_buggy: str) -> dict[str, object]:
    """What pools of all of MetalLB's formats have, whose two flags are spelt differently."""
    settings: dict[str, object] = {"addresses": [entry.written for entry in listed]}
    if not fields.flag(auto_assign, default=True):
        settings["assignment"] = "OnRequest"
    if fields.flag(avoid_buggy):
        avoided = ending_in_0_or_255(listed)
        if avoided is None:
            fields.note(
                "more addresses end in .0 or .255 than spec.excluded can list: split the pool, or accept that they"
                " are given",
                avoid_buggy,
            )
        elif avoided:
            settings["excluded"] = avoided
            fields.note(f"became spec.excluded ({', '.join(avoided)})", avoid_buggy, kind=Kind.CHANGED)
    return settings


def _pool(
    document: Document, fields: Fields, priorities: _Priorities, namespaces: Mapping[str, Mapping[str, str]]
) -> Manifest:
    metadata(fields)
    spec = fields.inner("spec")
    settings = pool_settings(spec, entries(spec, "addresses"), "autoAssign", "avoidBuggyIPs")
    if document.kind == "AddressPool":
        if spec.text("protocol") == "bgp":
            spec.note(NOW_LAYER_2, "protocol")
        spec.refuse("bgpAdvertisements", NO_BGP)
    settings["priority"] = priorities.of(document)
    allocation = spec.inner("serviceAllocation")
    allocation.take("priority")
    settings |= _whom(allocation, namespaces)
    return manifest("AddressPool", valid_name(document.name), settings)


def _whom(allocation: Fields, namespaces: Mapping[str, Mapping[str, str]]) -> dict[str, object]:
    """Which namespaces and Services, of lists of alternatives where an AddressPool has one selector of each."""
    named = [name for _, name in allocation.texts("namespaces")]
    by_labels = [carried(each) for each in allocation.each("namespaceSelectors")]
    by_service = [carried(each) for each in allocation.each("serviceSelectors")]
    settings: dict[str, object] = {}
    if by_labels:
        found = alternatives(by_labels)
        settings["namespaceSelector"] = found[0]
        for selector in found[1:]:
            matched = sorted(
                name for name, labels in namespaces.items() if parse_selector(selector).matches(labels)
            )
            named += [name for name in matched if name not in named]
            listed = ", ".join(matched) or "none"
            allocation.note(
                "an AddressPool has one namespaceSelector: of another one the namespaces that it matches now are"
                f" listed in spec.namespaces ({listed}); namespaces that come later have to be added there",
                "namespaceSelectors",
                by_labels.index(selector),
            )
    settings["namespaces"] = named
    if by_service:
        found = alternatives(by_service)
        settings["serviceSelector"] = found[0]
        for selector in found[1:]:
            allocation.note(
                "an AddressPool has one serviceSelector: Services that match only this one keep what they have, and"
                " get nothing new until the selectors are made one, over a label that all of them have",
                "serviceSelectors",
                by_service.index(selector),
            )
    return settings


def _policy(document: Document, fields: Fields, pools: Mapping[str, Document]) -> list[Policy]:
    """The policy of an L2Advertisement; none where it announces nothing."""
    metadata(fields)
    spec = fields.inner("spec")
    named = [name for _, name in spec.texts("ipAddressPools")]
    selectors = [(each, carried(each)) for each in spec.each("ipAddressPoolSelectors")]
    for each, selector in selectors:
        matched = _matching(selector, pools)
        named += [name for name in matched if name not in named]
        each.note(
            f"an L2Announcement names its pools, as of now {', '.join(matched) or 'none'}: add later ones",
            kind=Kind.CHANGED,
        )
    policy = Policy(
        fields,
        document.name,
        tuple(map(valid_name, named)),
        [carried(each) for each in spec.each("nodeSelectors")],
        [carried(each) for each in spec.each("serviceSelectors")],
        tuple(name for _, name in spec.texts("interfaces")),
        [_preference(each) for each in spec.each("preferredNodeSelectors")],
    )
    fields.close()
    if selectors and not named:
        fields.note("matches no pool, so it announces nothing")
        return []
    return [policy]


def _preference(fields: Fields) -> dict[str, object]:
    return {"weight": fields.whole("weight"), "nodeSelector": carried(fields.inner("preference"))}


def _matching(selector: Selector, pools: Mapping[str, Document]) -> list[str]:
    wanted = parse_selector(selector)
    labels = {name: mapping(document.raw, "metadata", "labels") for name, document in pools.items()}
    return [name for name, own in labels.items() if wanted.matches(own)]


def _note_unannounced(pools: Sequence[tuple[Document, Fields]], policies: Sequence[Policy]) -> None:
    """MetalLB gives addresses of a pool without an advertisement and does not announce them on layer 2."""
    everything = any(not policy.pools for policy in policies)
    covered = {name for policy in policies for name in policy.pools}
    for document, fields in pools:
        if document.kind != "IPAddressPool" or everything or valid_name(document.name) in covered:
            continue
        if policies:
            fields.note(
                "no L2Advertisement names this pool, so no L2Announcement does: its addresses are given, and no"
                " node announces them, as before on layer 2; name it in one if one shall"
            )
        else:
            fields.note("there is no L2Advertisement, so it was announced by BGP or not at all. " + NOW_LAYER_2)
