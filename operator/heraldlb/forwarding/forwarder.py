"""Keeps the kernel's rules equal to the plan, and one bad Service from holding back the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.forwarding import ruleset
from heraldlb.forwarding.actual import Tables
from heraldlb.forwarding.chunks import walk
from heraldlb.forwarding.forgetter import Forgetter
from heraldlb.forwarding.mending import Repair, chains_in_use, deletion, repair
from heraldlb.forwarding.model import Plan, ServicePlan
from heraldlb.forwarding.nft import NftError, NftFailure, Runner
from heraldlb.forwarding.nftmessages import UnreadableError
from heraldlb.forwarding.quarantine import find_poisoned
from heraldlb.forwarding.readback import Reader
from heraldlb.forwarding.ruleset import FamilyChain, differing

log = logging.getLogger(__name__)

CHUNK = 5_000
"""Elements in one transaction, so that nobody else who changes rules waits long for the kernel's one lock."""

SPARE_CHAINS = 64
"""Chains that may be out of use before they are looked for and deleted."""


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A Service that is not forwarded as it should be, because it cannot be; tried again once it changes."""

    service: NamespacedName
    message: str
    reason: Reason = Reason.FORWARDING_FAILED


@dataclass(frozen=True, slots=True)
class Applied:
    """What one `apply` did."""

    full: bool
    """The tables were made or replaced, rather than changed."""
    elements: int
    """Map elements written; 0: the kernel had the plan already."""
    transactions: int
    quarantined: tuple[Quarantined, ...] = ()
    """Every Service that is in quarantine now, also from before."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the kernel is known to have."""

    plan: Plan
    chains: frozenset[FamilyChain]
    spare: int
    """So many chains are cause to look which of them are out of use."""


@dataclass(frozen=True, slots=True)
class _Refused:
    """A Service as nft refuses it."""

    service: ServicePlan
    former: ServicePlan | None
    """As the kernel had it when it was refused, and keeps it."""
    message: str


@dataclass(slots=True)
class _Tally:
    full: bool = False
    elements: int = 0
    transactions: int = 0


class _RefusedError(Exception):
    """Rules that are about these Services cannot be written, or nft refused them; nothing of them was applied."""

    def __init__(self, services: Collection[NamespacedName], error: NftError) -> None:
        super().__init__(str(error))
        self.services = services
        self.error = error


class Forwarder:
    """Applies plans, one at a time (the caller does not overlap calls).

    What the kernel has is read when that is not known: at the first call, after `doubt`, and after a failure. Rules
    of an earlier process that say the same stay untouched, and so does what they have learned; tables of another
    version or with other settings are replaced in one transaction. After that only differences are sent. The rules
    stay when the process ends: `remove` is for uninstalling and `off`.
    """

    def __init__(self, runner: Runner, reader: Reader, *, chunk: int = CHUNK) -> None:
        """`chunk`: about so many elements go into one transaction."""
        self._runner = runner
        self._reader = reader
        self._chunk = chunk
        self._forgetter = Forgetter(runner, reader)
        self._loaded: _Loaded | None = None
        self._touched: set[NamespacedName] | None = set()
        self._refused: dict[NamespacedName, _Refused] = {}

    async def apply(self, plan: Plan, touched: Iterable[NamespacedName] | None = None) -> Applied:
        """Make the kernel forward as `plan` says.

        `touched`: only these Services may differ from the plan of the call before; None: any may.
        Raises NftError where not everything could be applied: former rules are still in force for what is missing,
        and the next call goes on from there.
        """
        self._touch(touched)
        self._release(plan)
        tally, mendable = _Tally(), True
        before = self._loaded
        while True:
            known = self._loaded is not None
            try:
                await self._reach(self._acceptable(plan), tally, mendable=mendable)
            except _RefusedError as refused:
                if refused.__cause__ is not None:
                    log.exception("rules could not be written", exc_info=refused.__cause__)
                if await self._quarantine(plan, refused.services):
                    continue
                if not known and not mendable:
                    raise refused.error from None
                # The kernel has not what it was believed to have; or has what cannot be mended.
                mendable = known
                self._loaded = None
            else:
                await self._forget(before.plan if before is not None else None, plan)
                self._touched = set()
                return Applied(tally.full, tally.elements, tally.transactions, self._quarantined())

    async def _forget(self, before: Plan | None, plan: Plan) -> None:
        after = self._acceptable(plan)
        touched = self._touched
        if touched is None:
            touched = set(differing(before, after)) if before is not None else set()
        await self._forgetter.forget(before, after, touched)

    def doubt(self) -> None:
        """Somebody else may have changed our tables: the next call reads them first."""
        self._loaded = None

    async def remove(self) -> None:
        """Remove our tables, and with them every rule of ours. Raises NftError."""
        self._loaded = None
        await self._runner.apply(ruleset.removal())

    def _touch(self, services: Iterable[NamespacedName] | None) -> None:
        if services is None or self._touched is None:
            self._touched = None
        else:
            self._touched.update(services)

    def _release(self, plan: Plan) -> None:
        released = [id_ for id_, refused in self._refused.items() if plan.services.get(id_) != refused.service]
        for id_ in released:
            del self._refused[id_]
        self._touch(released)

    def _acceptable(self, plan: Plan) -> Plan:
        """The plan with the Services that nft refuses as they were before, or without them."""
        if not self._refused:
            return plan
        formers = [refused.former for refused in self._refused.values() if refused.former is not None]
        return plan.replace(formers, removed=self._refused)

    async def _reach(self, plan: Plan, tally: _Tally, *, mendable: bool) -> None:
        """Raises _RefusedError, or NftError of another kind, which leaves it unknown what the kernel has."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None and loaded.plan.frame == plan.frame:
            await self._advance(loaded, plan, self._touched, tally)
            return
        tables = await self._read()
        if tables is not None and not tables:
            await self._run(ruleset.frame(plan).text, (), tally)
            tally.full = True
            await self._advance(_Loaded(Plan(plan.frame), frozenset(), SPARE_CHAINS), plan, None, tally)
            return
        found = None
        if tables and mendable:
            with _rendering(plan.services):
                found = await asyncio.to_thread(repair, tables, plan, self._chunk)
        if found is None:
            await self._replace(plan, tables or {}, tally)
        else:
            await self._mend(found, plan, tally)

    async def _advance(
        self, loaded: _Loaded, plan: Plan, touched: Collection[NamespacedName] | None, tally: _Tally
    ) -> None:
        """From what is loaded to `plan`, some Services at a time."""
        ids = tuple(differing(loaded.plan, plan) if touched is None else touched)
        for step, some in walk(loaded.plan, plan, ids, self._chunk):
            try:
                with _rendering(some):
                    change = ruleset.diff(loaded.plan, step, loaded.chains, some)
                if change is not None:
                    await self._run(change.text, some, tally, change.elements)
            except _RefusedError:
                self._loaded = loaded
                raise
            loaded = replace(loaded, plan=step, chains=loaded.chains if change is None else change.chains)
        self._loaded = replace(loaded, plan=plan)
        if len(loaded.chains) > loaded.spare:
            await self._sweep(self._loaded)

    async def _mend(self, found: Repair, plan: Plan, tally: _Tally) -> None:
        for part in found.parts:
            services = {id_ for frontend in part.frontends for id_ in plan.claims[frontend]}
            await self._run(part.text, services, tally, part.elements)
        if found.sweep:
            await self._delete(found.sweep)
        self._loaded = _Loaded(plan, found.chains, len(found.chains) + SPARE_CHAINS)

    async def _replace(self, plan: Plan, tables: Tables, tally: _Tally) -> None:
        """All at once, so that no packet meets the tables without its Service."""
        learned = {family: table.learned for family, table in tables.items() if table.learned}
        with _rendering(plan.services):
            whole = await asyncio.to_thread(ruleset.full, plan, learned)
        try:
            await self._run(whole.text, plan.services.keys(), tally, whole.elements)
        except _RefusedError as refused:
            whole = await asyncio.to_thread(ruleset.full, plan)
            if not learned or await self._refusal(whole.text) is not None:
                raise
            log.warning("what rules had learned cannot be kept: %s", refused)
            await self._run(whole.text, plan.services.keys(), tally, whole.elements)
        tally.full = True
        self._loaded = _Loaded(plan, whole.chains, len(whole.chains) + SPARE_CHAINS)

    async def _sweep(self, loaded: _Loaded) -> None:
        used = await asyncio.to_thread(chains_in_use, loaded.plan)
        await self._delete(deletion(sorted(loaded.chains - used)))
        self._loaded = _Loaded(loaded.plan, used, len(used) + SPARE_CHAINS)

    async def _delete(self, text: str) -> None:
        try:
            await self._runner.apply(text)
        except NftError as error:
            if error.failure is not NftFailure.REFUSED:
                raise
            log.debug("chains out of use stay for now: %s", error)

    async def _read(self) -> Tables | None:
        try:
            return await self._reader.read()
        except (OSError, UnreadableError) as error:
            log.warning("our tables could not be read and are made anew: %s", error)
            return None

    async def _run(self, text: str, services: Collection[NamespacedName], tally: _Tally, elements: int = 0) -> None:
        try:
            await self._runner.apply(text)
        except NftError as error:
            if error.failure is NftFailure.REFUSED:
                raise _RefusedError(services, error) from None
            raise
        tally.elements += elements
        tally.transactions += 1

    async def _quarantine(self, plan: Plan, suspects: Collection[NamespacedName]) -> bool:
        """Whether any of these Services is refused by itself; it is left as it was from now on."""
        acceptable = self._acceptable(plan)

        async def check(ids: Collection[NamespacedName]) -> str | None:
            try:
                with _rendering(ids):
                    whole = await asyncio.to_thread(ruleset.full, acceptable.only(ids))
            except _RefusedError as refused:
                return str(refused)
            return await self._refusal(whole.text)

        poisoned = await find_poisoned(sorted(id_ for id_ in suspects if id_ in acceptable.services), check)
        for id_, message in poisoned.items():
            if id_ in self._refused:
                # Nor is its former shape accepted any more.
                self._refused[id_] = replace(self._refused[id_], former=None)
            else:
                former = self._loaded.plan.services.get(id_) if self._loaded is not None else None
                self._refused[id_] = _Refused(plan.services[id_], former, message)
        self._touch(poisoned)
        return bool(poisoned)

    async def _refusal(self, text: str) -> str | None:
        try:
            await self._runner.check(text)
        except NftError as error:
            if error.failure is not NftFailure.REFUSED:
                raise
            return f"nft refuses its rules: {error}"
        return None

    def _quarantined(self) -> tuple[Quarantined, ...]:
        return tuple(
            Quarantined(
                id_,
                f"{'Forwarded as before its last change' if refused.former else 'Not forwarded'} until the Service "
                f"changes: {refused.message}",
            )
            for id_, refused in sorted(self._refused.items(), key=lambda entry: entry[0])
        )


@contextmanager
def _rendering(services: Collection[NamespacedName]) -> Iterator[None]:
    """Whatever fails at writing rules is about one of these Services, and the others must not wait for it."""
    try:
        yield
    except Exception as error:
        message = f"Herald fails at its rules, which is an error of Herald's: {type(error).__name__}: {error}"
        raise _RefusedError(services, NftError(NftFailure.REFUSED, message)) from error
