"""Keeps count of open connections while there are Services whose scheduler asks for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from typing import Final

from heraldlb.api.objects import NamespacedName
from heraldlb.api.services import Protocol
from heraldlb.forwarding.census import count_connections
from heraldlb.forwarding.leastconn import Loads, settled
from heraldlb.forwarding.model import Backend, Plan

log = logging.getLogger(__name__)

PERIOD: Final = 2.0
"""Seconds between two counts."""

Count = Callable[[Collection[tuple[Protocol, Backend]]], Loads]


class Balancing:
    """`touch` is told of the Services whose slots may have to change; nothing runs while none are followed."""

    def __init__(self, touch: Callable[[Iterable[NamespacedName]], None], count: Count = count_connections) -> None:
        """`count` blocks, and may fail; it is called in a thread."""
        self._touch = touch
        self._count_connections = count
        self._followed: dict[NamespacedName, frozenset[tuple[Protocol, Backend]]] = {}
        self._some = asyncio.Event()
        self.loads: Loads = {}
        """What the planner is to go by."""

    def follow(self, plan: Plan, touched: Iterable[NamespacedName]) -> None:
        """These Services of the plan may differ from those of the call before."""
        for gone in [key for key in self._followed if key not in plan.services]:
            del self._followed[gone]
        for key in touched:
            service = plan.services.get(key)
            if service is not None and service.counted:
                self._followed[key] = service.counted
                self._some.set()
            else:
                self._followed.pop(key, None)

    async def run(self) -> None:
        """Count every PERIOD while anything is followed, for ever."""
        while True:
            await self._some.wait()
            await self._count()
            if not self._followed:
                self._some.clear()
            await asyncio.sleep(PERIOD)

    async def _count(self) -> None:
        endpoints = frozenset[tuple[Protocol, Backend]]().union(*self._followed.values())
        try:
            now = await asyncio.to_thread(self._count_connections, endpoints)
        except Exception:
            log.exception("connections were not counted; Services with lc and wlc stay as they are")
            return
        before, self.loads = self.loads, settled(self.loads, now)
        changed = {endpoint for endpoint, load in self.loads.items() if load != before.get(endpoint, 0)}
        if services := [key for key, counted in self._followed.items() if counted & changed]:
            self._touch(services)
