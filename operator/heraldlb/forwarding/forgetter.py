"""Has the kernel forget where clients went whose backend has gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from heraldlb.api.objects import NamespacedName
from heraldlb.forwarding.forgetting import Ties, severed, ties, untrue
from heraldlb.forwarding.model import Plan
from heraldlb.forwarding.nft import NftError, Runner
from heraldlb.forwarding.nftmessages import UnreadableError
from heraldlb.forwarding.readback import Reader

log = logging.getLogger(__name__)


class Forgetter:
    """Told of each plan once its rules are in force, since until then clients would be led back."""

    def __init__(self, runner: Runner, reader: Reader) -> None:
        self._runner = runner
        self._reader = reader
        self._gone: Ties = frozenset()
        self._uncertain = False

    async def forget(self, old: Plan | None, new: Plan, touched: Iterable[NamespacedName]) -> None:
        """What `new` no longer allows. `old`: the plan before, of which only these Services differ; None: unknown.

        What cannot be done now is done the next time.
        """
        self._uncertain |= old is None
        if old is not None:
            self._gone |= severed(old, new, touched)
        if not self._uncertain and not self._gone:
            return
        allowed = await asyncio.to_thread(ties, new)
        try:
            learned = await self._reader.learned()
            if text := untrue(learned, allowed, None if self._uncertain else self._gone - allowed):
                await self._runner.apply(text)
        except (OSError, UnreadableError, NftError) as error:
            log.warning("some clients may be sent to a backend that has gone: %s", error)
            return
        self._gone, self._uncertain = frozenset(), False
