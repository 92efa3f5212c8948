"""The controller process: waits for the Lease, acts while it holds it, and again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from prometheus_client import REGISTRY

from heraldlb.api.group import CONTROLLER_NAME
from heraldlb.controller.metallb_metrics import MetalLBAllocatorCollector
from heraldlb.controller.metrics import AllocationCollector
from heraldlb.controller.settings import ControllerSettings
from heraldlb.controller.term import Term
from heraldlb.kube import credentials
from heraldlb.kube.client import Api
from heraldlb.kube.lease import Lease, LeaseSettings
from heraldlb.kube.recorder import Recorder
from heraldlb.observability.health import Probe, serve

log = logging.getLogger(__name__)

REACHABLE = 10.0
"""Seconds since the API server's last answer for which a replica that stands by counts as ready."""

RESTART_PERIOD = 1.0
"""Seconds before a term that ended by a failure of ours is followed by another."""


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What the command line sets around the controller itself."""

    kubeconfig: str | None
    lease: LeaseSettings
    metrics_address: str
    metallb_metrics: bool = False
    """Tell under MetalLB's names as well."""


async def run(settings: ControllerSettings, process: ProcessSettings, stop: asyncio.Event) -> None:
    """Run until `stop` is set, then give the Lease back. Raises CredentialsError."""
    configuration = await credentials.load(process.kubeconfig)
    acting = asyncio.Event()
    collector = AllocationCollector()
    REGISTRY.register(collector)
    term: Term | None = None
    async with Api(configuration) as api:

        def live() -> str:
            return "" if term is None else term.stalled()

        def ready() -> str:
            if term is not None and acting.is_set():
                return term.silent()
            unheard = time.monotonic() - api.last_answer
            return "" if unheard < REACHABLE else f"no answer from the API server for {unheard:.0f} s"

        if process.metallb_metrics:

            def stale() -> bool:
                return term is not None and bool(term.silent())

            REGISTRY.register(MetalLBAllocatorCollector(lambda: collector.assignments, stale))
        probe = Probe(live, ready)
        recorder = Recorder(api, CONTROLLER_NAME, process.lease.identity)
        async with serve(process.metrics_address, probe):
            recording = asyncio.create_task(recorder.run(), name="recorder")
            stopping = asyncio.create_task(stop.wait(), name="stop")
            while not stop.is_set():
                lease = Lease(api, process.lease)
                term = Term(api.fenced(lease.holds), configuration, settings, recorder)
                await _until(stopping, _hold(lease, term, acting, collector))
            await recorder.flush()
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)


async def _until(stopping: asyncio.Task[bool], work: Coroutine[Any, Any, None]) -> None:
    """Do the work until it ends, or is told to stop."""
    task = asyncio.create_task(work, name="term")
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    task.cancel()
    [outcome] = await asyncio.gather(task, return_exceptions=True)
    if isinstance(outcome, Exception):
        log.error("the term ended by a failure", exc_info=outcome)
        await asyncio.wait({stopping}, timeout=RESTART_PERIOD)


async def _hold(lease: Lease, term: Term, acting: asyncio.Event, collector: AllocationCollector) -> None:
    async with lease.held() as lost:
        collector.assignments, collector.queue = term.assignments, term.queue
        acts = asyncio.create_task(term.run(acting), name="act")
        loses = asyncio.create_task(lost.wait(), name="lease lost")
        try:
            await asyncio.wait({acts, loses}, return_when=asyncio.FIRST_COMPLETED)
            if acts.done():
                await acts
        finally:
            collector.assignments = collector.queue = None
            acts.cancel()
            loses.cancel()
            await asyncio.gather(acts, loses, return_exceptions=True)
