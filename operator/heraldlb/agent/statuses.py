"""Telling users who announces what: ServiceAddress status, and Events on the Services that hold the address."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from heraldlb.agent.announceable import holders
from heraldlb.agent.cluster import Cluster
from heraldlb.agent.journal import Journal
from heraldlb.agent.refusals import refusal
from heraldlb.agent.rulebook import Rulebook
from heraldlb.api.conditions import Condition, merge
from heraldlb.api.ranges import IPAddress
from heraldlb.api.reasons import Reason
from heraldlb.api.serviceaddress import CONFLICT_CONDITION, ServiceAddress, object_name
from heraldlb.api.times import written
from heraldlb.kube import timestamps
from heraldlb.kube.client import SERVICE_ADDRESSES, Api, ApiError, ApiUnavailableError
from heraldlb.kube.recorder import Happening, Recorder, Subject
from heraldlb.kube.workqueue import WorkQueue
from heraldlb.speaker.changes import (
    AddressChange,
    Announcing,
    ClientsShared,
    Conflict,
    ConflictOver,
    NotEligible,
    NotEligibleOver,
    Withdrawn,
)

log = logging.getLogger(__name__)

WRITERS = 4
"""Statuses written at the same time by one agent."""

SETTLE_DELAY = 2.0
"""Seconds for which nobody must be eligible before users are told. A new Service has no endpoints for a moment, and
while nodes start each knows a little less than all."""

CONTEST_DELAY = 1.0
"""Seconds before a status that contradicts this node is written over. Two nodes that both announce and cannot hear
each other would otherwise do nothing else."""


State = Announcing | Withdrawn | NotEligible | Conflict
"""What was reported of an address last; a conflict, where it keeps the address from being announced."""


class AnnouncementStatuses:
    """Writes the latest state of each address that concerns this node, however long the API server was away."""

    def __init__(self, api: Api, cluster: Cluster, recorder: Recorder, rulebook: Rulebook, node_name: str) -> None:
        self._api = api
        self._cluster = cluster
        self._recorder = recorder
        self._rulebook = rulebook
        self._node_name = node_name
        self._states: dict[IPAddress, State] = {}
        self._conflicts: dict[IPAddress, Conflict] = {}
        self._sharers: dict[IPAddress, tuple[str, ...]] = {}
        self._unsettled: dict[IPAddress, asyncio.TimerHandle] = {}
        self._queue: WorkQueue[IPAddress] = WorkQueue()
        self.journal = Journal()

    def take(self, change: AddressChange) -> None:
        """A change that the speaker reported. To be called in the event loop."""
        match change:
            case Conflict():
                self._conflicts[change.address] = change
                self._tell(change.address, Reason.ADDRESS_CONFLICT, _conflict_message(change), warning=True)
                if not change.announced:
                    self._unsettle(change.address)
                    self._states[change.address] = change
            case ConflictOver():
                self._conflicts.pop(change.address, None)
                if isinstance(self._states.get(change.address), Conflict):
                    del self._states[change.address]
            case ClientsShared():
                self._sharers[change.address] = change.nodes
            case NotEligible():
                self._settle_in(change)
                return
            case NotEligibleOver():
                self._unsettle(change.address)
                if isinstance(self._states.get(change.address), NotEligible):
                    del self._states[change.address]
            case _:
                self._unsettle(change.address)
                self._states[change.address] = change
                if isinstance(change, Withdrawn):
                    self._sharers.pop(change.address, None)
        if isinstance(change, Announcing):
            self.journal.announced(change.address, change.interface)
        elif isinstance(change, Withdrawn):
            self.journal.withdrawn(change.address, change.new_owner)
        self._queue.mark(change.address)

    def reconsider(self, addresses: Iterable[IPAddress]) -> None:
        """What keeps nodes from announcing these may have changed, though still none can."""
        for address in addresses:
            if isinstance(self._states.get(address), NotEligible):
                self._queue.mark(address)

    def reconsider_all(self) -> None:
        """As `reconsider`, of every address."""
        self.reconsider(tuple(self._states))

    def _settle_in(self, change: NotEligible) -> None:
        """Believe that nobody is eligible once it has been so for a while."""
        self._unsettle(change.address)
        loop = asyncio.get_running_loop()
        self._unsettled[change.address] = loop.call_later(SETTLE_DELAY, self._settled, change)

    def _settled(self, change: NotEligible) -> None:
        del self._unsettled[change.address]
        self._states[change.address] = change
        self._queue.mark(change.address)

    def _unsettle(self, address: IPAddress) -> None:
        if (handle := self._unsettled.pop(address, None)) is not None:
            handle.cancel()

    def record_changed(self, before: ServiceAddress | None, after: ServiceAddress) -> None:
        """A record was written, perhaps by a node that knew less than this one: put right what it says of us."""
        if self._status(after, self._states.get(after.address)) is None:
            return
        if before is None:
            self._queue.mark(after.address)
        else:
            asyncio.get_running_loop().call_later(CONTEST_DELAY, self._queue.mark, after.address)

    async def run(self) -> None:
        """Write, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WRITERS):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            address = await self._queue.take()
            try:
                await self._write(address)
            except (ApiError, ApiUnavailableError) as error:
                log.debug("status of %s not written yet: %s", address, error)
                self._queue.retry(address)
            except Exception:
                log.exception("status of %s not written", address)
                self._queue.retry(address)
            else:
                self._queue.done(address)

    async def _write(self, address: IPAddress) -> None:
        name = object_name(address)
        record = self._cluster.record(address)
        state = self._states.get(address)
        if record is None:
            # Gone, or not seen yet; if it appears, it is marked again.
            return
        status = self._status(record, state)
        if status is None:
            return
        # A precondition: what comes back must hold nothing of others, which would be no news when watched.
        patch = {"metadata": {"resourceVersion": record.resource_version}, "status": status}
        try:
            body = await self._api.patch(SERVICE_ADDRESSES, name, patch, subresource="status")
        except ApiError as error:
            if not error.not_found:
                raise
            return
        self._cluster.records.observe("MODIFIED", body)
        if isinstance(state, Announcing) and record.node != self._node_name:
            reason = Reason.HANDED_OVER if record.node else Reason.ANNOUNCING
            came = self._predecessor(record.node)
            self._tell(address, reason, f"{address} is announced by {self._node_name} on {state.interface}{came}")
        elif isinstance(state, NotEligible):
            [announced] = [each for each in status["conditions"] if each["type"] == "Announced"]
            self._tell(address, Reason.NO_ELIGIBLE_NODE, f"{address}: {announced['message']}", warning=True)

    def _status(self, record: ServiceAddress, state: State | None) -> dict[str, Any] | None:
        """The status to write, or None where it is right already or for another node to write."""
        fields: dict[str, Any] = dict.fromkeys(("node", "interface", "macAddress", "since"))
        stranger = record.stranger
        match state:
            case Announcing():
                fields |= {
                    "node": self._node_name,
                    "interface": state.interface,
                    "macAddress": state.mac,
                    "since": written(state.since),
                    "conflict": None,
                }
                if not record.first_announced:
                    fields["firstAnnounced"] = written(state.since)
                stranger = ""
                message = f"{self._node_name} answers on {state.interface} with {state.mac}"
                if sharers := self._sharers.get(record.address):
                    message += f"; {len(sharers)} nodes share its clients: {', '.join(sharers)}"
                conditions = [Condition("Announced", True, Reason.ANNOUNCING, message)]
                if (conflict := self._conflicts.get(record.address)) is not None:
                    fields["conflict"] = _stranger(conflict)
                    stranger = conflict.mac
                    message = _conflict_message(conflict)
                    conditions.append(Condition("Conflict", True, Reason.ADDRESS_CONFLICT, message))
                elif any(entry.get("type") == CONFLICT_CONDITION for entry in record.conditions):
                    message = "no other host claims it"
                    conditions.append(Condition("Conflict", False, Reason.ANNOUNCING, message))
            case Conflict():
                fields["conflict"] = _stranger(state)
                stranger = state.mac
                message = _conflict_message(state)
                conditions = [
                    Condition("Announced", False, Reason.ADDRESS_CONFLICT, message),
                    Condition("Conflict", True, Reason.ADDRESS_CONFLICT, message),
                ]
            case NotEligible() if self._speaks_for_all():
                if (why := self._refusal(record, state)) is None:
                    return None
                conditions = [Condition("Announced", False, Reason.NO_ELIGIBLE_NODE, why)]
            case Withdrawn(new_owner=None) if record.node == self._node_name:
                if holders(self._cluster, record):
                    message = f"{self._node_name} stopped, and no other node has taken over yet"
                else:
                    # What was seen of a stranger stays: nobody looks any more. The next holder is probed for anew.
                    fields["firstAnnounced"] = None
                    message = "no Service holds it any more"
                conditions = [Condition("Announced", False, Reason.NO_ELIGIBLE_NODE, message)]
            case _:
                return None
        merged = merge(record.conditions, conditions, timestamps.now())
        same = (record.node, record.interface, record.mac_address, record.stranger) == (
            fields["node"] or "",
            fields["interface"] or "",
            fields["macAddress"] or "",
            stranger,
        )
        if same and merged == list(record.conditions):
            return None
        return {**fields, "conditions": merged}

    def _speaks_for_all(self) -> bool:
        """Every node finds out alike; one tells: the first that lives."""
        return self._node_name == min({self._node_name, *self._cluster.alive})

    def _refusal(self, record: ServiceAddress, state: NotEligible) -> str | None:
        silent = state.reasons.keys() - self._cluster.alive - {self._node_name}
        return refusal(self._cluster, record, self._rulebook.rules(), state.reasons, silent)

    def _predecessor(self, node: str) -> str:
        if not node:
            return ""
        lost = ", whose agent is not heard any more" if node in self._cluster.lost else ""
        return f", taken over from {node}{lost}"

    def _tell(self, address: IPAddress, reason: Reason, note: str, *, warning: bool = False) -> None:
        if warning:
            log.warning("%s", note, extra={"reason": reason.value})
        record = self._cluster.record(address)
        for service in holders(self._cluster, record) if record is not None else ():
            subject = Subject("v1", "Service", service.id, service.uid)
            self._recorder.record(Happening(subject, reason, note, "Announce", warning))


def _stranger(conflict: Conflict) -> dict[str, str]:
    return {"macAddress": conflict.mac, "interface": conflict.interface}


def _conflict_message(conflict: Conflict) -> str:
    who = f"{conflict.mac} on {conflict.interface}"
    what = (
        f"{who} claims {conflict.address}, too"
        if conflict.announced
        else f"{conflict.address} is not announced, since {who} has it already"
    )
    return f"{what}: take the address off that host, or out of the pool (spec.excluded)"
