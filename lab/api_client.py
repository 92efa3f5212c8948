"""A thin asynchronous client of the API server for the lab's own processes: raw JSON, and a followed list."""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import aiohttp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path
    from types import TracebackType

Body = dict[str, Any]

MERGE_PATCH = "application/merge-patch+json"

_RETRY = 0.25
_WATCH_SECONDS = 300
_GONE = 410


class ApiError(Exception):
    """The API server refused; `status` is the HTTP status, `reason` the machine-readable reason of the answer."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


UNREACHABLE = (aiohttp.ClientError, OSError, TimeoutError)
"""What a request raises when the API server is not there."""


@dataclass(frozen=True, slots=True)
class Listed:
    """All objects there are, at this moment; replaces what was known."""

    objects: list[Body]


@dataclass(frozen=True, slots=True)
class Changed:
    """One object, as it is now or as it last was."""

    type: Literal["ADDED", "MODIFIED", "DELETED"]
    object: Body


class Api:
    """One connection pool to one API server, with a client certificate."""

    def __init__(self, url: str, authority: Path, identity: Path) -> None:
        """`identity`: a PEM file that holds a client certificate and its key."""
        context = ssl.create_default_context(cafile=str(authority))
        context.load_cert_chain(identity)
        timeout = aiohttp.ClientTimeout(total=10, sock_connect=2)
        self._session = aiohttp.ClientSession(
            base_url=url, connector=aiohttp.TCPConnector(ssl=context, limit=0), timeout=timeout
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def request(self, method: str, path: str, body: Body | None = None, patch: str = "") -> Body:
        """Raises ApiError, or one of UNREACHABLE."""
        headers = {"Content-Type": patch or "application/json"}
        data = None if body is None else json.dumps(body)
        async with self._session.request(method, path, data=data, headers=headers) as response:
            answer: Body = await response.json(content_type=None)
            if response.ok:
                return answer
            raise ApiError(response.status, answer.get("reason", ""), answer.get("message", response.reason or ""))

    async def get(self, path: str) -> Body:
        return await self.request("GET", path)

    async def follow(self, path: str, selector: Mapping[str, str] | None = None) -> AsyncIterator[Listed | Changed]:
        """A collection from now on, for ever: once `Listed`, then every change; `Listed` again after a gap."""
        while True:
            try:
                async for event in self._list_and_watch(path, dict(selector or {})):
                    yield event
            except (ApiError, *UNREACHABLE):
                await asyncio.sleep(_RETRY)

    async def _list_and_watch(self, path: str, selector: dict[str, str]) -> AsyncIterator[Listed | Changed]:
        async with self._session.get(path, params=selector) as response:
            listed = await response.json(content_type=None)
            if not response.ok:
                raise ApiError(response.status, listed.get("reason", ""), listed.get("message", ""))
        yield Listed(listed["items"])
        version = listed["metadata"]["resourceVersion"]
        while True:
            async for line in self.watch_lines(path, selector | {"resourceVersion": version}):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", _GONE), "", event["object"].get("message", ""))
                version = event["object"]["metadata"]["resourceVersion"]
                yield Changed(event["type"], event["object"])

    async def watch_lines(self, path: str, parameters: Mapping[str, str]) -> AsyncIterator[bytes]:
        """The events of one watch as they come, each a line of JSON, until the API server ends it.

        `parameters`: `resourceVersion`, and selectors. Raises ApiError, or one of UNREACHABLE.
        """
        query = {**parameters, "watch": "1", "timeoutSeconds": str(_WATCH_SECONDS)}
        # A silent connection is given up: after a cut of the network it may never end by itself.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=_WATCH_SECONDS + 10)
        async with self._session.get(path, params=query, timeout=timeout) as response:
            if not response.ok:
                raise ApiError(response.status, "", response.reason or "")
            rest = b""
            async for chunk in response.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line
