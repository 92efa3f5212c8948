"""What the API server itself says of objects: a dry run, which checks them by their schema and stores nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from heraldlb.api.objects import Raw, text
from heraldlb.kube.client import ADDRESS_POOLS, L2_ANNOUNCEMENTS, Api, ApiError

_RESOURCES: Final = {"AddressPool": ADDRESS_POOLS, "L2Announcement": L2_ANNOUNCEMENTS}
_INVALID: Final = (400, 422)


async def refused(api: Api, objects: Sequence[Raw]) -> dict[tuple[str, str], str]:
    """By kind and name, why an object would be refused. Raises ApiError, ApiUnavailableError."""
    found = {}
    for raw in objects:
        kind, name = text(raw, "kind"), text(raw, "metadata", "name")
        head = {"apiVersion": raw["apiVersion"], "kind": kind, "metadata": {"name": name}}
        try:
            body = head | {"spec": raw.get("spec")}
            await api.apply(_RESOURCES[kind], name, body, manager="kubectl-herald", dry_run=True)
        except ApiError as error:
            if error.status == 403:
                # Who may not apply may still plan.
                return {}
            if error.status not in _INVALID:
                raise
            found[kind, name] = str(error)
    return found
