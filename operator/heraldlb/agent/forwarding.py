"""Supplies the forwarder: gathers changed Services, has them planned, applies the plan."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.followers import Follower
from heraldlb.agent.forwarding_metrics import ForwardingMetrics
from heraldlb.agent.planning import Planner
from heraldlb.agent.settings import AgentSettings
from heraldlb.api.endpoints import EndpointSlice
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import FAMILIES
from heraldlb.api.reasons import Reason
from heraldlb.api.times import parse_time
from heraldlb.forwarding.forwarder import Forwarder, Quarantined
from heraldlb.forwarding.frame import WORDS
from heraldlb.forwarding.localaddresses import LocalAddresses
from heraldlb.forwarding.model import Plan
from heraldlb.forwarding.nft import NftError
from heraldlb.forwarding.node import NodeView, frame_of, view_node
from heraldlb.forwarding.preflight import preflight
from heraldlb.forwarding.watch import TableWatch
from heraldlb.kube.mirror import Change
from heraldlb.kube.recorder import Happening, Subject

log = logging.getLogger(__name__)

SETTLE = 0.02
"""Seconds for which changes are gathered before they are applied. A new Service comes in three, its endpoints and
its address a moment later, and each run of nft costs every node some milliseconds."""

RETRY = 1.0
"""Seconds before a plan that could not be applied is tried again."""


class ForwardingRole:
    """Keeps the node's rules equal to what the mirrors say, also when somebody else changes them."""

    def __init__(
        self,
        cluster: Cluster,
        settings: AgentSettings,
        record: Callable[[Happening], None],
        forwarder: Forwarder,
        watch: TableWatch,
        followers: Sequence[Follower] = (),
        local_addresses: LocalAddresses | None = None,
    ) -> None:
        """`record` takes the Events to write. `local_addresses` are needed where node ports are served in CIDRs."""
        self._cluster = cluster
        self._followers = followers
        self._local_addresses = local_addresses
        self._settings = settings
        self._record = record
        self._forwarder = forwarder
        self._planner = Planner(cluster)
        self._touched: set[NamespacedName] = set()
        self._triggers: list[float] = []
        self._changed = asyncio.Event()
        self._view: NodeView | None = None
        self._plan: Plan | None = None
        self._doubted = False
        self._quarantined: frozenset[Quarantined] = frozenset()
        self._started = time.time()
        self.metrics = ForwardingMetrics()
        self.applied = asyncio.Event()
        """Set once the node forwards what the cluster asked for when the agent started."""
        for family in FAMILIES:
            watch.subscribe(WORDS[family].table, self._doubt)
        if local_addresses is not None:
            local_addresses.subscribe(self.touch)

    def touch(self, services: Iterable[NamespacedName] = ()) -> None:
        """These Services, or the Node, may have changed."""
        self._touched.update(services)
        self.metrics.pending = len(self._touched)
        self.metrics.queued_at = time.time()
        self._changed.set()

    async def remove(self) -> None:
        """Leave no rule, while `run` does not; it will plan everything anew. Raises NftError."""
        self._plan = None
        self._touched.clear()
        self._triggers.clear()
        self.metrics.pending = 0
        await self._forwarder.remove()

    def slice_changed(self, change: Change[EndpointSlice]) -> None:
        """Endpoints changed; their Service is touched apart from this."""
        before, after = change.before, change.after
        if after is not None and after.triggered and (before is None or before.triggered != after.triggered):
            trigger = parse_time(after.triggered)
            # What is older was programmed by a predecessor.
            if trigger is not None and trigger >= self._started:
                self._triggers.append(trigger)

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
            except asyncio.CancelledError:
                # What was being planned is not.
                self._plan = None
                raise
            except NftError as error:
                log.error("forwarding rules were not applied, the former ones stay in force: %s", error)  # noqa: TRY400
            except Exception:
                log.exception("forwarding rules were not applied, the former ones stay in force")
                self._plan = None
            else:
                continue
            self.metrics.failed()
            for follower in self._followers:
                follower.failed()
            await asyncio.sleep(RETRY)
            self._changed.set()

    def _doubt(self) -> None:
        self._doubted = True
        self._changed.set()

    async def _apply(self) -> None:
        node = self._cluster.node(self._settings.node_name)
        if node is None:
            log.warning("there is no Node %s yet: not forwarding", self._settings.node_name)
            return
        if self._doubted and self._plan is not None:
            await self._repair(self._plan)
        started = time.time()
        local = await self._local_addresses.get() if self._local_addresses is not None else ()
        view = view_node(node, self._settings.forwarding, local)
        touched, self._touched = self._touched, set()
        triggers, self._triggers = self._triggers, []
        everything = self._plan is None or view != self._view
        if self._plan is None or everything:
            self._plan = await self._planner.plan_all(view, frame_of(view, self._settings.forwarding), self._plan)
            self._view = view
        else:
            self._plan = self._planner.replan(self._plan, touched, view)
        applied = await self._forwarder.apply(self._plan, None if everything else touched)
        now = time.time()
        self.metrics.pending = len(self._touched)
        self.metrics.synced(applied, full=everything, started=started, now=now, services=len(self._plan.services))
        self.metrics.programmed(triggers, changes=len(touched), now=now)
        self._tell((*applied.quarantined, *self._planner.failed))
        for follower in self._followers:
            follower.applied(self._plan, view, {each.service for each in self._quarantined})
        if not self.applied.is_set():
            log.info("forwarding %d Services", len(self._plan.services))
            self.applied.set()
            # To search all that was planned takes longer than heartbeats may be missing.
            gc.freeze()
            # Reads back what the kernel has now.
            self._doubt()

    async def _repair(self, plan: Plan) -> None:
        """Compare what the kernel has with what it was told."""
        self._doubted = False
        self._forwarder.doubt()
        applied = await self._forwarder.apply(plan, ())
        if applied.transactions:
            self.metrics.repaired()
            for follower in self._followers:
                follower.repaired()
            log.warning(
                "the kernel's rules were not as they had been left, perhaps since somebody flushed them: %s",
                "made anew" if applied.full else f"{applied.elements} elements set right",
            )

    def _tell(self, quarantined: Iterable[Quarantined]) -> None:
        former, self._quarantined = self._quarantined, frozenset(quarantined)
        self.metrics.unforwarded(len(self._quarantined))
        for each in self._quarantined - former:
            log.error("%s is not forwarded as it should be: %s", each.service, each.message)
            if (service := self._cluster.services.get(each.service)) is not None:
                subject = Subject("v1", "Service", service.id, service.uid)
                note = f"{self._settings.node_name} does not forward it as it should: {each.message}"
                self._record(Happening(subject, Reason.FORWARDING_FAILED, note, "Forward", warning=True))
