"""A client that holds many connections and flows open at once, in a thread of its own."""

from __future__ import annotations

import asyncio
import itertools
import resource
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from benchmarks.survive.conversation import Conversation
from benchmarks.survive.flow import Flow

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence
    from typing import Any, TypeVar

    from benchmarks.survive.held import Fate, Held, Use
    from lab.host import Host

    T = TypeVar("T")

_OPENINGS: Final = 400
"""New ones a second: a thousand are open soon, and nobody's queue of new ones is full."""
_AT_ONCE: Final = 20
PATIENCE: Final = 15.0
"""Seconds in which whatever survives is heard of; TCP sends again after 0.2, 0.6, 1.4, 3, 6.2 and 12.6."""


class Holder:
    """Calls block until what they ask for is done."""

    def __init__(self) -> None:
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._numbers = itertools.count()

    @classmethod
    @contextmanager
    def on(cls, host: Host) -> Iterator[Holder]:
        """All its connections begin at this host, and end with the context at the latest."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        holder = cls()
        with ThreadPoolExecutor(1, "holder") as pool:
            running = pool.submit(host.call, lambda: asyncio.run(holder._serve()))
            running.add_done_callback(holder._report)
            try:
                yield holder
            finally:
                holder._call(holder._end())
                running.result()

    def open(self, address: str, port: int, uses: Sequence[Use]) -> list[Held]:
        """One for each use; returns when each is answered or has failed."""
        return self._call(self._open(address, port, uses))

    def prove(self, held: Sequence[Held]) -> None:
        """Whoever is not heard of within PATIENCE has failed."""
        self._call(self._prove(held))

    def leave(self, held: Sequence[Held]) -> list[Fate]:
        """Say goodbye everywhere; what had become of each by then."""
        return self._call(self._leave(held))

    def _call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop.result()).result()

    def _report(self, running: Future[None]) -> None:
        """Whoever waits for the loop is told that there will be none."""
        if not self._loop.done() and (error := running.exception()) is not None:
            self._loop.set_exception(error)

    async def _serve(self) -> None:
        self._over = asyncio.Event()
        self._loop.set_result(asyncio.get_running_loop())
        await self._over.wait()

    async def _end(self) -> None:
        self._over.set()

    async def _open(self, address: str, port: int, uses: Sequence[Use]) -> list[Held]:
        loop = asyncio.get_running_loop()
        opened: list[Held] = []
        for begin in range(0, len(uses), _AT_ONCE):
            until = loop.time() + _AT_ONCE / _OPENINGS
            some = [self._make(use) for use in uses[begin : begin + _AT_ONCE]]
            await asyncio.gather(*(self._connect(each, address, port) for each in some))
            opened += some
            await asyncio.sleep(until - loop.time())
        await self._prove(opened)
        return opened

    def _make(self, use: Use) -> Held:
        return (Flow if use.value.datagrams else Conversation)(next(self._numbers), use)

    async def _connect(self, held: Held, address: str, port: int) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await held.connect(address, port)
        except (OSError, TimeoutError) as error:
            held.fail(repr(error))

    async def _prove(self, held: Sequence[Held]) -> None:
        async def prove(each: Held) -> None:
            try:
                async with asyncio.timeout(PATIENCE):
                    await each.prove()
            except TimeoutError:
                each.fail(f"nothing for {PATIENCE:.0f} s")

        await asyncio.gather(*map(prove, held))

    async def _leave(self, held: Sequence[Held]) -> list[Fate]:
        return [each.leave() for each in held]
