"""A client that holds many connections open at once, in a thread of its own."""

from __future__ import annotations

import asyncio
import itertools
import resource
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from benchmarks.survive.conversation import Conversation, Fate, Use

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator, Sequence
    from typing import Any, TypeVar

    from lab.host import Host

    T = TypeVar("T")

_OPENINGS: Final = 400
"""New connections a second: a thousand are open soon, and nobody's queue of new ones is full."""
_AT_ONCE: Final = 20
PATIENCE: Final = 15.0
"""Seconds in which a connection that survives is heard of; TCP sends again after 0.2, 0.6, 1.4, 3, 6.2 and 12.6."""


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

    def open(self, address: str, port: int, uses: Sequence[Use]) -> list[Conversation]:
        """One connection for each use; returns when each is answered or has failed."""
        return self._call(self._open(address, port, uses))

    def prove(self, conversations: Sequence[Conversation]) -> None:
        """Whoever is not heard of within PATIENCE has failed."""
        self._call(self._prove(conversations))

    def leave(self, conversations: Sequence[Conversation]) -> list[Fate]:
        """Say goodbye everywhere; what had become of each by then."""
        return self._call(self._leave(conversations))

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

    async def _open(self, address: str, port: int, uses: Sequence[Use]) -> list[Conversation]:
        loop, opened = asyncio.get_running_loop(), list[Conversation]()
        for begin in range(0, len(uses), _AT_ONCE):
            until = loop.time() + _AT_ONCE / _OPENINGS
            some = [Conversation(next(self._numbers), use) for use in uses[begin : begin + _AT_ONCE]]
            await asyncio.gather(*(self._connect(each, address, port) for each in some))
            opened += some
            await asyncio.sleep(until - loop.time())
        await self._prove(opened)
        return opened

    async def _connect(self, conversation: Conversation, address: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE):
                await loop.create_connection(lambda: conversation, address, port)
        except (OSError, TimeoutError) as error:
            conversation.fail(repr(error))

    async def _prove(self, conversations: Sequence[Conversation]) -> None:
        async def prove(each: Conversation) -> None:
            try:
                async with asyncio.timeout(PATIENCE):
                    await each.prove()
            except TimeoutError:
                each.fail(f"nothing for {PATIENCE:.0f} s")

        await asyncio.gather(*map(prove, conversations))

    async def _leave(self, conversations: Sequence[Conversation]) -> list[Fate]:
        return [each.leave() for each in conversations]
