"""Keeps the kernel answering ping for the addresses that are announced, or for none where that is switched off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Set as AbstractSet

from heraldlb.api.ranges import IPAddress
from heraldlb.forwarding import ping
from heraldlb.forwarding.nft import NftError, Runner

log = logging.getLogger(__name__)

SETTLE = 0.1
"""Seconds for which changes are gathered before they are applied: ping is for people."""

RETRY = 30.0
"""Seconds before what could not be applied is tried again."""


class PingRole:
    """All addresses of the cluster are answered for on every node, so that nothing changes at a failover: what is
    not announced here does not arrive here, but from this node's own pods."""

    def __init__(self, runner: Runner, *, answer: bool) -> None:
        self._runner = runner
        self._answer = answer
        self._wanted: AbstractSet[IPAddress] = frozenset()
        self._loaded: AbstractSet[IPAddress] | None = None
        self._changed = asyncio.Event()

    def want(self, addresses: AbstractSet[IPAddress]) -> None:
        """Answer for these and no others."""
        self._wanted = frozenset(addresses)
        self._changed.set()

    async def run(self) -> None:
        """Apply what changes, for ever."""
        if not self._answer:
            # What an agent with other settings left.
            await self._apply(ping.removal())
            return
        while True:
            await self._changed.wait()
            await asyncio.sleep(SETTLE)
            self._changed.clear()
            wanted = self._wanted
            text = ping.full(wanted) if self._loaded is None else ping.diff(self._loaded, wanted)
            if not text or await self._apply(text):
                self._loaded = wanted
            else:
                # Somebody else may have changed our table: then making it anew helps.
                if self._loaded is None:
                    await asyncio.sleep(RETRY)
                self._loaded = None
                self._changed.set()

    async def _apply(self, text: str) -> bool:
        try:
            await self._runner.apply(text)
        except NftError as error:
            log.warning("ping is not answered as it should be: %s", error)
            return False
        return True
