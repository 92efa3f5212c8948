"""Making the ServiceAddress objects say what the ledger says, one address at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import ServiceAddress, manifest, record_key, spec_body
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.cluster import Cluster
from heraldlb.kube.client import SERVICE_ADDRESSES, Api, ApiError
from heraldlb.kube.mirror import Change

Named = str | NamespacedName
"""A holder by its uid, or one for whom the address is reserved by its name."""

ATTEMPTS = 4
"""Tries at one address when its record keeps changing under us."""


class AddressTakenError(Exception):
    """The API server holds a record of the address that the ledger knew nothing of."""

    def __init__(self, record: ServiceAddress) -> None:
        named = [*(holder.service for holder in record.holders), *(kept.service for kept in record.reservations)]
        super().__init__(f"{record.address} is already recorded for {named[0]}")
        self.record = record


class Records:
    """Writes ServiceAddress objects. The object's name makes the API server the judge of who came first."""

    def __init__(
        self,
        api: Api,
        cluster: Cluster,
        assignments: Assignments,
        changed: Callable[[Change[ServiceAddress]], None],
    ) -> None:
        """`changed` is told of what others are found to have written, which the watch then brings as no news."""
        self._api = api
        self._cluster = cluster
        self._assignments = assignments
        self._changed = changed
        self._known: dict[IPAddress, frozenset[Named]] = {}
        # A lock lives for as long as someone holds or awaits it.
        self._locks: WeakValueDictionary[IPAddress, asyncio.Lock] = WeakValueDictionary()

    def differs(self, address: IPAddress) -> bool:
        """Whether the record is not what the ledger says."""
        return not _same(self._cluster.record(address), self._assignments.record_of(address))

    def acknowledge(self, address: IPAddress) -> None:
        """Whoever the record of the address names now is known, and may be written over."""
        record = self._cluster.record(address)
        if record is None:
            self._known.pop(address, None)
        else:
            self._known[address] = _named(record)

    def let_go(self, address: IPAddress, uid: str) -> None:
        """The Service may be taken out of the record, whoever entered it there."""
        self._known[address] = self._known.get(address, frozenset()) | {uid}

    async def write(self, address: IPAddress) -> None:
        """Create, change or delete the record so that it says what the ledger says.

        Raises AddressTakenError where it names a Service that neither the ledger nor we put there: another replica
        was faster. ApiError, ApiUnavailableError.
        """
        lock = self._locks.setdefault(address, asyncio.Lock())
        async with lock:
            for _ in range(ATTEMPTS):
                present, wanted = self._cluster.record(address), self._assignments.record_of(address)
                if _same(present, wanted):
                    return
                if present is not None and self._has_strangers(present):
                    raise AddressTakenError(present)
                try:
                    await self._write(address, present, wanted)
                except ApiError as error:
                    if not (error.already_exists or error.conflict or error.not_found):
                        raise
                    await self._reread(address)
                else:
                    self.acknowledge(address)
                    return
            raise ApiError(409, "Conflict", f"the record of {address} keeps changing")

    def _has_strangers(self, present: ServiceAddress) -> bool:
        ours = self._assignments.record_of(present.address)
        known = self._known.get(present.address, frozenset()) | (_named(ours) if ours else frozenset())
        return not _named(present) <= known

    async def _write(
        self, address: IPAddress, present: ServiceAddress | None, wanted: ServiceAddress | None
    ) -> None:
        records = self._cluster.records
        if wanted is None and present is not None:
            version = present.resource_version
            await self._api.delete(
                SERVICE_ADDRESSES, present.name, {"uid": present.uid, "resourceVersion": version}
            )
            records.forget(record_key(address), int(version or 0))
        elif wanted is not None and present is None:
            records.observe("ADDED", await self._api.create(SERVICE_ADDRESSES, manifest(wanted)))
        elif wanted is not None and present is not None:
            metadata = {"uid": present.uid, "resourceVersion": present.resource_version}
            spec = {"sharingKey": None, "reservations": None, **spec_body(wanted)}
            patch = {"metadata": metadata, "spec": spec}
            records.observe("MODIFIED", await self._api.patch(SERVICE_ADDRESSES, wanted.name, patch))

    async def _reread(self, address: IPAddress) -> None:
        records, key = self._cluster.records, record_key(address)
        try:
            raw = await self._api.get(SERVICE_ADDRESSES, key.name)
        except ApiError as error:
            if not error.not_found:
                raise
            change = records.forget(key, records.version(key))
        else:
            change = records.observe("MODIFIED", raw)
        if change is not None:
            self._changed(change)


def _named(record: ServiceAddress) -> frozenset[Named]:
    return frozenset(holder.uid for holder in record.holders) | {kept.service for kept in record.reservations}


def _same(present: ServiceAddress | None, wanted: ServiceAddress | None) -> bool:
    if present is None or wanted is None:
        return present is wanted
    return spec_body(present) == spec_body(wanted)
