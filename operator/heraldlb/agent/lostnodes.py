"""Follows which nodes are lost, so that their endpoints are left out, and who of them has lost its agent alone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.reprieve import PERIOD, Reprieves
from heraldlb.api.objects import NamespacedName
from heraldlb.kube.client import Api, ApiError, ApiUnavailableError
from heraldlb.speaker.losses import Outlook

log = logging.getLogger(__name__)


class LostNodes:
    """Keeps `Cluster.alive` and `Cluster.lost`; `on_change` is told of Services with endpoints on those nodes."""

    def __init__(self, api: Api, cluster: Cluster, on_change: Callable[[Iterable[NamespacedName]], None]) -> None:
        self._api = api
        self._cluster = cluster
        self._on_change = on_change
        self._reprieves = Reprieves()
        self._outlook = Outlook()
        self._changed = asyncio.Event()

    def peers_changed(self, outlook: Outlook) -> None:
        """The speaker sees its peers like this from now on."""
        if fresh := outlook.lost - self._outlook.lost:
            log.warning("lost without a goodbye: %s", ", ".join(sorted(fresh)))
        self._outlook = outlook
        self._cluster.alive = outlook.alive
        self._changed.set()
        self.look()

    def look(self, *, answered: bool | None = None) -> None:
        """Work it out anew: a Node or a peer has changed, or the API server was asked and has answered, or not."""
        ready = {node.name for node in self._cluster.nodes.values() if node.ready}
        lost = self._reprieves.dead(time.monotonic(), self._outlook.lost, ready, answered=answered)
        changed, self._cluster.lost = self._cluster.lost ^ lost, lost
        if changed:
            self._on_change(self._cluster.services_on(changed))

    async def run(self) -> None:
        """While nodes are lost, see whether the API server vouches for them; for ever."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._outlook.lost:
                self.look(answered=await self._answers())
                await asyncio.sleep(PERIOD)

    async def _answers(self) -> bool:
        try:
            await self._api.ping()
        except (ApiError, ApiUnavailableError):
            return False
        return True
