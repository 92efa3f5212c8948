"""One term of the acting controller: from taking the Lease to losing it or being told to stop."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from heraldlb.api.addresspool import AddressPool
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import ServiceAddress, record_key
from heraldlb.api.services import Service
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.cluster import Cluster, WithStatus
from heraldlb.controller.expiry import Expiry
from heraldlb.controller.keeping import Ended
from heraldlb.controller.metrics import RETRIES, VISITS
from heraldlb.controller.reconciler import Reconciler
from heraldlb.controller.records import AddressTakenError
from heraldlb.controller.settings import ControllerSettings
from heraldlb.controller.statuses import Statuses
from heraldlb.kube.client import (
    ADDRESS_POOLS,
    L2_ANNOUNCEMENTS,
    NAMESPACES,
    NODES,
    SERVICE_ADDRESSES,
    SERVICES,
    Api,
    ApiError,
    ApiUnavailableError,
)
from heraldlb.kube.feed import Feed, Subscription
from heraldlb.kube.mirror import Change
from heraldlb.kube.recorder import Recorder
from heraldlb.kube.workqueue import WorkQueue

log = logging.getLogger(__name__)

STRANGER_DELAY = 6.0
"""Seconds before a record that we did not write is put right. Longer than the Lease: a replica that was stopped and
resumed must have learned that it acts no more before it takes its successor's records for strangers."""

REVIEW_DELAY = 0.5
"""Seconds without other work after which those who wait are told anew why, if addresses were given meanwhile."""


class Term:
    """Mirrors, ledger and queue of one term; a new term starts from nothing but the API server's state."""

    def __init__(self, api: Api, configuration: Any, settings: ControllerSettings, recorder: Recorder) -> None:
        self._cluster = Cluster()
        self.assignments = Assignments()
        self.queue: WorkQueue[NamespacedName | IPAddress] = WorkQueue(self._urgency)
        recorder.defer_while(self._busy)
        self._statuses = Statuses(api, self._cluster, self.assignments, busy=self._busy)
        self._reconciler = Reconciler(
            api,
            self._cluster,
            self.assignments,
            recorder,
            settings,
            revisit=self.queue.mark_all,
            record_changed=self._record_changed,
        )
        self._expiry = Expiry(self.assignments, self._ended)
        self._settings = settings
        self._worked = asyncio.Event()
        self._strangers: dict[IPAddress, asyncio.TimerHandle] = {}
        load_balancers = {"fieldSelector": "spec.type=LoadBalancer"}
        self._feed = Feed(
            api,
            configuration,
            [
                Subscription(NAMESPACES, self._cluster.namespaces, self._namespace_changed),
                Subscription(NODES, self._cluster.nodes, lambda _: self._statuses.touch()),
                Subscription(ADDRESS_POOLS, self._cluster.pools, self._pool_changed, direct=True),
                Subscription(L2_ANNOUNCEMENTS, self._cluster.announcements, lambda _: self._statuses.touch()),
                Subscription(SERVICES, self._cluster.services, self._service_changed, load_balancers, direct=True),
                Subscription(SERVICE_ADDRESSES, self._cluster.records, self._record_changed, direct=True),
            ],
        )

    async def run(self, ready: asyncio.Event) -> None:
        """Act until cancelled. Sets `ready` when everything that was held has been taken over."""
        try:
            await self._feed.start()
            self.assignments.replace_pools(self._cluster.address_pools())
            services, orphans = self._reconciler.adopt()
            log.info(
                "took over %d addresses of %d Services from %d pools",
                len(self.assignments.ledger),
                len(services),
                len(self.assignments.book),
            )
            self.queue.mark_all(services)
            self.queue.mark_all(orphans)
            self._expiry.arm()
            ready.set()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._statuses.run())
                tasks.create_task(self._review())
                for _ in range(self._settings.writers):
                    tasks.create_task(self._work())
        finally:
            ready.clear()
            self.queue.close()
            for handle in self._strangers.values():
                handle.cancel()
            await self._feed.close()
            self._expiry.close()

    def silent(self) -> str:
        """What the API server has said nothing of for too long, or nothing."""
        return self._feed.silent()

    def stalled(self) -> str:
        """What nobody watches any more, or nothing."""
        return self._feed.stalled()

    def _busy(self) -> bool:
        """Whether more Services wait than are being written."""
        return len(self.queue) > self._settings.writers

    def _urgency(self, key: NamespacedName | IPAddress) -> tuple[int, str, NamespacedName]:
        """What frees addresses first, then the oldest Service; records that somebody else changed come last."""
        if not isinstance(key, NamespacedName):
            return (2, "", record_key(key))
        service = self._cluster.services.get(key)
        if service is None or not self._reconciler.owns(service):
            return (0, "", key)
        return (1, service.created, key)

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            started = time.monotonic()
            try:
                if isinstance(key, NamespacedName):
                    await self._reconciler.visit(key)
                else:
                    await self._reconciler.put_right(key)
            except (ApiError, ApiUnavailableError, AddressTakenError) as error:
                RETRIES.inc()
                delay = self.queue.retry(key)
                log.warning("%s: %s; again in %.2g s", key, error, delay)
            except Exception:
                # One Service that cannot be handled must not end the service of all others.
                RETRIES.inc()
                delay = self.queue.retry(key)
                log.exception("%s: unexpected failure; again in %.2g s", key, delay)
            else:
                self.queue.done(key)
            VISITS.observe(time.monotonic() - started)
            self._expiry.arm()
            self._statuses.touch()
            self._worked.set()

    async def _review(self) -> None:
        """Keep true what waiting Services are told: why they wait may change with every address that others get."""
        reviewed = self.assignments.given
        while True:
            await self._worked.wait()
            self._worked.clear()
            await asyncio.sleep(REVIEW_DELAY)
            if not len(self.queue) and self.assignments.given != reviewed:
                reviewed = self.assignments.given
                self.queue.mark_all(self.assignments.waiting())

    def _service_changed(self, change: Change[Service]) -> None:
        if change.after is not None:
            self._reconciler.seen(change.after)
        self.queue.mark(change.key)

    def _namespace_changed(self, change: Change[Any]) -> None:
        if change.before != change.after:
            self.queue.mark_all(self.assignments.waiting())

    def _pool_changed(self, change: Change[WithStatus[AddressPool]]) -> None:
        if change.before is None or change.after is None or change.before.spec != change.after.spec:
            moved = self.assignments.replace_pools(self._cluster.address_pools())
            self._expiry.act()
            self.queue.mark_all(moved)
            self.queue.mark_all(self.assignments.waiting())
        self._statuses.touch()

    def _record_changed(self, change: Change[ServiceAddress]) -> None:
        record = change.after or change.before
        if record is None:
            return
        self._statuses.touch()
        if change.after is not None:
            self.queue.mark_all(self.assignments.watch(change.after, time.time()))
        if not self._reconciler.differs(record.address):
            return
        if change.after is None:
            # A user frees what is only reserved by deleting its record.
            self.queue.mark_all(self.assignments.free(record.address))
        else:
            # Whoever wrote it, from now on the address counts as held; whether rightly is seen to later.
            self.assignments.respect(change.before, change.after)
        self._expiry.arm()
        if record.address not in self._strangers:
            loop = asyncio.get_running_loop()
            self._strangers[record.address] = loop.call_later(STRANGER_DELAY, self._put_right, record.address)

    def _ended(self, ended: Ended) -> None:
        # Whom an address helps first: it takes the record over, which else would go and come again.
        self.queue.mark_all(ended.helped)
        self.queue.mark_all(ended.changed)
        self._statuses.touch()

    def _put_right(self, address: IPAddress) -> None:
        del self._strangers[address]
        if self._reconciler.differs(address):
            log.warning("the record of %s is not what was assigned; putting it right", address)
            self._reconciler.overrule(address)
            self.queue.mark(address)
        self.queue.mark_all(holding.service for holding in self.assignments.ledger.holdings(address))
