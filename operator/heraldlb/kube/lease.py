"""Which replica acts: a `coordination.k8s.io` Lease, held by renewing it and given back on a clean stop.

The official client has a leader election, which measures by the wall clock and cannot give the Lease back; hence
this one. As in client-go, another's Lease counts as expired when *we* have not seen it change for its duration, so
clocks need not agree; and a holder that cannot renew stops acting well before anyone else may start.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from heraldlb.api.objects import mapping, number, text
from heraldlb.kube import timestamps
from heraldlb.kube.client import LEASES, Api, ApiError, ApiUnavailableError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """Times in seconds. `deadline` < `duration`: the holder has stopped before the Lease runs out.

    A crash is followed by another holder within `duration` and two looks: one that comes late to see the last
    renewal, and one to see that it was the last.
    """

    namespace: str
    name: str
    identity: str
    duration: int = 4
    deadline: float = 3.0
    period: float = 1.0
    """Between two renewals."""
    look: float = 0.25
    """Between two looks of a replica that stands by: how long a Lease that was given back lies idle."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Another holder's Lease as last seen to change, and when, by our monotonic clock."""

    holder: str
    version: str
    at: float


def may_take(lease: dict[str, Any], identity: str, sighting: Sighting | None, now: float) -> bool:
    """Whether the Lease is free, ours, or has not been seen to change for as long as its holder claimed it."""
    holder = text(lease, "spec", "holderIdentity")
    if not holder or holder == identity:
        return True
    if sighting is None or sighting.version != text(lease, "metadata", "resourceVersion"):
        return False
    return now - sighting.at > (number(lease, "spec", "leaseDurationSeconds") or 15)


class Lease:
    """One replica's claim to the Lease."""

    def __init__(self, api: Api, settings: LeaseSettings) -> None:
        self._api = api
        self._settings = settings
        self._sighting: Sighting | None = None
        self._renewed = -math.inf

    def holds(self) -> bool:
        """Whether it was renewed within the deadline, so that nobody else acts. Also right in a process that was
        stopped and has not looked at the Lease yet."""
        return self._left() > 0

    def _left(self) -> float:
        """Seconds until the deadline."""
        return self._renewed + self._settings.deadline - time.monotonic()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[asyncio.Event]:
        """Wait for the Lease, hold it inside the block, give it back at its end.

        Yields an event that is set when the Lease could not be renewed in time: leave the block then, at once.
        """
        await self._acquire()
        lost = asyncio.Event()
        renewing = asyncio.create_task(self._renew(lost), name="lease")
        try:
            yield lost
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
            if not lost.is_set():
                await self._give_back()

    async def _acquire(self) -> None:
        said = ""
        while True:
            started = time.monotonic()
            try:
                if await self._try():
                    self._renewed = started
                    log.info("acting as %s", self._settings.identity)
                    return
                problem = f"standing by: {self._sighting.holder if self._sighting else 'another replica'} acts"
            except (ApiError, ApiUnavailableError) as error:
                problem = f"waiting for the Lease: {error}"
            if problem != said:
                log.info(problem)
                said = problem
            await asyncio.sleep(self._settings.look)

    async def _renew(self, lost: asyncio.Event) -> None:
        while True:
            await asyncio.sleep(self._settings.period)
            try:
                started = time.monotonic()
                # Not `wait_for`: that may lose a cancellation that comes together with the answer (Python 3.11).
                async with asyncio.timeout(max(self._left(), 0.01)):
                    renews = await self._try(renew=True)
                if renews:
                    self._renewed = started
                    continue
                log.error("another replica has taken the Lease")
                break
            except (ApiError, ApiUnavailableError, TimeoutError) as error:
                if not self.holds():
                    log.error("the Lease could not be renewed: %s", error or "no answer in time")  # noqa: TRY400
                    break
        lost.set()

    async def _try(self, *, renew: bool = False) -> bool:
        """Take the Lease if it may be taken, or `renew` it if it is still ours: else somebody acted meanwhile."""
        settings, now = self._settings, time.monotonic()
        try:
            lease = await self._api.get(LEASES, settings.name, settings.namespace)
        except ApiError as error:
            if not error.not_found:
                raise
            lease = {"metadata": {"name": settings.name, "namespace": settings.namespace}, "spec": {}}
            return await self._write(lease, create=True)
        ours = text(lease, "spec", "holderIdentity") == settings.identity
        if not (ours if renew else may_take(lease, settings.identity, self._sighting, now)):
            version = text(lease, "metadata", "resourceVersion")
            if self._sighting is None or self._sighting.version != version:
                self._sighting = Sighting(text(lease, "spec", "holderIdentity"), version, now)
            return False
        return await self._write(lease)

    async def _write(self, lease: dict[str, Any], *, create: bool = False) -> bool:
        settings, spec = self._settings, dict(mapping(lease, "spec"))
        now = timestamps.now_micro()
        if spec.get("holderIdentity") != settings.identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + (0 if create else 1)
        spec |= {
            "holderIdentity": settings.identity,
            "leaseDurationSeconds": settings.duration,
            "renewTime": now,
        }
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **lease, "spec": spec}
        try:
            if create:
                await self._api.create(LEASES, body, settings.namespace)
            else:
                await self._api.replace(LEASES, settings.name, body, settings.namespace)
        except ApiError as error:
            if error.already_exists or error.conflict:
                return False
            raise
        return True

    async def _give_back(self) -> None:
        settings = self._settings
        try:
            lease = await self._api.get(LEASES, settings.name, settings.namespace)
            if text(lease, "spec", "holderIdentity") == settings.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._api.replace(LEASES, settings.name, lease, settings.namespace)
        except (ApiError, ApiUnavailableError) as error:
            log.warning("the Lease could not be given back, another replica waits until it runs out: %s", error)
