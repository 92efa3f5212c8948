"""Reads a snapshot of the cluster: one list a kind, page by page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from heraldlb.api.group import AGENT_NAME
from heraldlb.api.objects import NamespacedName, Raw
from heraldlb.api.reasons import Reason
from heraldlb.cli.kubectl.exits import CommandError, Exit
from heraldlb.cli.kubectl.installation import lease_names
from heraldlb.cli.kubectl.snapshot import Snapshot
from heraldlb.kube.client import (
    ADDRESS_POOLS,
    ENDPOINT_SLICES,
    EVENTS,
    L2_ANNOUNCEMENTS,
    LEASES,
    NAMESPACES,
    NODES,
    PODS,
    SERVICE_ADDRESSES,
    SERVICES,
    Api,
    ApiError,
    Resource,
)

_READS: Final[Mapping[str, tuple[Resource, Mapping[str, str]]]] = {
    "pools": (ADDRESS_POOLS, {}),
    "announcements": (L2_ANNOUNCEMENTS, {}),
    "records": (SERVICE_ADDRESSES, {}),
    "services": (SERVICES, {"fieldSelector": "spec.type=LoadBalancer"}),
    "namespaces": (NAMESPACES, {}),
    "nodes": (NODES, {}),
    "slices": (ENDPOINT_SLICES, {}),
    "pods": (PODS, {"labelSelector": "app.kubernetes.io/component in (agent,controller)"}),
    "leases": (LEASES, {}),
    "events": (EVENTS, {"fieldSelector": f"reason={Reason.HANDED_OVER},reportingController={AGENT_NAME}"}),
}
"""By the field of Snapshot."""

DEFAULT_LEASE: Final = "heraldlb-controller"
"""The name of a controller's Lease where it was not told another."""

_OURS: Final = {"pools", "announcements", "records"}
"""Kinds that there are only where Herald is installed."""

_NEEDED: Final = {*_OURS, "services"}
"""Kinds without which there is nothing to tell."""


async def read(
    api: Api, *kinds: str, narrowed: Mapping[str, Mapping[str, str]] | None = None, namespace: str = ""
) -> Snapshot:
    """A snapshot with these kinds, named as the fields of Snapshot; `leases` only with `pods`.

    `narrowed`: selectors to list a kind with instead of the usual ones. `namespace`: the only one whose Services
    are listed. What these credentials may not read is told in `unread`, unless nothing can be said without it.
    Raises CommandError, ApiError, ApiUnavailableError.
    """
    at_once = [kind for kind in kinds if kind != "leases"]
    selectors = narrowed or {}
    # By path: with the field selector metadata.namespace the API server ends a list before its last page.
    places = {"services": namespace}
    lists = (_list(api, kind, selectors.get(kind), places.get(kind, "")) for kind in at_once)
    listed = await asyncio.gather(*lists)
    found = dict(zip(at_once, listed, strict=True))
    if "leases" in kinds:
        found["leases"] = await _leases(api, found.get("pods") or ())
    read_kinds: dict[str, Any] = {kind: items for kind, items in found.items() if items is not None}
    unread = {kind: f"these credentials may not list {_READS[kind][0]}" for kind in kinds if kind not in read_kinds}
    return replace(Snapshot(time.time(), unread=unread), **read_kinds)


async def _leases(api: Api, pods: tuple[Raw, ...]) -> tuple[Raw, ...] | None:
    """Of the controllers among these pods; every node has a Lease, too, so that they are asked for by name."""
    names = sorted(lease_names(pods)) or [DEFAULT_LEASE]
    found = [await _list(api, "leases", {"fieldSelector": f"metadata.name={name}"}) for name in names]
    return None if None in found else tuple(lease for leases in found for lease in leases or ())


async def _list(
    api: Api, kind: str, narrowed: Mapping[str, str] | None, namespace: str = ""
) -> tuple[Raw, ...] | None:
    resource, usual = _READS[kind]
    try:
        items, _ = await api.list(resource, usual if narrowed is None else narrowed, namespace)
    except ApiError as error:
        if error.not_found and kind in _OURS:
            raise CommandError(
                f"there are no {resource} in this cluster: Herald is not installed (helm install herald ...)",
                Exit.NOT_FOUND,
            ) from error
        if error.status != 403 or kind in _NEEDED:
            raise
        return None
    return tuple(items)


async def read_service(api: Api, name: NamespacedName) -> Raw:
    """One Service, of whatever type. Raises CommandError, ApiError, ApiUnavailableError."""
    try:
        return await api.get(SERVICES, name.name, name.namespace)
    except ApiError as error:
        if error.not_found:
            raise CommandError(f"there is no Service {name}", Exit.NOT_FOUND) from error
        raise
