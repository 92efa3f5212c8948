"""Supplies the speaker: turns the mirrors into what it should announce."""

from __future__ import annotations

import asyncio
import logging
import time

from heraldlb.agent.announceable import desired
from heraldlb.agent.cluster import Cluster
from heraldlb.agent.settings import AgentSettings
from heraldlb.kube.client import Api, ApiError, ApiUnavailableError
from heraldlb.speaker.desired import Desired
from heraldlb.speaker.speaker import Speaker

log = logging.getLogger(__name__)

SHARE = 0.2
"""Part of the time at the most that is spent on recomputing what to announce, however many changes come."""

PROBE_PERIOD = 0.5
"""Seconds between questions to the API server while no peer is heard: its answer proves that we are not cut off."""


class SpeakingRole:
    """Keeps the speaker equal to what the mirrors say."""

    def __init__(self, cluster: Cluster, settings: AgentSettings, speaker: Speaker) -> None:
        self._cluster = cluster
        self._settings = settings
        self._speaker = speaker
        self._changed = asyncio.Event()
        self._applied: Desired | None = None

    def touch(self) -> None:
        """Something that decides what is announced may have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Supply the speaker, for ever."""
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            started = time.perf_counter()
            try:
                self._supply()
            except Exception:
                log.exception("what to announce could not be worked out, the speaker goes on as before")
            spent = time.perf_counter() - started
            await asyncio.sleep(spent * (1 / SHARE - 1))

    def _supply(self) -> None:
        wanted = desired(
            self._cluster, self._settings.node_name, ignore_exclude_label=self._settings.ignore_exclude_label
        )
        if wanted != self._applied:
            self._speaker.apply(wanted)
            self._applied = wanted

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
