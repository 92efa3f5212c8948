"""Finding the Services that make nft refuse a transaction, so that they alone go without."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from heraldlb.api.objects import NamespacedName

Check = Callable[[Sequence[NamespacedName]], Awaitable[str | None]]
"""Why these Services together are refused, or None where they are not."""


async def find_poisoned(suspects: Sequence[NamespacedName], check: Check) -> dict[NamespacedName, str]:
    """The Services that are refused on their own, each with nft's words.

    Halves again and again, so n Services with p poisoned ones take about p * log2(n) checks, which weigh 2 * p
    times all of them together. Finds none where the refusal has another cause.
    """
    poisoned: dict[NamespacedName, str] = {}

    async def search(ids: Sequence[NamespacedName]) -> None:
        refusal = await check(ids)
        if refusal is None:
            return
        if len(ids) == 1:
            poisoned[ids[0]] = refusal
            return
        middle = len(ids) // 2
        await search(ids[:middle])
        await search(ids[middle:])

    if suspects and await check(()) is None:
        await search(suspects)
    return poisoned
