"""`/examination` on the agent's HTTP server: GET tells the node's facts, POST asks its network segments.

Whoever reaches the port may ask, as for metrics. So nothing secret is told, and however many ask, the node is read
once a second at the most and the network asked once in five.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from heraldlb.examination.codec import DecodeError, decode, encode
from heraldlb.examination.facts import LinkFacts, NodeFacts
from heraldlb.examination.survey import MAX_PROBED, Question, Survey

PATH: Final = "/examination"

KEPT: Final = 1.0
"""Seconds for which facts are told again as they were read."""

BETWEEN: Final = 5.0
"""Seconds between the beginnings of two surveys of the network, of which one goes on at a time."""

Read = Callable[[], Awaitable[NodeFacts]]
"""Reads the facts. May raise OSError."""
Ask = Callable[[Question, tuple[LinkFacts, ...]], Awaitable[Survey]]
"""Asks the network, by links like these."""


class Examination:
    """The handlers of one agent."""

    def __init__(self, read: Read, ask: Ask) -> None:
        self._read = read
        self._ask = ask
        self._reading = asyncio.Lock()
        self._facts: NodeFacts | None = None
        self._stale_at = 0.0
        self._surveying = asyncio.Lock()
        self._free_at = 0.0

    def routes(self) -> tuple[web.RouteDef, ...]:
        """For the application that serves them."""
        return (web.get(PATH, self._tell), web.post(PATH, self._survey))

    async def _tell(self, _: web.Request) -> web.Response:
        try:
            facts = await self._known()
        except OSError as error:
            return _refusal(503, f"the node could not be read: {error}")
        return web.json_response(encode(facts))

    async def _survey(self, request: web.Request) -> web.Response:
        try:
            question = decode(Question, await request.json())
        except DecodeError as error:
            return _refusal(400, str(error))
        except ValueError:
            return _refusal(400, 'the body is not JSON: send {"probe": ["192.168.1.240"], "dhcp": true}')
        if len(question.probe) > MAX_PROBED:
            return _refusal(400, f"probe: {len(question.probe)} addresses; at most {MAX_PROBED} at once")
        if self._surveying.locked() or time.monotonic() < self._free_at:
            message = f"the network was asked a moment ago: ask again in {BETWEEN:g} s"
            return _refusal(429, message, {"Retry-After": f"{BETWEEN:g}"})
        async with self._surveying:
            self._free_at = time.monotonic() + BETWEEN
            try:
                facts = await self._known()
            except OSError as error:
                return _refusal(503, f"the node could not be read: {error}")
            return web.json_response(encode(await self._ask(question, facts.links)))

    async def _known(self) -> NodeFacts:
        """The facts of this second. Who asks while they are read waits for them. Raises OSError."""
        async with self._reading:
            if self._facts is None or time.monotonic() >= self._stale_at:
                self._facts = await self._read()
                self._stale_at = time.monotonic() + KEPT
            return self._facts


def _refusal(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=f"{message}\n", headers=headers)
