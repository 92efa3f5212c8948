"""Keeps the kernel's rules equal to the plan, and one bad Service from holding back the others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.forwarding import ruleset
from heraldlb.forwarding.model import Plan, ServicePlan
from heraldlb.forwarding.nft import NftError, NftFailure, Runner
from heraldlb.forwarding.quarantine import find_poisoned
from heraldlb.forwarding.ruleset import FamilyChain, Transaction


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A Service that is not forwarded because nft refuses its rules; tried again once it changes."""

    service: NamespacedName
    message: str
    reason: Reason = Reason.FORWARDING_FAILED


@dataclass(frozen=True, slots=True)
class Applied:
    """What one `apply` did."""

    full: bool
    """The tables were replaced, rather than changed."""
    elements: int
    """Map elements written; 0: the kernel had the plan already."""
    quarantined: tuple[Quarantined, ...] = ()
    """Every Service that is in quarantine now, also from before."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    plan: Plan
    chains: frozenset[FamilyChain]


class Forwarder:
    """Applies plans, one at a time (the caller does not overlap calls).

    The first one replaces whatever an earlier process left, in one transaction that no connection notices; after
    that only differences are sent. The rules stay when the process ends: `remove` is for uninstalling and `off`.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._loaded: _Loaded | None = None
        self._refused: dict[NamespacedName, tuple[ServicePlan, str]] = {}

    async def apply(self, plan: Plan) -> Applied:
        """Make the kernel forward as `plan` says.

        Raises NftError where nothing could be applied: the former rules are still in force, and the next call
        starts with a full load.
        """
        self._refused = {
            id_: refused for id_, refused in self._refused.items() if plan.services.get(id_) == refused[0]
        }
        # Until the outcome is known, also if the call is cancelled, nothing is assumed about the kernel's rules.
        loaded, self._loaded = self._loaded, None
        wanted = plan.replace(removed=self._refused) if self._refused else plan
        if loaded is not None and loaded.plan.frame == wanted.frame:
            try:
                return await self._change(loaded, wanted)
            except NftError as error:
                if error.failure is not NftFailure.REFUSED:
                    raise
        return await self._replace(wanted)

    async def remove(self) -> None:
        """Remove our tables, and with them every rule of ours. Raises NftError."""
        self._loaded = None
        await self._runner.apply(ruleset.removal())

    async def _change(self, loaded: _Loaded, plan: Plan) -> Applied:
        transaction = ruleset.diff(loaded.plan, plan, loaded.chains)
        if transaction is None:
            self._loaded = _Loaded(plan, loaded.chains)
            return Applied(full=False, elements=0, quarantined=self._quarantined())
        return await self._run(transaction, plan, full=False)

    async def _replace(self, plan: Plan) -> Applied:
        try:
            return await self._load(plan)
        except NftError as error:
            if error.failure is not NftFailure.REFUSED:
                raise
            poisoned = await find_poisoned(plan, self._refusal)
            if not poisoned:
                raise
        self._refused.update({id_: (plan.services[id_], message) for id_, message in poisoned.items()})
        rest = plan.replace(removed=poisoned)
        return await self._load(rest)

    async def _load(self, plan: Plan) -> Applied:
        return await self._run(await _render(plan), plan, full=True)

    async def _run(self, transaction: Transaction, plan: Plan, *, full: bool) -> Applied:
        await self._runner.apply(transaction.text)
        self._loaded = _Loaded(plan, transaction.chains)
        return Applied(full=full, elements=transaction.elements, quarantined=self._quarantined())

    async def _refusal(self, plan: Plan) -> str | None:
        try:
            await self._runner.check((await _render(plan)).text)
        except NftError as error:
            if error.failure is not NftFailure.REFUSED:
                raise
            return str(error)
        return None

    def _quarantined(self) -> tuple[Quarantined, ...]:
        return tuple(
            Quarantined(id_, f"Not forwarded until the Service changes, since nft refuses its rules: {message}")
            for id_, (_, message) in sorted(self._refused.items(), key=lambda entry: entry[0])
        )


async def _render(plan: Plan) -> Transaction:
    """The full load, in a thread: for 10,000 Services it takes 0.2 s, and ARP in this process must not wait."""
    return await asyncio.to_thread(ruleset.full, plan)
