"""Other load balancers' configuration in the cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from heraldlb.kube.client import CONFIG_MAPS, Api, ApiError, Resource
from heraldlb.migration.documents import Document

_OBJECTS: Final[Sequence[tuple[str, tuple[str, ...], tuple[str, ...]]]] = (
    (
        "metallb.io",
        ("v1beta1",),
        ("ipaddresspools", "addresspools", "l2advertisements", "bgpadvertisements", "bfdprofiles", "communities"),
    ),
    ("metallb.io", ("v1beta2", "v1beta1"), ("bgppeers",)),
    ("cilium.io", ("v2", "v2alpha1"), ("ciliumloadbalancerippools", "ciliuml2announcementpolicies")),
    (
        "cilium.io",
        ("v2", "v2alpha1"),
        ("ciliumbgppeeringpolicies", "ciliumbgpclusterconfigs", "ciliumbgppeerconfigs", "ciliumbgpadvertisements"),
    ),
)
"""API group, versions (the newest that is served is taken), kinds."""

_CONFIG_MAPS: Final = ("config", "metallb", "metallb-config", "kubevip")
"""The names under which MetalLB's manifests and charts, and kube-vip, keep their configuration."""


async def read_foreign(api: Api) -> list[Document]:
    """Every object of other load balancers that there is. Raises ApiError, ApiUnavailableError."""
    lists = [newest(api, group, versions, plural) for group, versions, plurals in _OBJECTS for plural in plurals]
    found = await asyncio.gather(*lists, *(_config_maps(api, name) for name in _CONFIG_MAPS))
    return [document for documents in found for document in documents]


async def newest(api: Api, group: str, versions: Sequence[str], plural: str) -> list[Document]:
    """The objects of a kind, in the first of these versions that is served; none where none is.

    Raises ApiError, ApiUnavailableError.
    """
    for version in versions:
        try:
            items, _ = await api.list(Resource(group, version, plural), {})
        except ApiError as error:
            if not error.not_found:
                raise
        else:
            return [Document("the cluster", item) for item in items]
    return []


async def _config_maps(api: Api, name: str) -> list[Document]:
    items, _ = await api.list(CONFIG_MAPS, {"fieldSelector": f"metadata.name={name}"})
    return [Document("the cluster", {"apiVersion": "v1", "kind": "ConfigMap", **item}) for item in items]
