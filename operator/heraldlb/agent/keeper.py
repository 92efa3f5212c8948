"""Keeps one small set of tables in the kernel equal to what is wanted."""

from __future__ import annotations

import asyncio
import logging
from typing import Generic, Protocol, TypeVar

from heraldlb.forwarding.nft import NftError, Runner

log = logging.getLogger(__name__)

RETRY = 30.0
"""Seconds before what could not be applied is tried again."""

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Tables(Protocol[T_contra]):
    """Text for `nft -f`, as the modules `ping` and `detour` of `forwarding` write it."""

    def full(self, wanted: T_contra, /) -> str:
        """These tables, whatever was there before."""

    def diff(self, old: T_contra, new: T_contra, /) -> str:
        """From one content to the other; empty where they are the same."""

    def removal(self) -> str:
        """No tables."""


class TableKeeper(Generic[T]):
    """What a predecessor left stays in force until it is known what is wanted; tables stay when the process ends.

    `complaint`: what users lose while the kernel refuses. `settle`: seconds for which changes are gathered.
    """

    def __init__(self, runner: Runner, tables: Tables[T], complaint: str, settle: float = 0.0) -> None:
        self._runner = runner
        self._tables = tables
        self._complaint = complaint
        self._settle = settle
        self._wanted: T | None = None
        self._loaded: T | None = None
        self._strange = False
        self._refusal = ""
        self._changed = asyncio.Event()

    def want(self, wanted: T) -> None:
        """This and nothing else."""
        self._wanted = wanted
        self._changed.set()

    def touched(self) -> None:
        """Somebody else changed or removed the tables: they are made anew."""
        self._strange = True
        self._changed.set()

    async def run(self) -> None:
        """Apply what is wanted, for ever."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(self._settle)
            self._changed.clear()
            wanted, loaded = self._wanted, None if self._strange else self._loaded
            if wanted is None:
                continue
            self._strange = False
            text = self._tables.full(wanted) if loaded is None else self._tables.diff(loaded, wanted)
            if not text or await self._apply(text):
                self._loaded = wanted
                continue
            # Somebody else may have changed our tables: then making them anew helps.
            if loaded is None:
                await asyncio.sleep(RETRY)
            self.touched()

    async def remove(self) -> None:
        """Leave nothing of ours, such as an agent with other settings left; returns once that is so."""
        removed = await self._apply(self._tables.removal())
        while not removed:
            await asyncio.sleep(RETRY)
            removed = await self._apply(self._tables.removal())

    async def _apply(self, text: str) -> bool:
        try:
            await self._runner.apply(text)
        except NftError as error:
            fresh, self._refusal = str(error) != self._refusal, str(error)
            log.log(logging.WARNING if fresh else logging.DEBUG, "%s: %s", self._complaint, error)
            return False
        self._refusal = ""
        return True
