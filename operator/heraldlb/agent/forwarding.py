"""Supplies the forwarder: gathers changed Services, has them planned, applies the plan."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Callable, Iterable, Sequence

from heraldlb.agent.balancing import Balancing
from heraldlb.agent.cluster import Cluster
from heraldlb.agent.followers import Follower
from heraldlb.agent.forwarding_metrics import ForwardingMetrics
from heraldlb.agent.objections import Objections
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
from heraldlb.forwarding.node import PRIMARY, NodeView, frame_of, view_node
from heraldlb.forwarding.preflight import preflight
from heraldlb.forwarding.schedulers import weights_of
from heraldlb.forwarding.watch import TableWatch
from heraldlb.kube.mirror import Change
from heraldlb.kube.recorder import Happening, Subject

log = logging.getLogger(__name__)

SETTLE = 0.02
"""Seconds for which changes are gathered before they are applied. A new Service comes in three, its endpoints and
its address a moment later, and each run of nft costs every node some milliseconds."""

RETRY = 1.0
"""Seconds before a plan that could not be applied is tried again."""

LOOK_PAUSE = 0.2
"""Seconds between looks at what the kernel has, where somebody changes our tables again and again."""


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
    ) -> None:
        """`record` takes the Events to write."""
        self._cluster = cluster
        self._followers = followers
        self._settings = settings
        self._record = record
        self._forwarder = forwarder
        self._balancing = Balancing(self.touch)
        self._planner = Planner(cluster, self._balancing)
        self._addresses = LocalAddresses(self.touch)
        self._objections = Objections(cluster, settings.node_name, record)
        self._touched: set[NamespacedName] = set()
        self._triggers: list[float] = []
        self._changed = asyncio.Event()
        self._view: NodeView | None = None
        self._plan: Plan | None = None
        self._doubted = False
        self._next_look = 0.0
        self._quarantined: frozenset[Quarantined] = frozenset()
        self._started = time.time()
        self.metrics = ForwardingMetrics()
        self.applied = asyncio.Event()
        """Set once the node forwards what the cluster asked for when the agent started."""
        for family in FAMILIES:
            watch.subscribe(WORDS[family].table, self._doubt)

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
        works = [self._follow, self._balancing.run, self._objections.run]
        if PRIMARY not in self._settings.forwarding.node_port_addresses:
            # Before anything is applied, lest node ports go while they are looked for.
            await self._addresses.read()
            works.append(self._addresses.run)
        async with asyncio.TaskGroup() as tasks:
            for work in works:
                tasks.create_task(work())

    async def _follow(self) -> None:
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
            await self._look(self._plan)
        started = time.time()
        weights, doubtful = weights_of(self._cluster.nodes.values())
        view = view_node(node, self._settings.forwarding, self._addresses.found, weights)
        cidrs = [cidr for each in self._cluster.service_cidrs.values() for cidr in each.cidrs]
        frame = frame_of(view, self._settings.forwarding, cidrs, self._cluster.uid)
        touched, self._touched = self._touched, set()
        triggers, self._triggers = self._triggers, []
        everything = self._plan is None or (view, frame) != (self._view, self._plan.frame)
        if self._plan is None or everything:
            self._plan = await self._planner.plan_all(view, frame, self._plan)
            self._view = view
        else:
            self._plan = self._planner.replan(self._plan, touched, view)
        planned = self._plan.services if everything else touched
        self._balancing.follow(self._plan, planned)
        self._objections.review(self._plan, planned, doubtful)
        applied = await self._forwarder.apply(self._plan, None if everything else touched)
        now = time.time()
        self.metrics.pending = len(self._touched)
        sizes = {"services": len(self._plan.services), "frontends": len(self._plan.claims)}
        self.metrics.synced(applied, full=everything, started=started, now=now, **sizes)
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

    async def _look(self, plan: Plan) -> None:
        """Compare what the kernel has with what it was told, and set it right."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._next_look:
            loop.call_at(self._next_look, self._changed.set)
            return
        self._next_look = loop.time() + LOOK_PAUSE
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
