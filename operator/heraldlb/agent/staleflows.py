"""Lets clients go on where their endpoint is gone: makes conntrack forget where their packets went before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from heraldlb.api.objects import NamespacedName
from heraldlb.forwarding.ctnetlink import forget_stale_flows
from heraldlb.forwarding.model import Plan
from heraldlb.forwarding.netlink import OpenSocket, open_socket
from heraldlb.forwarding.node import NodeView
from heraldlb.forwarding.staleness import disturbed

log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two looks at the table, so that many changes in a row cost one."""

RETRY = 5.0
"""Seconds before what failed is tried again."""


class StaleFlowsRole:
    """Cleans up behind the forwarder, of what its plans say changed; follows it.

    The first plan is compared with nothing: whatever changed while no agent ran is cleaned up, too.
    """

    def __init__(self, opener: OpenSocket = open_socket) -> None:
        self._opener = opener
        self._plan: Plan | None = None
        self._clean_under: Plan | None = None
        """The plan under which nothing was stale; None: not known."""
        self._changed = asyncio.Event()
        self.deleted = 0
        """Entries deleted so far."""

    def applied(self, plan: Plan, node: NodeView, refused: Collection[NamespacedName]) -> None:
        """See `Follower`. What is forwarded anew goes where the plan says."""
        self._plan = plan
        self._changed.set()

    def failed(self) -> None:
        """See `Follower`. What the kernel has meanwhile is not known, nor who is led astray by it."""
        self._clean_under = None

    def repaired(self) -> None:
        """See `Follower`. Whoever sent meanwhile was translated by nobody, and goes on to be."""
        self._clean_under = None
        self._changed.set()

    async def run(self) -> None:
        """Clean up after each plan, for ever."""
        self._clean_under = None
        failure = ""
        while True:
            await self._changed.wait()
            self._changed.clear()
            plan = self._plan
            if plan is None:
                continue
            before: Plan | None = self._clean_under
            self._clean_under = plan
            try:
                # In a thread: the table may have a hundred thousand entries.
                self.deleted += await asyncio.to_thread(self._clean, before, plan)
                failure = ""
                await asyncio.sleep(INTERVAL)
            except OSError as error:
                fresh, failure = str(error) != failure, str(error)
                level = logging.WARNING if fresh else logging.DEBUG
                log.log(level, "UDP clients may go on sending to endpoints that are gone: %s", error)
            except Exception:
                log.exception("UDP clients may go on sending to endpoints that are gone")
            else:
                continue
            self._clean_under = None
            self._changed.set()
            await asyncio.sleep(RETRY)

    def _clean(self, before: Plan | None, plan: Plan) -> int:
        frontends = disturbed(before, plan)
        deleted = forget_stale_flows(plan, frontends, self._opener) if frontends else 0
        if deleted:
            log.debug("forgot %d stale conntrack entries of %d frontends", deleted, len(frontends))
        return deleted
