"""Keeps the kernel's tables of surviving connections equal to the plan, and to how other nodes can be reached."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.keeper import RETRY
from heraldlb.api.group import CONNECTION_SURVIVAL_ANNOTATION
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import Family
from heraldlb.api.reasons import Reason
from heraldlb.forwarding.actual import Names
from heraldlb.forwarding.model import Frontend, Plan
from heraldlb.forwarding.nft import NftError, NftFailure, Runner
from heraldlb.forwarding.nftmessages import UnreadableError
from heraldlb.forwarding.node import NodeView
from heraldlb.forwarding.pathways import Pathways
from heraldlb.forwarding.survival import Peer, Survival, survivors_in
from heraldlb.forwarding.survivaltables import TABLE, Step, diff, full, leftovers, removal
from heraldlb.kube.recorder import Happening, Subject
from heraldlb.speaker.changes import OwnersChanged

log = logging.getLogger(__name__)

SETTLE = 0.02
"""Seconds for which changes are gathered: what one node knows, others will in a moment."""


class NameReader(Protocol):
    """What reads our tables' names back, as `readback.KernelReader` does."""

    async def names(self, table: str) -> Mapping[Family, Names]:
        """Raises OSError, or UnreadableError."""


class SurvivalRole:
    """Follows the forwarder, whose table forwards what this one does not find: so that comes first. The tables stay
    when the process ends, as forwarding does."""

    def __init__(
        self,
        cluster: Cluster,
        node_name: str,
        runner: Runner,
        reader: NameReader,
        serve: Callable[[frozenset[Frontend]], None],
        record: Callable[[Happening], None],
    ) -> None:
        """`serve` is told of the frontends whenever they may have changed, upon which `ways_changed` may follow.
        `record` takes the Events to write."""
        self._cluster = cluster
        self._node_name = node_name
        self._runner = runner
        self._reader = reader
        self._serve = serve
        self._record = record
        self._plan: Plan | None = None
        self._ways: Pathways | None = None
        self._stations: Mapping[str, frozenset[str]] = {}
        self._loaded: Survival | None = None
        self._strange = False
        self._swept = False
        self._refusal = ""
        self._changed = asyncio.Event()

    def applied(self, plan: Plan, node: NodeView, refused: Collection[NamespacedName]) -> None:
        """The kernel forwards this plan. What it refused in it may be what is refused here."""
        self._plan = plan
        self._changed.set()

    def failed(self) -> None:
        """The plan before is in force, and so are its tables."""

    def repaired(self) -> None:
        """Ours were not changed by that, or we are told."""

    def owners_changed(self, change: OwnersChanged) -> None:
        """Agents are known by these hardware addresses from now on."""
        if change.stations != self._stations:
            self._stations = change.stations
            self._changed.set()

    def ways_changed(self, ways: Pathways | None) -> None:
        """Other nodes are reached like this from now on. None: that is not known."""
        self._ways = ways
        self._changed.set()

    def touch(self) -> None:
        """Who is lost may have changed."""
        self._changed.set()

    def touched(self) -> None:
        """Somebody else changed or removed our tables: they are made anew."""
        self._strange = True
        self._changed.set()

    async def run(self) -> None:
        """Apply what changes, for ever. What a predecessor left is in force until there is a plan."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE)
            self._changed.clear()
            if self._plan is None:
                continue
            wanted = self._wanted(self._plan)
            if wanted is None:
                continue
            loaded = None if self._strange else self._loaded
            self._strange, self._loaded = False, None
            try:
                await self._reach(loaded, wanted)
            except NftError as error:
                log.warning("connections may not outlive the node that announces them: %s", error)
                # Where somebody else has changed our tables, making them anew helps.
                if loaded is None:
                    await asyncio.sleep(RETRY)
                self._changed.set()
            else:
                self._loaded = wanted
                await self._sweep(wanted)

    async def remove(self) -> None:
        """Leave nothing of ours, while `run` does not run. Raises NftError."""
        self._plan = self._loaded = None
        self._serve(frozenset())
        await self._runner.apply(removal())

    def _wanted(self, plan: Plan) -> Survival | None:
        """None until it is known how other nodes are reached."""
        frontends = survivors_in(plan)
        self._serve(frozenset(frontends))
        ways = self._ways if frontends else Pathways()
        if ways is None:
            return None
        nodes = {candidate.node for each in frontends.values() for candidate in each.candidates} - {self._node_name}
        return Survival(
            self._node_name,
            frontends,
            {name: self._peer(name, ways) for name in sorted(nodes)},
            self._cluster.lost & nodes,
            plan.frame.pod_cidrs,
            plan.frame.seed,
        )

    def _peer(self, name: str, ways: Pathways) -> Peer:
        """What a node's agent says of its hardware addresses, and what the kernel has found, together."""
        macs = self._stations.get(name, frozenset()) | ways.macs.get(name, frozenset())
        return Peer({family: hop for (node, family), hop in ways.hops.items() if node == name}, macs)

    async def _reach(self, loaded: Survival | None, wanted: Survival) -> None:
        """From what is loaded, as far as that is known. Raises NftError, after which it is not known."""
        if not wanted.frontends:
            if loaded is None or loaded.frontends:
                await self._runner.apply(removal())
        elif loaded is not None and loaded.frontends:
            await self._apply(await asyncio.to_thread(lambda: list(diff(loaded, wanted))))
        else:
            await self._load(wanted)

    async def _load(self, wanted: Survival) -> None:
        steps = await asyncio.to_thread(lambda: list(full(wanted)))
        try:
            await self._apply(steps)
        except NftError as error:
            if error.failure is not NftFailure.REFUSED:
                raise
            log.info("tables as they are cannot be changed to those that should be, and are replaced: %s", error)
        else:
            self._refusal = ""
            return
        try:
            await self._runner.apply(removal() + "".join(step.text for step in steps))
        except NftError as error:
            self._complain(wanted, str(error))
            raise

    async def _apply(self, steps: Iterable[Step]) -> None:
        for step in steps:
            try:
                await self._runner.apply(step.text)
            except NftError as error:
                if step.needed or error.failure is not NftFailure.REFUSED:
                    raise
                log.debug("what is out of use stays for now: %s", error)
                self._swept = False

    async def _sweep(self, loaded: Survival) -> None:
        """Once after the start, and after what was out of use could not be removed."""
        if self._swept or not loaded.frontends:
            return
        try:
            if text := leftovers(await self._reader.names(TABLE), loaded):
                await self._runner.apply(text)
        except (OSError, UnreadableError, NftError) as error:
            log.debug("what is out of use stays until the next change: %s", error)
        else:
            self._swept = True

    def _complain(self, wanted: Survival, refusal: str) -> None:
        """Nobody but this node knows."""
        if refusal == self._refusal:
            return
        self._refusal = refusal
        for service in self._plan.services.values() if self._plan is not None else ():
            asked = self._cluster.services.get(service.id) if service.survivors else None
            if asked is not None:
                note = (
                    f"{self._node_name} forwards it as without {CONNECTION_SURVIVAL_ANNOTATION}, since its kernel"
                    f" or nft refuses the rules: {refusal}"
                )
                subject = Subject("v1", "Service", asked.id, asked.uid)
                reason = Reason.CONNECTION_SURVIVAL_REFUSED
                self._record(Happening(subject, reason, note, "Forward", warning=True))
