"""One visit to one Service: decide, record, tell, let go; in this order.

The record (ServiceAddress) exists before the Service shows the address, and the Service has stopped showing an
address before its record goes. So at no moment does a Service show an address that is not recorded for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from heraldlb.allocation.requests import Request
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.reasons import Reason
from heraldlb.api.serviceaddress import ServiceAddress
from heraldlb.api.services import Service, parse_service
from heraldlb.controller.adoption import adopt, owned, request_in
from heraldlb.controller.assignments import Assignments, Decision
from heraldlb.controller.cluster import Cluster
from heraldlb.controller.metrics import DECISIONS, DURATIONS
from heraldlb.controller.records import AddressTakenError, Records
from heraldlb.controller.service_status import StatusPatch, assigned, released
from heraldlb.controller.settings import ControllerSettings
from heraldlb.kube import timestamps
from heraldlb.kube.client import SERVICES, STRATEGIC_MERGE_PATCH, Api, ApiError
from heraldlb.kube.mirror import Change
from heraldlb.kube.recorder import Happening, Recorder, Subject

log = logging.getLogger(__name__)


class Reconciler:
    """Visits Services. The caller never visits one Service twice at the same time."""

    def __init__(
        self,
        api: Api,
        cluster: Cluster,
        assignments: Assignments,
        recorder: Recorder,
        settings: ControllerSettings,
        *,
        revisit: Callable[[Iterable[NamespacedName]], None],
        record_changed: Callable[[Change[ServiceAddress]], None],
    ) -> None:
        self._api = api
        self._cluster = cluster
        self._assignments = assignments
        self._records = Records(api, cluster, assignments, record_changed)
        self._recorder = recorder
        self._settings = settings
        self._revisit = revisit
        self._told: set[NamespacedName] = set()
        self._asked: dict[NamespacedName, float] = {}

    def owns(self, service: Service) -> bool:
        """Whether the Service is one to give an address to."""
        return owned(service, self._settings)

    def request(self, service: Service) -> Request:
        """What the Service asks for, in its namespace as it is now."""
        return request_in(self._cluster, service, self._settings)

    def seen(self, service: Service) -> None:
        """A Service was made or changed: from now on it may be asking."""
        if self.owns(service) and not service.ingress:
            self._asked.setdefault(service.id, time.monotonic())

    def adopt(self) -> tuple[list[NamespacedName], list[IPAddress]]:
        """Enter everything that is held already, as `adoption.adopt`."""
        for record in self._cluster.records.values():
            self._records.acknowledge(record.address)
        return adopt(self._assignments, self._cluster, self._settings, time.time())

    def differs(self, address: IPAddress) -> bool:
        """Whether the record of an address is not what was assigned."""
        return self._records.differs(address)

    def overrule(self, address: IPAddress) -> None:
        """The record of an address may be put right, whoever wrote it."""
        self._records.acknowledge(address)

    async def put_right(self, address: IPAddress) -> None:
        """Make the record of an address say what the ledger says. Raises as `Records.write`."""
        await self._records.write(address)

    async def visit(self, key: NamespacedName) -> None:
        """Bring one Service to where it should be. Raises ApiError, ApiUnavailableError: visit again then."""
        service = self._cluster.services.get(key)
        if service is None or not self.owns(service):
            await self._let_go(key, service)
            return
        await self._leave_former(key, service.uid)
        request = self.request(service)
        self._recognise(service, request)
        decision = self._assignments.decide(request)
        self._revisit(decision.helped)
        await self._fulfil(service, decision)

    async def _fulfil(self, service: Service, decision: Decision) -> None:
        if not await self._record(service, decision):
            self._revisit([service.id])
            return
        self._told.add(service.id)
        patch = assigned(service, decision.outcome, timestamps.now())
        if patch is not None:
            if not await self._write_status(service, patch):
                return
            if patch.news:
                outcome = decision.outcome
                self._tell(service, outcome.reason, outcome.message, good=outcome.satisfied)
            asked = self._asked.pop(service.id, None) if decision.outcome.satisfied else None
            if asked is not None:
                DURATIONS.observe(time.monotonic() - asked)
        await self._leave(service.uid, decision.leaving, moved=True)

    async def _record(self, service: Service, decision: Decision) -> bool:
        """Record every grant; whether all could be, or someone else was faster somewhere."""
        writes = (self._records.write(grant.address) for grant in decision.outcome.grants)
        outcomes = await asyncio.gather(*writes, return_exceptions=True)
        taken = [outcome for outcome in outcomes if isinstance(outcome, AddressTakenError)]
        for each in taken:
            log.warning("%s: %s; deciding again", service.id, each)
            self._assignments.yield_to(each.record, service.uid)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, AddressTakenError):
                raise outcome
        return not taken

    async def _let_go(self, key: NamespacedName, service: Service | None) -> None:
        """The Service is gone, or none of ours: what it holds becomes free, once it shows it no more."""
        uids = self._assignments.ledger.uids(key)
        self._assignments.forget(key)
        self._asked.pop(key, None)
        if not uids and key not in self._told:
            return
        if service is None:
            service = await self._live(key)
        held = tuple(address for uid in uids for address in self._assignments.ledger.held_by(uid))
        if service is not None:
            if self.owns(service):
                # It came back between the two looks: the mirror will have it in a moment.
                self._revisit([key])
                return
            patch = released(service, held)
            if patch is not None and not await self._write_status(service, patch):
                return
            if held:
                note = f"{_listed(held)} released: the Service is no LoadBalancer of ours any more"
                self._tell(service, Reason.ADDRESS_RELEASED, note, good=True)
        elif held:
            _log(key, Reason.ADDRESS_RELEASED, f"{_listed(held)} released: the Service is gone")
        self._told.discard(key)
        for uid in uids:
            await self._leave(uid, self._assignments.ledger.held_by(uid))

    async def _leave_former(self, key: NamespacedName, uid: str) -> None:
        """Free what an earlier Service of this name held: it was deleted and made again between two looks."""
        for former in self._assignments.ledger.uids(key):
            if former != uid:
                await self._leave(former, self._assignments.ledger.held_by(former))

    async def _leave(self, uid: str, addresses: Iterable[IPAddress], *, moved: bool = False) -> None:
        addresses = tuple(addresses)
        for address in addresses:
            self._records.let_go(address, uid)
        # Before the writes: while they last, a younger Service could be faster than the oldest that waits.
        self._revisit(self._assignments.leave(uid, addresses, time.time(), moved=moved))
        for address in addresses:
            await self._records.write(address)

    def _recognise(self, service: Service, request: Request) -> None:
        """Enter what record and status agree that the Service holds, as when another replica has given it."""
        for address in service.ingress:
            record = self._cluster.record(address)
            if record is None or self._assignments.ledger.holding(address, service.uid) is not None:
                continue
            if any(holder.uid == service.uid for holder in record.holders):
                self._assignments.adopt(request, address, record.pool)

    async def _live(self, key: NamespacedName) -> Service | None:
        try:
            return parse_service(await self._api.get(SERVICES, key.name, key.namespace))
        except ApiError as error:
            if error.not_found:
                return None
            raise

    async def _write_status(self, service: Service, patch: StatusPatch) -> bool:
        """Whether the status was written; if not, the Service has changed and is visited again."""
        try:
            body = await self._api.patch(
                SERVICES,
                service.id.name,
                patch.body,
                namespace=service.id.namespace,
                subresource="status",
                kind=STRATEGIC_MERGE_PATCH,
            )
        except ApiError as error:
            if error.not_found or error.conflict:
                await self._reread(service.id)
                self._revisit([service.id])
                return False
            raise
        if self._cluster.services.get(service.id) is not None:
            self._cluster.services.observe("MODIFIED", body)
        return True

    async def _reread(self, key: NamespacedName) -> None:
        try:
            raw = await self._api.get(SERVICES, key.name, key.namespace)
        except ApiError as error:
            if not error.not_found:
                raise
        else:
            if self._cluster.services.get(key) is not None:
                self._cluster.services.observe("MODIFIED", raw)

    def _tell(self, service: Service, reason: Reason, message: str, *, good: bool) -> None:
        DECISIONS.labels(reason.value).inc()
        _log(service.id, reason, message)
        subject = Subject("v1", "Service", service.id, service.uid)
        self._recorder.record(Happening(subject, reason, message, "AssignAddress", warning=not good))


def _log(service: NamespacedName, reason: Reason, message: str) -> None:
    log.info("%s: %s: %s", service, reason, message, extra={"service": str(service), "reason": reason.value})


def _listed(addresses: Iterable[IPAddress]) -> str:
    return ", ".join(map(str, addresses))
