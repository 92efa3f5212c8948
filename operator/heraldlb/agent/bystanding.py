"""Tells Services that ask for surviving connections that they get none while another proxy forwards on the node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.objections import Objections
from heraldlb.api.group import CONNECTION_SURVIVAL_ANNOTATION
from heraldlb.api.reasons import Reason
from heraldlb.forwarding.mode import Stance
from heraldlb.forwarding.model import Frame, Objection, Plan, ServicePlan
from heraldlb.forwarding.survivors import asks
from heraldlb.kube.recorder import Happening

PERIOD: Final = 10.0
"""Seconds between looks: a Service may ask, or a proxy come, at any time, and nobody waits for it."""


class Bystander:
    """One node speaks for all, as about other objections."""

    def __init__(
        self,
        cluster: Cluster,
        node_name: str,
        stance: Callable[[], Stance | None],
        record: Callable[[Happening], None],
        *,
        period: float = PERIOD,
    ) -> None:
        """`stance`: who forwards on this node; None: that is not known yet. `record` takes the Events to write."""
        self._cluster = cluster
        self._stance = stance
        self._period = period
        self._objections = Objections(cluster, node_name, record)

    async def run(self) -> None:
        """Look, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._objections.run())
            tasks.create_task(self._follow())

    async def _follow(self) -> None:
        while True:
            if (stance := self._stance()) is not None:
                plan = self._refused(stance)
                self._objections.review(plan, plan.services, {})
            await asyncio.sleep(self._period)

    def _refused(self, stance: Stance) -> Plan:
        """Every Service that asks in vain."""
        objection = Objection(
            Reason.CONNECTION_SURVIVAL_REFUSED,
            f"{CONNECTION_SURVIVAL_ANNOTATION}: Herald does not forward Services on every node ({stance.reason}),"
            " and other proxies pass no packets on; the Service is forwarded as without it. Set"
            " agent.forwarding.mode to full, or remove the other proxy",
        )
        services = () if stance.forwards else self._cluster.services.values()
        return Plan(Frame()).replace(
            ServicePlan(service.id, service.created, {}, objections=(objection,))
            for service in services
            if service.type == "LoadBalancer" and asks(service)
        )
