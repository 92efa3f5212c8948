"""Supplies the speaker, and what answers ping: turns the mirrors into what it should announce."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable

from heraldlb.agent.announceable import Rules, Shared, announceable, peers
from heraldlb.agent.cluster import Cluster
from heraldlb.agent.pinging import PingRole
from heraldlb.agent.rulebook import Rulebook
from heraldlb.agent.settings import AgentSettings
from heraldlb.api.ranges import IPAddress
from heraldlb.kube.client import Api, ApiError, ApiUnavailableError
from heraldlb.speaker.desired import NOTHING_DESIRED, Announceable, Desired
from heraldlb.speaker.speaker import Speaker

log = logging.getLogger(__name__)

SHARE = 0.2
"""Part of the time at the most that is spent on working out what to announce, however many changes come."""

PROBE_PERIOD = 0.5
"""Seconds between questions to the API server while no peer is heard: its answer proves that we are not cut off."""


class SpeakingRole:
    """Keeps the speaker equal to what the mirrors say."""

    def __init__(
        self, cluster: Cluster, settings: AgentSettings, rulebook: Rulebook, speaker: Speaker, pinging: PingRole
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._rulebook = rulebook
        self._speaker = speaker
        self._pinging = pinging
        self._changed = asyncio.Event()
        self._touched: set[IPAddress] = set()
        self._all_touched = True
        self._shared = Shared()
        self._applied = NOTHING_DESIRED

    def touch(self, addresses: Iterable[IPAddress]) -> None:
        """These addresses, their Services or the Services' endpoints may have changed."""
        self._touched.update(addresses)
        if self._touched:
            self._changed.set()

    def touch_all(self) -> None:
        """A Node or an L2Announcement may have changed."""
        self._all_touched = True
        self._changed.set()

    async def run(self) -> None:
        """Supply the speaker, for ever."""
        self.touch_all()
        while True:
            await self._changed.wait()
            self._changed.clear()
            started = time.perf_counter()
            try:
                self._supply()
            except Exception:
                log.exception("what to announce could not be worked out, the speaker goes on as before")
                self._all_touched = True
            spent = time.perf_counter() - started
            await asyncio.sleep(spent * (1 / SHARE - 1))

    async def probe(self, api: Api) -> None:
        """While peers are missing, keep the proof fresh that the API server still answers this node."""
        while True:
            stats = self._speaker.stats()
            if stats.peers >= 2 and stats.alive == 0:
                try:
                    await api.ping()
                except (ApiError, ApiUnavailableError) as error:
                    log.debug("no peer is heard, nor the API server: %s", error)
            await asyncio.sleep(PROBE_PERIOD)

    def _supply(self) -> None:
        first = self._applied is NOTHING_DESIRED
        touched, self._touched = self._touched, set()
        others = self._applied.peers
        if self._all_touched:
            self._all_touched = False
            self._shared = Shared()
            others = peers(self._cluster, self._settings.node_name)
            touched = {record.address for record in self._cluster.records.values()} | self._applied.addresses.keys()
        addresses = self._renewed(touched, self._rulebook.rules())
        if first or addresses is not None or others != self._applied.peers:
            self._applied = Desired(self._applied.addresses if addresses is None else addresses, others)
            self._speaker.apply(self._applied)
            self._pinging.want(self._applied.addresses.keys())

    def _renewed(self, touched: Iterable[IPAddress], under: Rules) -> dict[IPAddress, Announceable] | None:
        """The addresses with those touched worked out anew, or None where that changes nothing."""
        addresses = dict(self._applied.addresses)
        for address in touched:
            record = self._cluster.record(address)
            wanted = announceable(self._cluster, record, under, self._shared) if record is not None else None
            if wanted is None:
                addresses.pop(address, None)
            else:
                addresses[address] = wanted
        return None if addresses == self._applied.addresses else addresses
