"""Events for users, as `events.k8s.io/v1`, written behind the work and folded into a series when they repeat."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.kube import metrics, timestamps
from heraldlb.kube.client import EVENTS, Api, ApiError, ApiUnavailableError

log = logging.getLogger(__name__)

NOTE_LIMIT = 1024
"""Bytes of a note that the API server accepts."""

PENDING_LIMIT = 5_000
"""Events waiting to be written. Beyond it the oldest are dropped: work never waits for them."""

BUSY_PERIOD = 0.2
"""Seconds between two Events while something more urgent is being written."""

FLUSH_TIMEOUT = 2.0
"""Seconds to wait at the end for Events still to be written."""

REMEMBERED = 4_096
"""Events whose repetition is recognised and counted instead of written anew."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an Event is about."""

    api_version: str
    kind: str
    id: NamespacedName
    uid: str


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing worth telling; an equal one later is a repetition."""

    subject: Subject
    reason: Reason
    note: str
    action: str
    warning: bool


class Recorder:
    """Queues happenings and writes them in the background while the `run` task is alive."""

    def __init__(self, api: Api, controller: str, instance: str) -> None:
        self._api = api
        self._controller = controller
        self._instance = instance
        self._pending: asyncio.Queue[Happening] = asyncio.Queue()
        self._series: OrderedDict[Happening, tuple[str, int]] = OrderedDict()
        self._busy: Callable[[], bool] = lambda: False

    def defer_while(self, busy: Callable[[], bool]) -> None:
        """Let Events trickle while `busy` says that there is more urgent work for the API server."""
        self._busy = busy

    def record(self, happening: Happening) -> None:
        """Queue an Event; never blocks and never fails."""
        if self._pending.qsize() >= PENDING_LIMIT:
            self._pending.get_nowait()
            self._pending.task_done()
            metrics.EVENTS_DROPPED.inc()
        self._pending.put_nowait(happening)

    async def run(self) -> None:
        """Write what is queued, for ever."""
        while True:
            happening = await self._pending.get()
            if self._busy():
                await asyncio.sleep(BUSY_PERIOD)
            try:
                await self._write(happening)
            except (ApiError, ApiUnavailableError) as error:
                metrics.EVENTS_DROPPED.inc()
                log.debug("an Event was not written: %s", error)
            except Exception:
                log.exception("an Event was not written")
            finally:
                self._pending.task_done()

    async def flush(self) -> None:
        """Wait a little until everything queued is written, as before the process ends."""
        self.defer_while(lambda: False)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_TIMEOUT):
                await self._pending.join()

    async def _write(self, happening: Happening) -> None:
        namespace = happening.subject.id.namespace or "default"
        now = timestamps.now_micro()
        known = self._series.pop(happening, None)
        if known is not None:
            name, count = known[0], known[1] + 1
            try:
                series = {"series": {"count": count, "lastObservedTime": now}}
                await self._api.patch(EVENTS, name, series, namespace=namespace)
            except ApiError as error:
                # Events expire; a repetition of one that has is a new one.
                if not error.not_found:
                    raise
            else:
                self._series[happening] = (name, count)
                return
        name = f"{happening.subject.id.name[:200]}.{secrets.token_hex(8)}"
        await self._api.create(EVENTS, self._body(happening, name, namespace, now), namespace)
        self._series[happening] = (name, 1)
        if len(self._series) > REMEMBERED:
            self._series.popitem(last=False)

    def _body(self, happening: Happening, name: str, namespace: str, now: str) -> dict[str, Any]:
        subject = happening.subject
        regarding = {
            "apiVersion": subject.api_version,
            "kind": subject.kind,
            "name": subject.id.name,
            "uid": subject.uid,
        }
        if subject.id.namespace:
            regarding["namespace"] = subject.id.namespace
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": now,
            "reportingController": self._controller,
            "reportingInstance": self._instance[:128],
            "action": happening.action,
            "reason": happening.reason.value,
            "regarding": regarding,
            "note": _fitting(happening.note),
            "type": "Warning" if happening.warning else "Normal",
        }


def _fitting(note: str) -> str:
    encoded = note.encode()
    if len(encoded) <= NOTE_LIMIT:
        return note
    return encoded[: NOTE_LIMIT - 4].decode(errors="ignore") + "…"
