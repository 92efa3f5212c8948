"""When each Service first showed an address, seen at the least expense.

What watches shares its cores with what is watched: an event is not decoded, only searched for two strings that the
API server always writes in the same way.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from typing import TYPE_CHECKING, Final

from benchmarks.allocate.services import PATH
from lab.api_client import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from lab.api_client import Api

_SHOWN: Final = b'"ingress":[{"ip":"'
# An object's own name comes before any other in it; labels and annotations, which are sorted later, cannot precede.
_NAME: Final = re.compile(rb'"metadata":\{"name":"([^"]+)"')
_VERSION: Final = re.compile(rb'"resourceVersion":"(\d+)"')


def served_name(event: bytes) -> str | None:
    """The name of the Service that an event of a watch (a line of JSON) shows with an address, else None. Pure."""
    if _SHOWN not in event:
        return None
    found = _NAME.search(event)
    return found[1].decode() if found else None


class Watch:
    """Notes when each Service was first seen with an address."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._arrived = asyncio.Event()
        self._failure: ApiError | None = None
        self.moments: dict[str, float] = {}
        """By name, in the order of arrival, in seconds of time.monotonic()."""

    @classmethod
    @contextlib.asynccontextmanager
    async def over(cls, api: Api) -> AsyncIterator[Watch]:
        """Watch from now on, until the end of the block, which closes the connection."""
        watch = cls(api)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(api)
            listed = await api.get(f"{PATH}?limit=1")
            task = asyncio.create_task(watch._run(listed["metadata"]["resourceVersion"]))
            try:
                yield watch
            finally:
                # The connection goes first: that of a cancelled request would stay open until its peer agrees.
                await stack.aclose()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def grown(self, seconds: float) -> bool:
        """Whether one more Service is seen with an address before so many seconds have passed. Raises ApiError."""
        self._arrived.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._arrived.wait()
        if self._failure is not None:
            raise self._failure
        return self._arrived.is_set()

    async def _run(self, version: str) -> None:
        last = b""
        while True:
            # The API server ends every watch after some time; the next begins where it ended.
            if found := _VERSION.search(last):
                version = found[1].decode()
            try:
                async for last in self._api.watch_lines(PATH, {"resourceVersion": version}):
                    name = served_name(last)
                    if name is not None and name not in self.moments:
                        self.moments[name] = time.monotonic()
                        self._arrived.set()
            except ApiError as error:
                self._failure = error
                return
