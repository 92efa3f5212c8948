"""Raw calls to the API server: decoded JSON in and out, on the official client's connection and credentials."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.client.rest import RESTClientObject

from heraldlb.kube import metrics
from heraldlb.kube.sockets import Sockets

REQUEST_TIMEOUT = 10.0
"""Seconds for one call. Longer than any healthy answer; short enough to notice a server that has gone."""

WATCH_SECONDS = 300
"""Seconds after which the server ends a watch, and it is begun again where it ended."""

WATCH_SILENCE = 90.0
"""Seconds of silence after which a watch's connection is taken for dead. A bookmark comes about every minute;
but where etcd reports no progress, not of kinds of which nothing changes."""

LIST_CHUNK = 500
"""Objects per page of a list: bounds the memory and the time for which decoding holds up everything else."""

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"


class ApiError(Exception):
    """The API server answered with an error. `status` is the HTTP status, `reason` the machine-readable one."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{message} ({status} {reason})")
        self.status = status
        self.reason = reason

    @property
    def not_found(self) -> bool:
        """The object, or its kind, does not exist."""
        return self.status == 404

    @property
    def expired(self) -> bool:
        """The resourceVersion asked for is too old to go on from."""
        return self.status == 410

    @property
    def already_exists(self) -> bool:
        """An object of that name exists; only a create can meet this."""
        return self.status == 409 and self.reason == "AlreadyExists"

    @property
    def conflict(self) -> bool:
        """The object has changed since it was read."""
        return self.status == 409 and self.reason != "AlreadyExists"


class ApiUnavailableError(Exception):
    """The API server could not be reached, or did not answer in time; nothing is known of the outcome."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object by the path of its collection."""

    group: str
    version: str
    plural: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, of one object, or of its subresource."""
        parts = ["api", self.version] if not self.group else ["apis", self.group, self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(parts)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


@dataclass(frozen=True, slots=True)
class _Answer:
    """Of the server: its status and that in words, the body, and when it was given, as the header has it."""

    status: int
    reason: str
    data: bytes
    date: str


class _Rest(RESTClientObject):  # type: ignore[misc]
    def __init__(self, configuration: Configuration, sockets: Sockets) -> None:
        super().__init__(configuration)
        self._sockets = sockets

    def _create_connector(self) -> aiohttp.TCPConnector:
        return aiohttp.TCPConnector(limit=self.maxsize, ssl=self.ssl_context, socket_factory=self._sockets.open)


class Api:
    """An open connection. Usable from one event loop; safe for concurrent calls."""

    def __init__(self, configuration: Configuration) -> None:
        self._sockets = Sockets()
        self._client = ApiClient(configuration)
        self._client.rest_client = _Rest(configuration, self._sockets)
        self._answered = -float("inf")
        self.may_write: Callable[[], bool] = lambda: True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()
        await self._sockets.close()

    def fenced(self, may_write: Callable[[], bool]) -> Api:
        """The same connection, whose writes are not sent but raise ApiUnavailableError while they may not be.

        For who acts by a claim that runs out: a process that was stopped and goes on would write first, and only
        then notice.
        """
        fenced = copy.copy(self)
        fenced.may_write = may_write
        return fenced

    @property
    def last_answer(self) -> float:
        """The `time.monotonic()` of the server's last answer, of whatever status."""
        return self._answered

    async def ping(self) -> None:
        """Ask for nothing in particular. Raises ApiError, ApiUnavailableError."""
        await self._call("GET", "/version")

    async def get(self, resource: Resource, name: str, namespace: str = "") -> dict[str, Any]:
        """One object. Raises ApiError, ApiUnavailableError."""
        return await self._call("GET", resource.path(namespace, name))

    async def list(
        self, resource: Resource, selectors: Mapping[str, str], namespace: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """Every object of the kind and the resourceVersion of the list, read page by page from the newest state.

        `selectors`: `fieldSelector` and `labelSelector`. Without `namespace`, those of all. Raises ApiError,
        ApiUnavailableError.
        """
        items: list[dict[str, Any]] = []
        token = ""
        while True:
            query = {**selectors, "limit": str(LIST_CHUNK)} | ({"continue": token} if token else {})
            page = await self._call("GET", f"{resource.path(namespace)}?{urlencode(query)}")
            for item in page.get("items") or ():
                # Nobody here reads them, and they are half of what an object weighs.
                item["metadata"].pop("managedFields", None)
                items.append(item)
            token = page["metadata"].get("continue") or ""
            if not token:
                return items, page["metadata"].get("resourceVersion", "")
            # Decoding a page is one uninterrupted stretch: let others run in between.
            await asyncio.sleep(0)

    async def watch(
        self,
        resource: Resource,
        selectors: Mapping[str, str],
        version: str,
        namespace: str = "",
        *,
        accepted: Callable[[], None] = lambda: None,
    ) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """Event types and objects from `version` on, `BOOKMARK`s among them, until the server ends the stream.

        Without `namespace`, those of all. `accepted` is called when the server has taken the watch on.

        Raises ApiError (`expired` where the version is too old: list again), ApiUnavailableError.
        """
        query = {**selectors, "watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true"}
        query["timeoutSeconds"] = str(WATCH_SECONDS)
        path = f"{resource.path(namespace)}?{urlencode(query)}"
        headers = {"Accept": "application/json"}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
        url = self._client.configuration.host + path
        timeout = aiohttp.ClientTimeout(sock_connect=REQUEST_TIMEOUT, sock_read=WATCH_SILENCE)
        with _unavailable(metrics.WATCH, f"watch {resource}"):
            response = (
                await self._client.rest_client.request("GET", url, headers=headers, _request_timeout=timeout)
            ).response
            metrics.answered(metrics.WATCH, response.status)
            try:
                if response.status >= 400:
                    raise ApiError(response.status, response.reason or "", f"watch {resource} failed")
                self._answered = time.monotonic()
                accepted()
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        status = event["object"]
                        raise _error(status, int(status.get("code") or 500), "", f"watch {resource} failed")
                    yield event["type"], event["object"]
            finally:
                # At once: a stream that is left in the middle need not end politely, and its owner may be ending.
                if response.connection is not None and response.connection.transport is not None:
                    response.connection.transport.abort()
                response.close()

    async def create(self, resource: Resource, body: Mapping[str, Any], namespace: str = "") -> dict[str, Any]:
        """Create an object. Raises ApiError (`already_exists`), ApiUnavailableError."""
        return await self._call("POST", resource.path(namespace), body)

    async def patch(
        self,
        resource: Resource,
        name: str,
        body: Mapping[str, Any],
        *,
        namespace: str = "",
        subresource: str = "",
        kind: str = MERGE_PATCH,
    ) -> dict[str, Any]:
        """Patch an object. A `metadata.resourceVersion` in the body is a precondition (`conflict`).

        Raises ApiError, ApiUnavailableError.
        """
        return await self._call("PATCH", resource.path(namespace, name, subresource), body, kind)

    async def apply(
        self, resource: Resource, name: str, body: Mapping[str, Any], *, manager: str, dry_run: bool = False
    ) -> dict[str, Any]:
        """Server-side apply a cluster-scoped object, taking its fields over from other managers; made if not there.

        `dry_run`: store nothing, only say what the object would become. Raises ApiError, which says why where it is
        refused, ApiUnavailableError.
        """
        options = {"fieldManager": manager, "force": "true"} | ({"dryRun": "All"} if dry_run else {})
        query = urlencode(options)
        return await self._call("PATCH", f"{resource.path(name=name)}?{query}", body, APPLY_PATCH)

    async def replace(
        self, resource: Resource, name: str, body: Mapping[str, Any], namespace: str = ""
    ) -> dict[str, Any]:
        """Replace an object; its `metadata.resourceVersion` is a precondition (`conflict`).

        Raises ApiError, ApiUnavailableError.
        """
        return await self._call("PUT", resource.path(namespace, name), body)

    async def delete(
        self, resource: Resource, name: str, preconditions: Mapping[str, str], namespace: str = ""
    ) -> None:
        """Delete an object if `uid` and `resourceVersion`, as far as they are given, still hold.

        Raises ApiError, ApiUnavailableError.
        """
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": dict(preconditions)}
        await self._call("DELETE", resource.path(namespace, name), options)

    async def text(
        self, path: str, body: Mapping[str, Any] | None = None, *, patience: float = REQUEST_TIMEOUT
    ) -> str:
        """What the server answers at a path that is no object's, as text; with a body, it is posted.

        `patience`: seconds. Raises ApiError, ApiUnavailableError.
        """
        method = "GET" if body is None else "POST"
        headers = {"Accept": "text/plain, application/json", "Content-Type": "application/json"}
        answer = await self._request(method, path, headers, body, patience)
        if answer.status >= 400:
            raise _error(_decoded(answer.data), answer.status, answer.reason, f"{method} {path} failed")
        return answer.data.decode(errors="replace")

    async def clock(self) -> float | None:
        """The server's clock in Unix seconds, cut to whole ones; None where answers bear no date (RFC 9110, 6.6.1).

        Raises ApiUnavailableError.
        """
        answer = await self._request("GET", "/version", {"Accept": "application/json"})
        try:
            return parsedate_to_datetime(answer.date).timestamp()
        except ValueError:
            return None

    async def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        headers = {"Accept": "application/json", "Content-Type": content_type}
        answer = await self._request(method, path, headers, body)
        decoded = _decoded(answer.data)
        if answer.status >= 400:
            raise _error(decoded, answer.status, answer.reason, f"{method} {path} failed")
        return decoded

    async def _request(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: Mapping[str, Any] | None = None,
        patience: float = REQUEST_TIMEOUT,
    ) -> _Answer:
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._client.configuration.host + path
        started = time.monotonic()
        if method != "GET" and not self.may_write():
            raise ApiUnavailableError(f"{method} {path}: not sent, since another replica may act by now")
        with _unavailable(method, f"{method} {path}"):
            response = await self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=patience
            )
            data = await response.read()
        self._answered = time.monotonic()
        metrics.answered(method, response.status, self._answered - started)
        return _Answer(response.status, response.reason or "", data, response.headers.get("Date", ""))


def _decoded(data: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(data))
    except ValueError:
        return {"message": data[:200].decode(errors="replace")}


@contextmanager
def _unavailable(method: str, what: str) -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        metrics.unreachable(method)
        raise ApiUnavailableError(f"{what}: {error or type(error).__name__}") from error


def _error(status: Mapping[str, Any], code: int, reason: str, message: str) -> ApiError:
    """From a `Status` object, as far as it is one."""
    return ApiError(code, str(status.get("reason") or reason), str(status.get("message") or message))


SERVICES = Resource("", "v1", "services")
CONFIG_MAPS = Resource("", "v1", "configmaps")
SERVICE_CIDRS = Resource("networking.k8s.io", "v1", "servicecidrs", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)
NODES = Resource("", "v1", "nodes", namespaced=False)
PODS = Resource("", "v1", "pods")
DEPLOYMENTS = Resource("apps", "v1", "deployments")
DAEMON_SETS = Resource("apps", "v1", "daemonsets")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices")
LEASES = Resource("coordination.k8s.io", "v1", "leases")
EVENTS = Resource("events.k8s.io", "v1", "events")
SELF_SUBJECT_ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", namespaced=False)
CUSTOM_RESOURCE_DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False)
ADDRESS_POOLS = Resource("heraldlb.io", "v1beta1", "addresspools", namespaced=False)
L2_ANNOUNCEMENTS = Resource("heraldlb.io", "v1beta1", "l2announcements", namespaced=False)
SERVICE_ADDRESSES = Resource("heraldlb.io", "v1beta1", "serviceaddresses", namespaced=False)
