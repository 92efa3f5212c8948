"""Runs the forwarder while the node's Services are ours to program, and removes its rules while they are not."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from dataclasses import replace
from typing import Any

from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.forwarding import mode as modes
from heraldlb.forwarding.mode import Mode, Stance
from heraldlb.forwarding.nft import NftError
from heraldlb.forwarding.preflight import Finding
from heraldlb.forwarding.proxies import CILIUM_LINK, Evidence, Sighting, needs_arp_ignore, sight
from heraldlb.kube.recorder import Happening, Recorder, Subject

log = logging.getLogger(__name__)

LOOK_PERIOD = 10.0
"""Seconds between looks at what other proxies do. A look is some questions on loopback and netlink, about 5 ms."""

GLANCE_PERIOD = 1.0
"""Seconds between glances, which find out whether a look is due: others' rules have come, or are gone."""

STRICT_ARP = (
    "IPVS has the addresses of Services on a link of this node, whose kernel therefore answers ARP for all of them,"
    " whichever node announces them. Set ipvs.strictARP: true in kube-proxy's configuration, or on the node:"
    " sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2"
)

Work = Callable[[], Coroutine[Any, Any, None]]
Gather = Callable[[bool], Awaitable[Evidence]]
"""What is on the node; told whether to look closely. May raise OSError."""
Glance = Callable[[], Hashable]
"""Something that changes when others' rules come or go. May raise OSError."""


class ForwardingSwitch:
    """Follows the mode, and in `auto` the evidence."""

    def __init__(
        self,
        mode: Mode,
        node_name: str,
        recorder: Recorder,
        gather: Gather,
        glance: Glance,
        cilium_replaces: Callable[[], Awaitable[bool]],
        *,
        work: Sequence[Work],
        remove: Callable[[], Awaitable[None]],
    ) -> None:
        """`work`: what to run while we forward, each for ever. `remove`: take all its rules from the kernel, which
        may raise NftError."""
        self._mode = mode
        self._node_name = node_name
        self._recorder = recorder
        self._gather = gather
        self._glance = glance
        self._cilium_replaces = cilium_replaces
        self._work = work
        self._remove = remove
        self._stance: Stance | None = None
        self._running: asyncio.Task[None] | None = None
        self._removed = False
        self._arp_told = False
        self._sightings: tuple[Sighting, ...] = ()
        self._glanced: Hashable = None

    @property
    def mode(self) -> Mode:
        """As it was set."""
        return self._mode

    @property
    def stance(self) -> Stance | None:
        """What the node does; None until that has been found out."""
        return self._stance

    @property
    def sightings(self) -> tuple[Sighting, ...]:
        """Other proxies, as the last look showed them."""
        return self._sightings

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is to be set right because of another proxy."""
        return (Finding(False, "strictARP", STRICT_ARP),) if self._arp_told else ()

    async def run(self) -> None:
        """Look, and act on it, for ever."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._glanced = self._seen()
                await self._consider(tasks)
                await self._pause()

    async def _consider(self, tasks: asyncio.TaskGroup) -> None:
        try:
            evidence = await self._evidence()
        except Exception:
            # Whatever it is, it must not take the speaker along, nor leave Services to nobody.
            log.exception("other service proxies could not be looked for")
            unknown = Stance(True, "other service proxies could not be looked for")
            stance = replace(self._stance, doubted=None) if self._stance is not None else unknown
        else:
            self._warn(evidence)
            self._sightings = sight(evidence)
            stance = modes.judge(self._stance, self._sightings, time.monotonic(), ours=evidence.ours)
        if self._mode is not Mode.AUTO:
            stance = modes.chosen(self._mode)
        self._tell(stance)
        self._stance = stance
        if stance.forwards:
            self._removed = False
            if self._running is None:
                self._running = tasks.create_task(self._forward(), name="forward")
        else:
            await self._step_back()

    async def _evidence(self) -> Evidence:
        evidence = await self._gather(self._stance is None or self._stance.forwards)
        if CILIUM_LINK not in evidence.links:
            return evidence
        return replace(evidence, cilium_replaces=await self._cilium_replaces())

    async def _forward(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for work in self._work:
                tasks.create_task(work())

    async def _step_back(self) -> None:
        """Connections under way keep their translations in conntrack; new ones are the other proxy's."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})
            self._running = None
        if not self._removed:
            try:
                await self._remove()
            except NftError as error:
                log.warning("forwarding rules could not be removed, trying again in %g s: %s", LOOK_PERIOD, error)
            else:
                self._removed = True

    async def _pause(self) -> None:
        """Until it is time to look again."""
        due = time.monotonic() + LOOK_PERIOD
        if self._stance is not None and self._stance.review is not None:
            due = min(due, self._stance.review)
        while self._seen() == self._glanced:
            wait = due - time.monotonic()
            if wait <= 0:
                return
            await asyncio.sleep(min(wait, GLANCE_PERIOD))

    def _seen(self) -> Hashable:
        try:
            return self._glance()
        except OSError:
            return None

    def _tell(self, stance: Stance) -> None:
        former = self._stance
        if former is not None and (former.forwards, former.reason) == (stance.forwards, stance.reason):
            return
        what = "this node forwards Services" if stance.forwards else "this node's agent does not forward Services"
        log.info("%s: %s", what, stance.reason)
        if former is not None and former.forwards != stance.forwards:
            self._record(Reason.FORWARDER_CHANGED, f"{what[0].upper()}{what[1:]}: {stance.reason}.", warning=False)

    def _warn(self, evidence: Evidence) -> None:
        amiss = needs_arp_ignore(evidence)
        if amiss and not self._arp_told:
            log.warning("%s", STRICT_ARP)
            self._record(Reason.KERNEL_ANSWERS_ARP, STRICT_ARP, warning=True)
        self._arp_told = amiss

    def _record(self, reason: Reason, note: str, *, warning: bool) -> None:
        # The kubelet's way: `kubectl describe node` looks for Events under the name as the UID.
        node = Subject("v1", "Node", NamespacedName("", self._node_name), self._node_name)
        self._recorder.record(Happening(node, reason, note, "Forward", warning=warning))
