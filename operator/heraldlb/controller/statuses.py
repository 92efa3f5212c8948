"""Keeping the status of our own objects current, behind the work that changes it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from heraldlb.api.addresspool import pool_key
from heraldlb.api.objects import Raw
from heraldlb.controller.announcement_status import announcement_status
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.cluster import Cluster
from heraldlb.controller.pool_status import pool_status
from heraldlb.kube import timestamps
from heraldlb.kube.client import ADDRESS_POOLS, L2_ANNOUNCEMENTS, Api, ApiError, ApiUnavailableError, Resource

log = logging.getLogger(__name__)

SETTLE = 0.1
"""Seconds for which changes are gathered before statuses are written: a burst of Services changes a pool once."""

BUSY_SETTLE = 1.0
"""The same while there is more urgent work for the API server, which goes on changing the same pools."""

RETRY = 1.0
"""Seconds before statuses are tried again after a failure."""


class Statuses:
    """Writes a status only where it differs from what the object says."""

    def __init__(self, api: Api, cluster: Cluster, assignments: Assignments, *, busy: Callable[[], bool]) -> None:
        """`busy`: whether there is more urgent work for the API server."""
        self._api = api
        self._cluster = cluster
        self._assignments = assignments
        self._busy = busy
        self._changed = asyncio.Event()
        self._changed.set()

    def touch(self) -> None:
        """Something that a status tells may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Write what differs, for ever."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(BUSY_SETTLE if self._busy() else SETTLE)
            self._changed.clear()
            try:
                await self.write()
            except (ApiError, ApiUnavailableError) as error:
                log.warning("a status was not written, trying again: %s", error)
                self._changed.set()
                await asyncio.sleep(RETRY)

    async def write(self) -> None:
        """Write what differs now. Raises ApiError, ApiUnavailableError."""
        now = timestamps.now()
        assignments, cluster = self._assignments, self._cluster
        for booked in assignments.book:
            key = pool_key(booked.pool.name)
            if (pool := cluster.pools.get(key)) is not None:
                status = pool_status(booked, assignments.book, assignments.ledger, pool.status, now)
                await self._write(ADDRESS_POOLS, booked.pool.name, pool.status, status)
        for policy in list(cluster.announcements.values()):
            status = announcement_status(policy.spec, cluster, policy.status, now)
            await self._write(L2_ANNOUNCEMENTS, policy.spec.name, policy.status, status)

    async def _write(self, resource: Resource, name: str, before: Raw, status: dict[str, Any]) -> None:
        if status == before:
            return
        mirror = self._cluster.pools if resource is ADDRESS_POOLS else self._cluster.announcements
        # A precondition: what comes back must hold no edit, which would then be no news when it is watched.
        patch = {"metadata": {"resourceVersion": str(mirror.version(pool_key(name)))}, "status": status}
        try:
            body = await self._api.patch(resource, name, patch, subresource="status")
        except ApiError as error:
            # Gone or edited: once that is seen, there is something to write again, or there is nothing.
            if not (error.not_found or error.conflict):
                raise
        else:
            mirror.observe("MODIFIED", body)
