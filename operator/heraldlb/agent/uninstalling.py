"""Tells an uninstallation from a restart: the agent's own DaemonSet is deleted, and then its pods are ended.

An agent that is replaced, evicted or crashes leaves its rules in force. That it will not come back only the
DaemonSet tells. An uninstallation takes the right to read it away at the same moment, so it is watched all along; a
watch keeps the right that it began with.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from heraldlb.api.objects import NamespacedName, Raw, text
from heraldlb.kube.client import DAEMON_SETS, Api, ApiError, ApiUnavailableError

log = logging.getLogger(__name__)

RETRY = 5.0
"""Seconds before the DaemonSet is read again when that failed, or it was not there."""


class Uninstalling:
    """Watches the DaemonSet. Where it cannot be read, nothing is ever taken for an uninstallation."""

    def __init__(self, api: Api, daemon_set: NamespacedName) -> None:
        self._api = api
        self._daemon_set = daemon_set
        self._seen = False
        self._deleted = False

    @property
    def deleted(self) -> bool:
        """It was there, and has been deleted or is about to be."""
        return self._deleted

    async def run(self) -> None:
        """Watch, for ever."""
        while True:
            try:
                await self._watch()
            except ApiUnavailableError as error:
                log.debug("%s", error)
            except ApiError as error:
                if error.not_found:
                    self._deleted = self._seen
                elif not error.expired:
                    log.debug("the DaemonSet %s cannot be watched: %s", self._daemon_set, error)
            except Exception:
                log.exception("the watch of DaemonSet %s broke", self._daemon_set)
            else:
                continue
            await asyncio.sleep(RETRY)

    async def _watch(self) -> None:
        name, namespace = self._daemon_set.name, self._daemon_set.namespace
        raw = await self._api.get(DAEMON_SETS, name, namespace)
        self._observe("ADDED", raw)
        selectors = {"fieldSelector": f"metadata.name={name}"}
        version = text(raw, "metadata", "resourceVersion")
        async with contextlib.aclosing(self._api.watch(DAEMON_SETS, selectors, version, namespace)) as events:
            async for event, raw in events:
                if event != "BOOKMARK":
                    self._observe(event, raw)

    def _observe(self, event: str, raw: Raw) -> None:
        self._seen = True
        # Deleted in the foreground, it stays until its pods have ended. Made anew, it may adopt this one.
        deleted = event == "DELETED" or bool(text(raw, "metadata", "deletionTimestamp"))
        if deleted and not self._deleted:
            log.info("DaemonSet %s is deleted: all rules go when this agent is told to stop", self._daemon_set)
        self._deleted = deleted
