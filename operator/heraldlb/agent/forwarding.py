"""Supplies the forwarder: gathers changed Services, plans them, applies the plan."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.settings import AgentSettings
from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.forwarding.forwarder import Applied, Forwarder, Quarantined
from heraldlb.forwarding.model import Plan
from heraldlb.forwarding.nft import Nft, NftError
from heraldlb.forwarding.node import NodeView, frame_of, view_node
from heraldlb.forwarding.plan import make_plan, plan_service
from heraldlb.forwarding.preflight import preflight
from heraldlb.kube.recorder import Happening, Recorder, Subject

log = logging.getLogger(__name__)

SETTLE = 0.02
"""Seconds for which changes are gathered before they are applied. A new Service comes in three, its endpoints and
its address a moment later, and each run of nft costs every node some milliseconds."""

RETRY = 1.0
"""Seconds before a plan that could not be applied is tried again."""


class ForwardingRole:
    """Keeps the node's rules equal to what the mirrors say."""

    def __init__(self, cluster: Cluster, settings: AgentSettings, recorder: Recorder) -> None:
        self._cluster = cluster
        self._settings = settings
        self._recorder = recorder
        self._forwarder = Forwarder(Nft())
        self._touched: set[NamespacedName] = set()
        self._changed = asyncio.Event()
        self._view: NodeView | None = None
        self._plan: Plan | None = None
        self._quarantined: frozenset[Quarantined] = frozenset()
        self.applied = asyncio.Event()
        """Set once the node forwards what the cluster asked for when the agent started."""

    def touch(self, services: Iterable[NamespacedName] = ()) -> None:
        """These Services, or the Node, may have changed."""
        self._touched.update(services)
        self._changed.set()

    async def remove(self) -> None:
        """Leave no rule, while `run` does not. Raises NftError."""
        await self._forwarder.remove()

    async def run(self) -> None:
        """Apply what changes, for ever. Changes that come while one is applied are taken together."""
        for finding in preflight(os.uname().release):
            log.log(logging.ERROR if finding.blocking else logging.WARNING, "%s", finding.message)
        self._changed.set()
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE)
            self._changed.clear()
            try:
                await self._apply()
            except NftError as error:
                log.error("forwarding rules were not applied, the former ones stay in force: %s", error)  # noqa: TRY400
            except Exception:
                log.exception("forwarding rules could not be planned, the former ones stay in force")
                self._plan = None
            else:
                continue
            await asyncio.sleep(RETRY)
            self._changed.set()

    async def _apply(self) -> None:
        node = self._cluster.node(self._settings.node_name)
        if node is None:
            log.warning("there is no Node %s yet: not forwarding", self._settings.node_name)
            return
        view = view_node(node, self._settings.forwarding)
        touched, self._touched = self._touched, set()
        if self._plan is None or view != self._view:
            services = self._cluster.services
            slices = {key: self._cluster.slices_of(key) for key in services}
            frame = frame_of(view, self._settings.forwarding)
            self._plan = make_plan(services.values(), slices, view, frame, self._cluster.lost)
            self._view = view
        else:
            self._plan = self._replan(self._plan, touched, view)
        applied = await self._forwarder.apply(self._plan)
        self._tell(applied)
        if not self.applied.is_set():
            log.info("forwarding %d Services", len(self._plan.services))
            self.applied.set()

    def _replan(self, plan: Plan, touched: Iterable[NamespacedName], view: NodeView) -> Plan:
        changed, removed = [], []
        for key in touched:
            service = self._cluster.services.get(key)
            slices = self._cluster.slices_of(key)
            planned = plan_service(service, slices, view, self._cluster.lost) if service is not None else None
            if planned is None:
                removed.append(key)
            else:
                changed.append(planned)
        return plan.replace(changed, removed)

    def _tell(self, applied: Applied) -> None:
        fresh = frozenset(applied.quarantined) - self._quarantined
        self._quarantined = frozenset(applied.quarantined)
        for each in fresh:
            log.error("%s is not forwarded: %s", each.service, each.message)
            if (service := self._cluster.services.get(each.service)) is not None:
                subject = Subject("v1", "Service", service.id, service.uid)
                note = f"{self._settings.node_name} does not forward it: {each.message}"
                self._recorder.record(Happening(subject, Reason.FORWARDING_FAILED, note, "Forward", warning=True))
