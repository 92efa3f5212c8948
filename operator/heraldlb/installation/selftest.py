"""A Service that is made, given an address, announced, reached and deleted: what `helm test` runs.

The pod that runs it is the Service's endpoint as well, so that nothing else in the cluster is needed or touched.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import aiohttp
from aiohttp import web

from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import object_name
from heraldlb.installation.service import PORT, TARGET_PORT, Answer, Found, Pod, announced, assigned, manifest
from heraldlb.kube.client import SERVICE_ADDRESSES, SERVICES, Api, ApiError

POLL_SECONDS: Final = 0.25
REQUEST_SECONDS: Final = 2.0
"""For one try to reach an address."""
REMOVAL_SECONDS: Final = 15.0
"""For the Service to be gone."""


class SelfTestError(Exception):
    """The installation does not do what it is for; the message says how far it got, and what Herald says to it."""


@dataclass(slots=True)
class SelfTest:
    """One run. `say` is told of every step, and of what is waited for whenever that changes."""

    api: Api
    pod: Pod
    load_balancer_class: str
    """Empty: the default."""
    expect_announced: bool
    """Whether some agent is to announce the addresses, and not another program."""
    say: Callable[[str], None]
    _awaited: str = ""
    _token: str = field(default_factory=lambda: secrets.token_hex(16))

    async def run(self, seconds: float) -> None:
        """Return when every address was reached and the Service is gone. `seconds`: for all but the clean-up.

        Raises SelfTestError, ApiError, ApiUnavailableError.
        """
        async with _answering(self._token):
            await self._remove()
            try:
                async with asyncio.timeout(seconds):
                    await self._try()
            except TimeoutError:
                raise SelfTestError(f"after {seconds:g} s still waiting for {self._awaited}") from None
            finally:
                await self._remove()
        self.say("The Service is deleted.")

    async def _try(self) -> None:
        await self.api.create(SERVICES, manifest(self.pod, self.load_balancer_class), self.pod.namespace)
        self.say(f"Service {self.pod.namespace}/{self.pod.name} is made.")
        given = await self._until("an address", self._assigned)
        self.say(f"It has {' and '.join(map(str, given))}.")
        for address in given:
            if self.expect_announced:
                where = await self._until(f"a node to announce {address}", partial(self._announced, address))
                self.say(f"{address} is announced by {where}.")
            await self._until(f"{address} to answer", partial(self._reached, address))
            self.say(f"{address} answers on port {PORT}.")

    async def _until(self, what: str, look: Callable[[], Awaitable[Answer[Found]]]) -> Found:
        while True:
            answer = await look()
            if answer.found is not None:
                return answer.found
            awaited = f"{what} ({answer.why})"
            if awaited != self._awaited:
                self._awaited = awaited
                self.say(f"Waiting for {awaited}")
            await asyncio.sleep(POLL_SECONDS)

    async def _assigned(self) -> Answer[tuple[IPAddress, ...]]:
        return assigned(await self.api.get(SERVICES, self.pod.name, self.pod.namespace))

    async def _announced(self, address: IPAddress) -> Answer[str]:
        try:
            return announced(await self.api.get(SERVICE_ADDRESSES, object_name(address)))
        except ApiError as error:
            if error.not_found:
                return Answer(None, "its ServiceAddress is not there")
            raise

    async def _reached(self, address: IPAddress) -> Answer[str]:
        host = f"[{address}]" if address.version == 6 else str(address)
        try:
            timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.get(f"http://{host}:{PORT}/") as got,
            ):
                said = await got.text()
        except TimeoutError:
            return Answer(None, f"no answer within {REQUEST_SECONDS:g} s")
        except aiohttp.ClientError as error:
            return Answer(None, str(error) or type(error).__name__)
        return Answer(said) if said == self._token else Answer(None, "another server answers")

    async def _remove(self) -> None:
        """The Service of this run, or of one that was killed, away; waits until it is gone."""
        try:
            async with asyncio.timeout(REMOVAL_SECONDS):
                while True:
                    await self.api.delete(SERVICES, self.pod.name, {}, self.pod.namespace)
                    await asyncio.sleep(POLL_SECONDS)
        except ApiError as error:
            if not error.not_found:
                raise
        except TimeoutError:
            raise SelfTestError(
                f"Service {self.pod.name} is not gone {REMOVAL_SECONDS:g} s after its deletion"
            ) from None


@asynccontextmanager
async def _answering(token: str) -> AsyncIterator[None]:
    """Answer every request with the token, so that it is known from any other server's answer."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=token)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, None, TARGET_PORT).start()
        yield
    finally:
        await runner.cleanup()
