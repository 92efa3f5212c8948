"""Mirrors kept current: our own lists for completeness, watches for speed.

Kinds whose objects each stand for themselves (namespaces, nodes) come through Kopf, which tells the changes of
one object in order, but not those of several. Where that matters, as between pools that an address range moves
from and to, the kind is watched directly, and so is what counts by the thousand: Kopf takes half a millisecond
of processor time for each event, several times what everything else here takes, and each status that is written
to a Service comes back as one.

Kopf watches and reconnects, but does not say when a list is complete, and an object that is deleted while a
watch is broken is never reported. Both follow from one rule: whenever Kopf has listed a kind anew, which it
shows by events without a type, we list that kind as well and compare.

Mirrors and callbacks belong to the loop that called `start`; Kopf has a thread and a loop of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from heraldlb.api.objects import text
from heraldlb.kube import metrics
from heraldlb.kube.client import Api, ApiError, ApiUnavailableError, Resource
from heraldlb.kube.mirror import Change, Mirror
from heraldlb.kube.pulses import Pulses
from heraldlb.kube.stop import Stop

log = logging.getLogger(__name__)

RELIST_QUIET = 1.0
"""Seconds without a listed event after which a fresh list of the kind is compared with the mirror."""

RESYNC_PERIOD = 600.0
"""Seconds between lists that nothing prompted: the bound on any deletion that went unseen."""

RETRY_PERIOD = 1.0
"""Seconds between tries while the API server, or a kind, is missing."""

ABSENT_PERIOD = 60.0
"""Seconds between looks whether an optional kind has come to exist, as with an upgrade of the API server."""

REWATCH_PERIOD = 0.2
"""Seconds before a watch that failed is begun again."""

_ABSENT = "0"
"""The version of the list of a kind that does not exist."""

KOPF_STOP_TIMEOUT = 5.0
"""Seconds to wait for Kopf's thread; it is a daemon thread, so a late one does not hold up the process."""


@dataclass(eq=False)
class Subscription:
    """A kind to mirror, and what to call on each change after the first complete list."""

    resource: Resource
    mirror: Mirror[Any]
    on_change: Callable[[Change[Any]], None]
    selectors: Mapping[str, str] = field(default_factory=dict)
    """`fieldSelector` and `labelSelector`; an object that stops matching counts as deleted."""
    direct: bool = False
    """Watch without Kopf: changes come in the order in which they were made, also those of different objects."""
    optional: bool = False
    """Where the API server has no such kind, or lets nobody see it, there are none. For `direct` kinds only."""
    relist_at: float | None = None


class Feed:
    """Keeps the mirrors of its subscriptions current between `start` and `close`."""

    def __init__(self, api: Api, configuration: Any, subscriptions: Sequence[Subscription]) -> None:
        self._api = api
        self._configuration = configuration
        self._subscriptions = subscriptions
        self._through_kopf = {each.resource: each for each in subscriptions if not each.direct}
        self._events: deque[tuple[Subscription, str | None, dict[str, Any]]] = deque()
        self._drain_scheduled = False
        self._stop = Stop()
        self._thread: threading.Thread | None = None
        self._relists = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._pulses: Pulses[Resource] = Pulses()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def start(self) -> None:
        """List every kind into its mirror, without callbacks, then watch. Returns when all mirrors are complete.

        Waits for as long as the API server or one of the kinds is missing.
        """
        loop = asyncio.get_running_loop()
        self._pulses = Pulses([each.resource for each in self._subscriptions], time.monotonic())
        async with asyncio.TaskGroup() as tasks:
            lists = [(each, tasks.create_task(self._complete(each))) for each in self._subscriptions]
        for subscription, listing in lists:
            if subscription.direct:
                watching = self._watch_directly(subscription, listing.result())
                self._tasks.append(loop.create_task(watching, name=f"watch {subscription.resource}"))
        if self._through_kopf:
            self._thread = threading.Thread(target=self._watch, args=(loop,), name="kopf", daemon=True)
            self._thread.start()
        self._tasks.append(loop.create_task(self._keep_complete(), name="relist"))

    async def close(self) -> None:
        """Stop watching. No callback runs afterwards."""
        self._stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, KOPF_STOP_TIMEOUT)
        self._events.clear()
        for subscription in self._subscriptions:
            with contextlib.suppress(KeyError):
                metrics.WATCH_HEARD.remove(str(subscription.resource))

    def resync(self) -> None:
        """List every kind again soon, as after an outage during which events may have been lost."""
        for subscription in self._subscriptions:
            subscription.relist_at = time.monotonic()
        self._relists.set()

    def silent(self) -> str:
        """What the API server has said nothing of for too long, so that it may have changed unseen; else empty.
        Nothing is expected before `start`."""
        return _told("no word from the API server about", self._pulses.silent(time.monotonic()))

    def stalled(self) -> str:
        """What nobody watches any more, which only a new start helps; else empty."""
        return _told("nobody watches", self._pulses.stalled(time.monotonic()))

    def _heard(self, resource: Resource) -> None:
        self._pulses.heard(resource, time.monotonic())
        metrics.WATCH_HEARD.labels(str(resource)).set_to_current_time()

    def _tried(self, resource: Resource) -> None:
        self._pulses.tried(resource, time.monotonic())

    async def _complete(self, subscription: Subscription) -> str:
        items, version = await self._list_when_possible(subscription)
        subscription.mirror.replace(items, version)
        return str(version)

    async def _list_when_possible(self, subscription: Subscription) -> tuple[list[dict[str, Any]], int]:
        said = ""
        while True:
            self._tried(subscription.resource)
            try:
                items, version = await self._api.list(subscription.resource, subscription.selectors)
                self._heard(subscription.resource)
                return items, int(version or 0)
            except ApiError as error:
                if subscription.optional and error.status in (403, 404):
                    self._heard(subscription.resource)
                    log.debug("without %s: %s", subscription.resource, error)
                    return [], 0
                missing = f"{subscription.resource} does not exist yet: install Herald's CRDs (crds/ in its chart)"
                problem = missing if error.not_found else str(error)
            except ApiUnavailableError as error:
                problem = str(error)
            if problem != said:
                log.warning("waiting to list %s: %s", subscription.resource, problem)
                said = problem
            await asyncio.sleep(RETRY_PERIOD)

    async def _keep_complete(self) -> None:
        last = time.monotonic()
        for subscription in self._through_kopf.values():
            subscription.relist_at = last + RELIST_QUIET
        while True:
            now = time.monotonic()
            if now - last > RESYNC_PERIOD:
                last = now
                self.resync()
            due = [each for each in self._subscriptions if each.relist_at is not None and each.relist_at <= now]
            for subscription in due:
                subscription.relist_at = None
                await self._relist(subscription)
            times = [each.relist_at for each in self._subscriptions if each.relist_at is not None]
            wait = min([*times, last + RESYNC_PERIOD]) - time.monotonic()
            self._relists.clear()
            # Not `wait_for`: that may lose a cancellation that comes together with the event (Python 3.11).
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(wait, 0.0) + 0.01):
                    await self._relists.wait()

    async def _watch_directly(self, subscription: Subscription, version: str) -> None:
        while True:
            if version == _ABSENT:
                await asyncio.sleep(ABSENT_PERIOD)
                version = await self._relist(subscription)
                continue
            self._tried(subscription.resource)
            heard = functools.partial(self._heard, subscription.resource)
            try:
                async with contextlib.aclosing(
                    self._api.watch(subscription.resource, subscription.selectors, version, accepted=heard)
                ) as events:
                    async for event, raw in events:
                        version = text(raw, "metadata", "resourceVersion")
                        heard()
                        if event != "BOOKMARK" and (change := subscription.mirror.observe(event, raw)) is not None:
                            _deliver(subscription, change)
            except ApiUnavailableError as error:
                log.debug("%s", error)
            except ApiError as error:
                log.log(logging.DEBUG if error.expired else logging.WARNING, "listing anew: %s", error)
                version = ""
            except Exception:
                # Not again from where it failed, which may be why it did, but from all there is.
                log.exception("the watch of %s broke; listing anew", subscription.resource)
                version = ""
            else:
                continue
            await asyncio.sleep(REWATCH_PERIOD)
            version = version or await self._relist(subscription)

    async def _relist(self, subscription: Subscription) -> str:
        items, version = await self._list_when_possible(subscription)
        for change in subscription.mirror.replace(items, version):
            _deliver(subscription, change)
        return str(version)

    def _drain(self) -> None:
        # Before the first event is taken: whoever appends later must schedule a drain of its own.
        self._drain_scheduled = False
        while self._events:
            subscription, event, raw = self._events.popleft()
            self._heard(subscription.resource)
            if event is None:
                subscription.relist_at = time.monotonic() + RELIST_QUIET
                self._relists.set()
            change = subscription.mirror.observe(event, raw)
            if change is not None:
                _deliver(subscription, change)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        # Imported here: it takes a fifth of a second, while the mirrors are complete and others can work.
        from heraldlb.kube import kopf_watch

        def emit(resource: Resource, event: str | None, raw: dict[str, Any]) -> None:
            self._events.append((self._through_kopf[resource], event, raw))
            if not self._drain_scheduled and not self._stop.is_set():
                self._drain_scheduled = True
                loop.call_soon_threadsafe(self._drain)

        def restarted() -> None:
            loop.call_soon_threadsafe(self.resync)

        selectors = {resource: each.selectors for resource, each in self._through_kopf.items()}

        def tried() -> None:
            for resource in self._through_kopf:
                self._tried(resource)

        signs = kopf_watch.Signs(tried, self._heard)
        kopf_watch.watch(self._configuration, selectors, emit, signs, restarted, self._stop)


def _told(what: str, silences: Mapping[Resource, float]) -> str:
    return "; ".join(f"{what} {resource} for {seconds:.0f} s" for resource, seconds in silences.items())


def _deliver(subscription: Subscription, change: Change[Any]) -> None:
    metrics.WATCH_EVENTS.labels(str(subscription.resource)).inc()
    try:
        subscription.on_change(change)
    except Exception:
        # One change that is not understood must not keep all later ones from being delivered.
        log.exception("a change of %s %s was not handled", subscription.resource, change.key)
