"""The agent process: one view of the cluster, and the roles that live on it."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from prometheus_client import REGISTRY

from heraldlb.agent.bystanding import Bystander
from heraldlb.agent.cilium import CiliumConfig
from heraldlb.agent.cluster import Cluster
from heraldlb.agent.detouring import DetourRole
from heraldlb.agent.examining import Examiner
from heraldlb.agent.forwarding import ForwardingRole
from heraldlb.agent.healthchecks import HealthCheckRole
from heraldlb.agent.keyfile import KeyFile
from heraldlb.agent.lostnodes import LostNodes
from heraldlb.agent.metallb_metrics import MetalLBSpeakerCollector
from heraldlb.agent.metrics import ForwarderCollector, SpeakerCollector
from heraldlb.agent.pathways import PathwaysRole
from heraldlb.agent.pinging import PingRole
from heraldlb.agent.rulebook import Rulebook
from heraldlb.agent.settings import FORWARDER, SPEAKER, AgentSettings
from heraldlb.agent.speaking import SpeakingRole
from heraldlb.agent.staleflows import StaleFlowsRole
from heraldlb.agent.statuses import AnnouncementStatuses
from heraldlb.agent.surviving import SurvivalRole
from heraldlb.agent.switching import ForwardingSwitch
from heraldlb.agent.tally import Tally
from heraldlb.agent.uninstalling import Uninstalling
from heraldlb.api.group import AGENT_NAME
from heraldlb.api.nodes import Node
from heraldlb.api.objects import NamespacedName
from heraldlb.api.serviceaddress import ServiceAddress
from heraldlb.api.servicecidrs import ServiceCIDR
from heraldlb.examination.endpoint import Examination
from heraldlb.forwarding import cleanup, detour, ping, survivaltables, tunnelrules, vxlan
from heraldlb.forwarding.evidence import gather, glance
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.healthserver import HealthServer
from heraldlb.forwarding.mode import Mode
from heraldlb.forwarding.nft import Nft, NftError
from heraldlb.forwarding.onlink import on_link
from heraldlb.forwarding.readback import KernelReader
from heraldlb.forwarding.watch import TableWatch
from heraldlb.kube import credentials
from heraldlb.kube.client import (
    ENDPOINT_SLICES,
    L2_ANNOUNCEMENTS,
    NODES,
    SERVICE_ADDRESSES,
    SERVICE_CIDRS,
    SERVICES,
    Api,
)
from heraldlb.kube.feed import Feed, Subscription
from heraldlb.kube.mirror import Change
from heraldlb.kube.recorder import Recorder
from heraldlb.observability.health import Probe, serve
from heraldlb.speaker.changes import Change as SpeakerChange
from heraldlb.speaker.changes import OwnersChanged, PeersChanged
from heraldlb.speaker.settings import SpeakerSettings
from heraldlb.speaker.speaker import Speaker

log = logging.getLogger(__name__)

STUCK = 10.0
"""Seconds without a turn of the speaker's loop after which the agent asks to be restarted."""


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What the command line sets around the agent itself."""

    kubeconfig: str | None
    metrics_address: str
    metallb_metrics: bool = False
    """Tell under MetalLB's names as well."""


async def run(settings: AgentSettings, process: ProcessSettings, stop: asyncio.Event) -> None:
    """Run until `stop` is set, then hand over and end. Raises CredentialsError, KeyFileError."""
    configuration = await credentials.load(process.kubeconfig)
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(Api(configuration))
        agent = Agent(api, settings, metallb_metrics=process.metallb_metrics)
        feed = Feed(api, configuration, agent.subscriptions())
        probe = Probe(lambda: agent.live() or feed.stalled(), lambda: agent.ready() or feed.silent())
        examination = Examination(agent.examiner.read, agent.examiner.ask)
        await stack.enter_async_context(serve(process.metrics_address, probe, examination.routes()))
        await stack.enter_async_context(feed)
        working = asyncio.create_task(agent.work(feed), name="agent")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await agent.close()
        for task in (working, stopping):
            task.cancel()
        [outcome, _] = await asyncio.gather(working, stopping, return_exceptions=True)
        await agent.clean_up()
        if isinstance(outcome, Exception):
            raise outcome


class Agent:
    """The roles of one node, and what feeds them."""

    def __init__(self, api: Api, settings: AgentSettings, *, metallb_metrics: bool = False) -> None:
        """Raises KeyFileError."""
        self._api = api
        self._node_name = settings.node_name
        self._metallb_metrics = metallb_metrics
        self._cluster = Cluster()
        self._recorder = Recorder(api, AGENT_NAME, settings.node_name)
        self._rulebook = Rulebook(self._cluster, settings)
        self._tally = Tally(self._cluster, settings.node_name)
        self._nft = Nft()
        self._watch = TableWatch(self._nft.ran)
        self._work: list[Callable[[], Coroutine[Any, Any, None]]] = [self._recorder.run, self._watch.run]
        self._speaker: Speaker | None = None
        self._speaking: SpeakingRole | None = None
        self._statuses: AnnouncementStatuses | None = None
        self._detours: DetourRole | None = None
        self._forwarding: ForwardingRole | None = None
        self._lost_nodes = LostNodes(api, self._cluster, self._services_changed)
        self._stale_flows = StaleFlowsRole()
        self._pathways = PathwaysRole(
            self._cluster,
            settings.node_name,
            settings.tunnel,
            self._nft,
            lambda ways: self._survival.ways_changed(ways),
            self._recorder.record,
        )
        self._survival = SurvivalRole(
            self._cluster,
            settings.node_name,
            self._nft,
            KernelReader(),
            self._pathways.want,
            self._recorder.record,
        )
        self._supplied = asyncio.Event()
        if SPEAKER in settings.roles:
            self._add_speaker(settings)
        else:
            self._work += [PingRole(self._nft, answer=False).run, self._detour_role(settings, keep=False).run]
        self._switch = self._add_forwarder(settings)
        self.examiner = Examiner(self._cluster, settings, self._started_speaker, self._switch, self._pathways)
        self._uninstalling: Uninstalling | None = None
        if settings.daemon_set is not None:
            self._uninstalling = Uninstalling(api, settings.daemon_set)
            self._work.append(self._uninstalling.run)

    def live(self) -> str:
        """Why the speaker needs a new start, or nothing."""
        if self._speaker is None or not self._supplied.is_set() or (stuck := self._speaker.health()) < STUCK:
            return ""
        return f"the speaker has been stuck for {stuck:.0f} s"

    def ready(self) -> str:
        """Why the roles do not yet do what the cluster asks for, or nothing."""
        stance = self._switch.stance
        if not self._supplied.is_set():
            return "waiting for the API server's lists"
        if stance is None:
            return "looking for other service proxies"
        if stance.forwards and self._forwarding is not None and not self._forwarding.applied.is_set():
            return "forwarding rules are not applied yet"
        return ""

    def subscriptions(self) -> list[Subscription]:
        """What to mirror, and whom to tell."""
        cluster = self._cluster
        return [
            Subscription(NODES, cluster.nodes, self._node_changed),
            Subscription(L2_ANNOUNCEMENTS, cluster.announcements, lambda _: self._rules_changed(), direct=True),
            Subscription(SERVICES, cluster.services, lambda change: self._service_changed(change.key), direct=True),
            Subscription(ENDPOINT_SLICES, cluster.slices, self._slice_changed, direct=True),
            Subscription(SERVICE_ADDRESSES, cluster.records, self._record_changed, direct=True),
            Subscription(
                SERVICE_CIDRS, cluster.service_cidrs, self._service_cidr_changed, direct=True, optional=True
            ),
        ]

    async def work(self, feed: Feed) -> None:
        """Feed the roles until cancelled."""
        await feed.start()
        self._cluster.index()
        # To search all that was listed takes longer, with many Services, than heartbeats may be missing.
        gc.freeze()
        if self._speaker is not None:
            # Netlink is read synchronously at the start, for which this thread's event loop is no place.
            await asyncio.to_thread(self._speaker.start)
            REGISTRY.register(SpeakerCollector(self._speaker.stats, self._tally))
            if self._metallb_metrics:
                names = MetalLBSpeakerCollector(self._speaker.stats, self._cluster, self._node_name)
                REGISTRY.register(names)
        REGISTRY.register(
            ForwarderCollector(self._switch.mode, lambda: self._switch.stance, lambda: self._stale_flows.deleted)
        )
        if self._forwarding is not None:
            REGISTRY.register(self._forwarding.metrics)
            REGISTRY.register(self._pathways.metrics)
        self._supplied.set()
        async with asyncio.TaskGroup() as tasks:
            for work in self._work:
                tasks.create_task(work())

    async def close(self) -> None:
        """Hand addresses over to other nodes, and write what is left to tell. Forwarding rules stay in force."""
        if self._speaker is not None and self._supplied.is_set():
            await asyncio.to_thread(self._speaker.close)
        await self._recorder.flush()
        if self._statuses is not None:
            self._statuses.journal.write()

    async def clean_up(self) -> None:
        """Once nothing runs any more: leave no rule on the node, if no other agent will follow."""
        if self._uninstalling is None or not self._uninstalling.deleted:
            return
        try:
            await self._nft.apply(cleanup.removal())
            await asyncio.to_thread(vxlan.remove)
        except (NftError, OSError) as error:
            log.warning(
                "what Herald has in the kernel is not all removed; run heraldlb cleanup on the node: %s", error
            )
        else:
            log.info("Herald is uninstalled: its tables are removed")

    def _add_speaker(self, settings: AgentSettings) -> None:
        key_file = KeyFile(settings.membership_key_file)
        loop = asyncio.get_running_loop()
        statuses = AnnouncementStatuses(
            self._api, self._cluster, self._recorder, self._rulebook, settings.node_name
        )

        def report(change: SpeakerChange) -> None:
            loop.call_soon_threadsafe(self._take, change)

        speaker = Speaker(
            SpeakerSettings(
                node_name=settings.node_name,
                key=key_file.keys,
                membership_port=settings.membership_port,
                heartbeat_interval=settings.heartbeat_interval,
                failure_timeout=settings.failure_timeout,
                witness=self._witness,
            ),
            report,
        )
        detours = self._detour_role(settings, keep=settings.keep_connections)
        pinging = PingRole(self._nft, answer=settings.answer_ping)
        self._watch.subscribe(ping.TABLE, pinging.touched)
        for table in detour.TABLES:
            self._watch.subscribe(table, detours.touched)
        speaking = SpeakingRole(self._cluster, settings, self._rulebook, speaker, pinging)
        self._work += [
            key_file.follow,
            statuses.run,
            speaking.run,
            pinging.run,
            detours.run,
            self._lost_nodes.run,
            lambda: speaking.probe(self._api),
        ]
        self._speaker, self._speaking, self._statuses = speaker, speaking, statuses
        self._detours = detours

    def _detour_role(self, settings: AgentSettings, *, keep: bool) -> DetourRole:
        return DetourRole(self._cluster, settings.node_name, self._nft, on_link, keep=keep)

    def _add_forwarder(self, settings: AgentSettings) -> ForwardingSwitch:
        mode = settings.forwarding_mode if FORWARDER in settings.roles else Mode.OFF
        health_checks = HealthCheckRole(self._cluster, settings.node_name, self._recorder.record, HealthServer())
        role = ForwardingRole(
            self._cluster,
            settings,
            self._recorder.record,
            Forwarder(self._nft, KernelReader()),
            self._watch,
            [health_checks, self._stale_flows, self._survival],
        )
        for table in survivaltables.TABLES:
            self._watch.subscribe(table, self._survival.touched)
        self._watch.subscribe(tunnelrules.TABLE, self._pathways.touched)
        if mode is not Mode.OFF:
            self._forwarding = role

        async def remove() -> None:
            await self._survival.remove()
            await role.remove()

        switch = ForwardingSwitch(
            mode,
            settings.node_name,
            self._recorder,
            lambda closely: gather(closely=closely),
            glance,
            CiliumConfig(self._api).replaces,
            work=[role.run, health_checks.run, self._stale_flows.run, self._survival.run],
            remove=remove,
        )
        bystander = Bystander(self._cluster, settings.node_name, lambda: switch.stance, self._recorder.record)
        self._work += [switch.run, bystander.run, self._pathways.run]
        return switch

    def _started_speaker(self) -> Speaker | None:
        return self._speaker if self._supplied.is_set() else None

    def _witness(self) -> float | None:
        age = time.monotonic() - self._api.last_answer
        return None if age == float("inf") else age

    def _take(self, change: SpeakerChange) -> None:
        if isinstance(change, PeersChanged):
            self._lost_nodes.peers_changed(change.outlook)
            if self._detours is not None:
                self._detours.peers_changed(change.outlook)
            if self._statuses is not None:
                self._statuses.reconsider_all()
        elif isinstance(change, OwnersChanged):
            if self._detours is not None:
                self._detours.owners_changed(change)
            self._survival.owners_changed(change)
        elif self._statuses is not None:
            self._tally.take(change)
            self._statuses.take(change)

    def _at_work(self) -> ForwardingRole | None:
        """The forwarder while it forwards; when it begins, it takes in everything anyway."""
        stance = self._switch.stance
        return self._forwarding if stance is not None and stance.forwards else None

    def _services_changed(self, services: Iterable[NamespacedName]) -> None:
        for service in services:
            self._service_changed(service)

    def _service_changed(self, service: NamespacedName) -> None:
        """The Service or its endpoints changed, or the nodes that these are on."""
        addresses = self._cluster.addresses_of(service)
        if self._speaking is not None:
            self._speaking.touch(addresses)
        if self._statuses is not None:
            self._statuses.reconsider(addresses)
        if (forwarding := self._at_work()) is not None:
            forwarding.touch([service])

    def _slice_changed(self, change: Change[Any]) -> None:
        if (forwarding := self._at_work()) is not None:
            forwarding.slice_changed(change)
        for service in self._cluster.slice_changed(change):
            self._service_changed(service)

    def _node_changed(self, change: Change[Node]) -> None:
        if change.before == change.after:
            # A heartbeat of the kubelet.
            return
        self._rules_changed()
        self._lost_nodes.look()
        if self._detours is not None:
            self._detours.touch()
        self._survival.touch()
        self._pathways.touch()
        if (forwarding := self._at_work()) is not None:
            forwarding.touch()

    def _service_cidr_changed(self, change: Change[ServiceCIDR]) -> None:
        if change.before != change.after and (forwarding := self._at_work()) is not None:
            forwarding.touch()

    def _rules_changed(self) -> None:
        self._rulebook.forget()
        if self._speaking is not None:
            self._speaking.touch_all()
        if self._statuses is not None:
            self._statuses.reconsider_all()

    def _record_changed(self, change: Change[ServiceAddress]) -> None:
        self._cluster.record_changed(change)
        self._tally.record_changed(change, time.time())
        if self._speaking is not None:
            self._speaking.touch(record.address for record in (change.before, change.after) if record is not None)
        if self._statuses is not None and change.after is not None:
            self._statuses.record_changed(change.before, change.after)
