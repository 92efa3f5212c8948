"""Plans the Services of the mirrors, each by itself: one that cannot be planned stays as it was."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from heraldlb.agent.balancing import Balancing
from heraldlb.agent.cluster import Cluster
from heraldlb.api.objects import NamespacedName
from heraldlb.forwarding.forwarder import Quarantined
from heraldlb.forwarding.model import Frame, Plan, ServicePlan
from heraldlb.forwarding.node import NodeView
from heraldlb.forwarding.plan import plan_service

log = logging.getLogger(__name__)

BATCH = 200
"""Services planned in one turn of the event loop."""


class Planner:
    """The plan as of the last call."""

    def __init__(self, cluster: Cluster, balancing: Balancing) -> None:
        self._cluster = cluster
        self._balancing = balancing
        self._failed: dict[NamespacedName, Quarantined] = {}

    @property
    def failed(self) -> tuple[Quarantined, ...]:
        """The Services that could not be planned when they were last looked at."""
        return tuple(self._failed.values())

    async def plan_all(self, view: NodeView, frame: Frame, former: Plan | None) -> Plan:
        """The plan of every Service. What changes meanwhile is to be planned again by `replan`."""
        keys = list(self._cluster.services)
        planned: list[ServicePlan] = []
        for start in range(0, len(keys), BATCH):
            found = (self._plan(key, view, former) for key in keys[start : start + BATCH])
            planned.extend(service for service in found if service is not None)
            await asyncio.sleep(0)
        self._failed = {key: failure for key, failure in self._failed.items() if key in self._cluster.services}
        return Plan(frame).replace(planned)

    def replan(self, plan: Plan, touched: Iterable[NamespacedName], view: NodeView) -> Plan:
        """The plan with these Services as they are now."""
        changed, removed = [], []
        for key in touched:
            service = self._plan(key, view, plan)
            if service is None:
                removed.append(key)
            else:
                changed.append(service)
        return plan.replace(changed, removed)

    def _plan(self, key: NamespacedName, view: NodeView, former: Plan | None) -> ServicePlan | None:
        self._failed.pop(key, None)
        service = self._cluster.services.get(key)
        if service is None:
            return None
        try:
            slices = self._cluster.slices_of(key)
            return plan_service(service, slices, view, self._cluster.lost, self._balancing.loads)
        except Exception as error:
            # Whatever it is, it is about this Service, and the others must not wait for it.
            log.exception("%s could not be planned", key)
            known = former.services.get(key) if former is not None else None
            self._failed[key] = Quarantined(
                key,
                f"{'Forwarded as before its last change' if known else 'Not forwarded'} until the Service changes, "
                f"since Herald fails at it, which is an error of Herald's: {type(error).__name__}: {error}",
            )
            return known
