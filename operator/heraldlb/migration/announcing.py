"""L2Announcements from other projects' policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from heraldlb.migration.manifests import Manifest, manifest, valid_name
from heraldlb.migration.notes import Fields, Kind
from heraldlb.migration.selectors import Selector, alternatives

UNNEEDED = "every pool is announced from every node by itself: this needs no object"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of old: of its pools, from nodes and for Services that one of the selectors matches."""

    fields: Fields
    """Where it stands, for notes about the whole."""
    name: str
    pools: tuple[str, ...] = ()
    """Empty: all."""
    node_selectors: Sequence[Selector] = ()
    service_selectors: Sequence[Selector] = ()
    interfaces: tuple[str, ...] = ()
    preferences: Sequence[Mapping[str, Any]] = field(default=())

    @property
    def restricts(self) -> bool:
        """Whether there is something that it does not announce, or not from everywhere."""
        selectors = [alternatives(self.node_selectors), alternatives(self.service_selectors)]
        return bool(self.pools or self.interfaces) or selectors != [[{}], [{}]]


def announcements(policies: Sequence[Policy]) -> tuple[Manifest, ...]:
    """The L2Announcements that announce what the policies do; none where that is everything from everywhere."""
    if any(not policy.restricts for policy in policies) and not any(policy.preferences for policy in policies):
        for policy in policies:
            policy.fields.note(UNNEEDED, kind=Kind.NOT_NEEDED)
        return ()
    return tuple(made for policy in policies for made in _announcements(policy))


def _announcements(policy: Policy) -> list[Manifest]:
    """One L2Announcement for each pair of selectors, since an L2Announcement has one of each."""
    pairs = list(product(alternatives(policy.node_selectors), alternatives(policy.service_selectors)))
    if len(pairs) > 1:
        why = f"has alternatives that one selector cannot say: it becomes {len(pairs)} L2Announcements"
        policy.fields.note(why, kind=Kind.CHANGED)
    return [
        manifest(
            "L2Announcement",
            valid_name(policy.name) + (f"-{number}" if number > 1 else ""),
            {
                "addressPools": list(policy.pools),
                "serviceSelector": services,
                "nodeSelector": nodes,
                "interfaces": {"include": list(policy.interfaces)} if policy.interfaces else {},
                "nodePreferences": list(policy.preferences),
            },
        )
        for number, (nodes, services) in enumerate(pairs, start=1)
    ]
