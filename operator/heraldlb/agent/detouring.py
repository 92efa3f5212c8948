"""Lets connections follow an address that moves: packets of those under way go to the node that had it before.

The tables are ready before anything moves: as long as another node owns an address, its entry names that node. So
a takeover changes nothing in them, and no packet comes too early.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.formers import LIMIT, Formers
from heraldlb.agent.keeper import RETRY, TableKeeper
from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of
from heraldlb.api.services import first_of_family
from heraldlb.forwarding import detour
from heraldlb.forwarding.detour import Detours, Hop
from heraldlb.forwarding.nft import Runner
from heraldlb.speaker.changes import OwnersChanged
from heraldlb.speaker.losses import Outlook

log = logging.getLogger(__name__)

SETTLE = 0.1
"""Seconds for which changes are gathered: what is needed at a takeover is there before."""

OnLink = Callable[[Iterable[IPAddress]], Mapping[IPAddress, int]]
"""The interface of each neighbour among these; blocks, may raise OSError."""


class DetourRole:
    """Keeps the kernel's tables equal to who owned what. They stay when the process ends, as forwarding does."""

    def __init__(
        self,
        cluster: Cluster,
        node_name: str,
        runner: Runner,
        on_link: OnLink,
        *,
        keep: bool,
        limit: float = LIMIT,
    ) -> None:
        """`keep`: whether connections are to follow; else what an agent with other settings left is removed.
        `limit`: for so many seconds after a takeover."""
        self._cluster = cluster
        self._keeper: TableKeeper[Detours] = TableKeeper(
            runner, detour, "connections under way will not follow an address that moves"
        )
        self._on_link = on_link
        self._keep = keep
        self._formers = Formers(node_name, limit)
        self._owners: OwnersChanged | None = None
        self._changed = asyncio.Event()

    def owners_changed(self, change: OwnersChanged) -> None:
        """The speaker sees owners like this from now on."""
        self._owners = change
        self._formers.owners_changed(change.owners, time.monotonic())
        self._changed.set()

    def peers_changed(self, outlook: Outlook) -> None:
        """The speaker sees its peers like this from now on; the cluster knows already."""
        self._formers.lost(outlook.lost)
        self._changed.set()

    def touch(self) -> None:
        """A Node may have changed."""
        self._changed.set()

    def touched(self) -> None:
        """Somebody else changed our tables."""
        self._keeper.touched()

    async def run(self) -> None:
        """Apply what changes, for ever. What a predecessor left is in force until the speaker has spoken."""
        if not self._keep:
            await self._keeper.remove()
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keeper.run())
            tasks.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            await self._something()
            await asyncio.sleep(SETTLE)
            self._changed.clear()
            if self._owners is None:
                continue
            try:
                self._keeper.want(await self._wanted(self._owners))
            except OSError as error:
                log.warning("which nodes are neighbours could not be read: %s", error)
                await asyncio.sleep(RETRY)
                self._changed.set()

    async def _something(self) -> None:
        now = time.monotonic()
        due = self._formers.next_expiry(now)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else due - now):
                await self._changed.wait()

    async def _wanted(self, owners: OwnersChanged) -> Detours:
        formers = self._formers.known(time.monotonic())
        gateways = {
            (node, family): gateway
            for node in set(formers.values())
            for family in FAMILIES
            if (gateway := self._gateway(node, family)) is not None
        }
        interfaces = await asyncio.to_thread(self._on_link, gateways.values())
        hops = {
            place: Hop(gateway, interfaces[gateway]) for place, gateway in gateways.items() if gateway in interfaces
        }
        return Detours(
            {
                address: hop
                for address, node in formers.items()
                if (hop := hops.get((node, family_of(address)))) is not None
            },
            frozenset(owners.owners),
            owners.macs,
        )

    def _gateway(self, name: str, family: Family) -> IPAddress | None:
        """Where that node is reached, if it lives. An agent that said goodbye, as for an upgrade, leaves behind a
        node that goes on forwarding: then the API server says whether it lives."""
        node = self._cluster.node(name)
        if node is None or name in self._cluster.lost or not (name in self._cluster.alive or node.ready):
            return None
        return first_of_family(node.internal_ips, family)
