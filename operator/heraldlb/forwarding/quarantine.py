"""Finding the Services that make nft refuse a plan, so that they alone go without."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from heraldlb.api.objects import NamespacedName
from heraldlb.forwarding.model import Plan

Check = Callable[[Plan], Awaitable[str | None]]
"""Why a plan is refused, or None where it is not."""


async def find_poisoned(plan: Plan, check: Check) -> dict[NamespacedName, str]:
    """The Services that are refused on their own, each with nft's words.

    Halves again and again, so n Services with p poisoned ones take about p * log2(n) checks, which weigh 2 * p full
    loads together. Finds none where the refusal has another cause.
    """
    poisoned: dict[NamespacedName, str] = {}

    async def search(ids: Sequence[NamespacedName]) -> None:
        refusal = await check(plan.only(ids))
        if refusal is None:
            return
        if len(ids) == 1:
            poisoned[ids[0]] = refusal
            return
        middle = len(ids) // 2
        await search(ids[:middle])
        await search(ids[middle:])

    ids = sorted(plan.services)
    if ids and await check(Plan(plan.frame)) is None:
        await search(ids)
    return poisoned
