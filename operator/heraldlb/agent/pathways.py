"""Keeps the ways to other nodes open while Services ask for surviving connections: hops, tunnel, rules, findings.

Where no Service asks for them there is no tunnel and no table.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.keeper import TableKeeper
from heraldlb.agent.pathways_metrics import PathwaysMetrics
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of
from heraldlb.api.reasons import Reason
from heraldlb.api.services import first_of_family
from heraldlb.forwarding import pathreadings, reaching, tunnelrules, vxlan, waywatch
from heraldlb.forwarding.model import Frontend
from heraldlb.forwarding.nft import Runner
from heraldlb.forwarding.overlay import Tunnel, TunnelSettings, underlay_family
from heraldlb.forwarding.pathfindings import Readings, findings
from heraldlb.forwarding.pathways import Pathways, Reach, beyond, pathways, segment_sizes, tunnel_to
from heraldlb.forwarding.preflight import Finding
from heraldlb.forwarding.tunnelrules import TunnelRules
from heraldlb.forwarding.waywatch import Neighbour, WayWatch
from heraldlb.kube.recorder import Happening, Subject

log = logging.getLogger(__name__)

SETTLE: Final = 0.05
"""Seconds for which changes are gathered."""

RETRY: Final = 5.0
"""Seconds before what failed is tried again."""

REFRESH: Final = 30.0
"""Seconds between looks at routes and neighbours while the kernel tells of no change. Neighbours that were silent
when they were asked for their hardware address are asked again."""

SHARE: Final = 0.1
"""Of the time that is spent on looks, however often routes change; REST permitting."""

REST: Final = 1.0
"""Seconds between a look and the next at most, if something has changed."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """What the role asks of the kernel; all of it may raise OSError, and all but `subscribe` blocks."""

    reach: Callable[[Iterable[IPAddress]], Mapping[IPAddress, Reach]] = reaching.reach
    keep: Callable[[Tunnel], Mapping[Family, int]] = vxlan.keep
    remove: Callable[[], bool] = vxlan.remove
    read: Callable[[Mapping[Family, Collection[int]], Tunnel | None, Collection[Family]], Readings] = (
        pathreadings.read
    )
    subscribe: Callable[[], socket.socket] = waywatch.subscribe


class PathwaysRole:
    """Follows the Nodes, and what is served. What a predecessor left stays until it is known what is served."""

    def __init__(
        self,
        cluster: Cluster,
        node_name: str,
        settings: TunnelSettings,
        runner: Runner,
        publish: Callable[[Pathways | None], None],
        record: Callable[[Happening], None],
        kernel: Kernel | None = None,
    ) -> None:
        """`publish` takes the ways whenever they change, and None once they are kept open no more; `record`, the
        Events to write."""
        self._cluster = cluster
        self._node_name = node_name
        self._settings = settings
        self._publish = publish
        self._record = record
        self._kernel = kernel or Kernel()
        self._rules: TableKeeper[TunnelRules] = TableKeeper(
            runner, tunnelrules, "the tunnel between nodes takes packets from anybody"
        )
        self._served: frozenset[Frontend] | None = None
        self._published: Pathways | None = None
        self._hosts: frozenset[IPAddress] = frozenset()
        self._reach: dict[IPAddress, Reach] = {}
        self._watch = WayWatch(self.touch, self._is_news, self._kernel.subscribe)
        self._rest = SETTLE
        self._failure = ""
        self._findings: tuple[Finding, ...] = ()
        self._tunnelled = False
        self._changed = asyncio.Event()
        self.metrics = PathwaysMetrics()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What on this node stands in the way."""
        failure = (Finding(False, "ways to other nodes", self._failure),) if self._failure else ()
        return (*failure, *self._findings)

    @property
    def tunnel_port(self) -> int:
        """The UDP port of the tunnel to other nodes; 0 while there is none."""
        return self._settings.port if self._tunnelled else 0

    def want(self, served: frozenset[Frontend]) -> None:
        """These frontends have surviving connections, and no others."""
        if served != self._served:
            self._served = served
            self.touch()

    def touch(self) -> None:
        """A Node may have changed, or what the kernel knows of it."""
        self._changed.set()

    def touched(self) -> None:
        """Somebody else changed our table."""
        self._rules.touched()

    async def run(self) -> None:
        """Follow, for ever. Tunnel and tables stay when this ends, as forwarding does."""
        async with asyncio.TaskGroup() as tasks:
            for work in (self._rules.run, self._follow):
                tasks.create_task(work())

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await self._changed.wait()
                        await asyncio.sleep(self._rest)
                self._changed.clear()
                began = loop.time()
                await self._look()
                self._rest = min(max(SETTLE, (loop.time() - began) * (1 / SHARE - 1)), REST)
        finally:
            self._watch.close()

    async def _look(self) -> None:
        if self._served is None:
            return
        try:
            await (self._open(self._served) if self._served else self._close())
        except OSError as error:
            self._fail(f"the ways to other nodes could not be read: {error}")

    def _pause(self) -> float | None:
        if self._failure:
            return RETRY
        return REFRESH if self._served else None

    def _is_news(self, told: Neighbour) -> bool:
        known = self._reach.get(told.address)
        return told.address in self._hosts and (
            known is None or (known.on_link and known.interface == told.interface and known.mac != told.mac)
        )

    async def _close(self) -> None:
        self._tell(None)
        self.metrics.closed()
        self._rules.want(TunnelRules())
        self._watch.close()
        await asyncio.to_thread(self._kernel.remove)
        self._reach.clear()
        self._failure, self._findings, self._tunnelled = "", (), False

    async def _open(self, served: frozenset[Frontend]) -> None:
        nodes = tuple(self._cluster.nodes.values())
        me = self._cluster.node(self._node_name)
        if me is None:
            return
        families = {family_of(frontend.address) for frontend in served}
        underlay = underlay_family(nodes)
        self._hosts = frozenset(
            address
            for node in nodes
            for family in FAMILIES
            if node.name != me.name and (address := first_of_family(node.internal_ips, family)) is not None
        )
        # Before the look, so that what changes meanwhile is not missed.
        self._watch.open()
        reach = self._remember(await asyncio.to_thread(self._kernel.reach, self._hosts))
        tunnel = tunnel_to(me, nodes, beyond(me.name, nodes, reach, families), reach, self._settings)
        rules = TunnelRules()
        if tunnel is not None:
            addresses = (first_of_family(node.internal_ips, underlay) for node in nodes)
            rules = TunnelRules(
                tunnel.local,
                tunnel.port,
                frozenset(address for address in addresses if address is not None),
                served,
                segment_sizes(tunnel, reach, families),
            )
        # Its guard before the tunnel itself.
        self._rules.want(rules)
        device = await self._keep(tunnel)
        self._tunnelled = bool(device)
        ways = pathways(me.name, nodes, reach, tunnel, device)
        self._tell(ways)
        on_link = {
            family: {hop.interface for (_, its), hop in ways.hops.items() if its == family} - {device.get(family)}
            for family in FAMILIES
        }
        self._find(await asyncio.to_thread(self._kernel.read, on_link, tunnel if device else None, device))
        self.metrics.opened(ways, device.values(), len(self._findings))

    def _remember(self, reach: Mapping[IPAddress, Reach]) -> Mapping[IPAddress, Reach]:
        """The kernel forgets the hardware addresses of neighbours that were silent for some minutes; they have them
        still."""
        for host, there in reach.items():
            known = self._reach.get(host)
            if not there.mac and known is not None and (known.interface, known.on_link) == (there.interface, True):
                there = replace(there, mac=known.mac)
            self._reach[host] = there
        return {host: self._reach[host] for host in reach}

    async def _keep(self, tunnel: Tunnel | None) -> Mapping[Family, int]:
        if tunnel is None:
            await asyncio.to_thread(self._kernel.remove)
            self._failure = ""
            return {}
        try:
            device = await asyncio.to_thread(self._kernel.keep, tunnel)
        except OSError as error:
            self._fail(
                "connections do not survive where nodes share no network segment, since the kernel makes no tunnel"
                f" between them: {error}. Load its module on the node: modprobe vxlan"
            )
            return {}
        self._failure = ""
        return device

    def _fail(self, cause: str) -> None:
        if cause != self._failure:
            log.warning("%s", cause)
            node = Subject("v1", "Node", NamespacedName("", self._node_name), self._node_name)
            self._record(Happening(node, Reason.NODES_UNREACHABLE, cause, "Forward", warning=True))
        self._failure = cause

    def _find(self, readings: Readings) -> None:
        found = findings(readings)
        for finding in found:
            if finding not in self._findings:
                log.warning("%s", finding.message)
        self._findings = found

    def _tell(self, ways: Pathways | None) -> None:
        if ways != self._published:
            self._published = ways
            self._publish(ways)
