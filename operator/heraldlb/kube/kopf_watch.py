"""Kopf as a watcher: it keeps the connections, recognises what was lost, and hands every event on as it comes.

It runs in a thread and an event loop of its own, since it ends every task that was started after it, and may itself
end on an error that it takes for fatal; it is then started again.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import kopf
from kubernetes.aio.client import Configuration

from heraldlb.kube.client import Resource
from heraldlb.kube.sockets import Sockets
from heraldlb.kube.stop import Stop

log = logging.getLogger(__name__)

RESTART_PERIOD = 1.0
"""Seconds before Kopf is started again, or asks for credentials again."""

STREAM_SECONDS = 100
"""Seconds after which the server ends a watch and Kopf begins another: so often we see that it is at work."""

_REREAD_AFTER = datetime.timedelta(minutes=5)
"""A projected ServiceAccount token is replaced on disk well before it expires; its readers must follow."""

# Peering is off, so nobody reads it; left to itself, Kopf asks for its user's name, which a container may lack.
_IDENTITY: Any = "heraldlb"

Emit = Callable[[Resource, str | None, dict[str, Any]], None]
"""Takes the kind, the event's type (None for an object that was listed), and the object."""


@dataclass(frozen=True, slots=True)
class Signs:
    """Told that Kopf is at work, in its thread."""

    tried: Callable[[], None]
    """It makes a request, whatever about."""
    heard: Callable[[Resource], None]
    """The server has accepted one about the kind."""


def watch(
    configuration: Configuration,
    selectors: Mapping[Resource, Mapping[str, str]],
    emit: Emit,
    signs: Signs,
    restarted: Callable[[], None],
    stop: Stop,
) -> None:
    """Watch the kinds until `stop` is set. Blocks; `emit` and `restarted` are called in this thread."""
    while not stop.is_set():
        signs.tried()
        try:
            asyncio.run(_operate(configuration, selectors, emit, signs, stop))
        except asyncio.CancelledError:
            log.debug("the watch layer was stopped")
        except Exception:
            log.exception("the watch layer ended; starting it again")
        if stop.wait(RESTART_PERIOD):
            return
        restarted()


async def _operate(
    configuration: Configuration,
    selectors: Mapping[Resource, Mapping[str, str]],
    emit: Emit,
    signs: Signs,
    stop: Stop,
) -> None:
    sessions = _Sessions()
    try:
        tasks = await kopf.spawn_tasks(
            registry=_registry(configuration, selectors, emit, signs, sessions),
            settings=_settings(selectors),
            identity=_IDENTITY,
            standalone=True,
            clusterwide=True,
        )
        # Not by a flag of Kopf's: it would be waited for in a thread, also after Kopf has ended by itself.
        with stop.cancels():
            await kopf.run_tasks(tasks)
    finally:
        await sessions.close()


class _Sessions:
    """Those of one run of Kopf, which closes those that it has used, but not one that came too late for that."""

    def __init__(self) -> None:
        self._made: list[aiohttp.ClientSession] = []
        self._sockets = Sockets()

    def open(self, info: kopf.ConnectionInfo, tracing: aiohttp.TraceConfig) -> aiohttp.ClientSession:
        """What Kopf itself would make of the credentials, and with an ear of ours."""
        connector = aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context(), socket_factory=self._sockets.open)
        session = aiohttp.ClientSession(
            connector=connector,
            headers=info.as_http_headers(),
            proxy=info.proxy_url,
            trace_configs=[tracing],
        )
        self._made = [*(each for each in self._made if not each.closed), session]
        return session

    async def close(self) -> None:
        """When Kopf has ended."""
        for each in self._made:
            await each.close()
        await self._sockets.close()


def _registry(
    configuration: Configuration,
    selectors: Mapping[Resource, Mapping[str, str]],
    emit: Emit,
    signs: Signs,
    sessions: _Sessions,
) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, backoff=RESTART_PERIOD)
    async def login(**_: Any) -> kopf.AiohttpSession:
        info = await _connection_info(configuration)
        # A server may be behind a proxy that has it under a path of its own.
        base = urlsplit(info.server).path.rstrip("/")
        tracing = _tracing({base + resource.path(): resource for resource in selectors}, signs)
        session = sessions.open(info, tracing)
        return kopf.AiohttpSession(aiohttp_session=session, server=info.server, expiration=info.expiration)

    for resource in selectors:
        _register(registry, resource, emit)
    return registry


def _register(registry: kopf.OperatorRegistry, resource: Resource, emit: Emit) -> None:
    @kopf.on.event(resource.group, resource.version, resource.plural, registry=registry)
    async def forward(event: Any, **_: Any) -> None:
        emit(resource, event["type"], dict(event["object"]))


async def _connection_info(configuration: Configuration) -> kopf.ConnectionInfo:
    """Our credentials as Kopf wants them, to be asked for again when they may have been rotated."""
    token = await configuration.get_api_key_with_prefix("BearerToken")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        ca_data=configuration.ca_cert_data,
        insecure=not configuration.verify_ssl,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        token=token.split(" ", 1)[-1] if token else None,
        username=configuration.username or None,
        password=configuration.password or None,
        proxy_url=configuration.proxy,
        expiration=datetime.datetime.now(datetime.UTC) + _REREAD_AFTER if token else None,
    )


def _tracing(kinds: Mapping[str, Resource], signs: Signs) -> aiohttp.TraceConfig:
    async def begun(*_: Any) -> None:
        signs.tried()

    async def accepted(_: Any, __: Any, params: aiohttp.TraceRequestEndParams) -> None:
        if params.response.ok and (resource := kinds.get(params.url.path)):
            signs.heard(resource)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(begun)
    tracing.on_request_end.append(accepted)
    return tracing


class _Stateless(kopf.DiffBaseStorage):
    """Keeps no last state of objects. Kopf would copy every object twice to find differences that nobody reads."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: Any) -> Any:
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        """Nothing is stored."""


def _settings(selectors: Mapping[Resource, Mapping[str, str]]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    # Kopf would have the whole process killed if its own end took too long.
    settings.process.ultimate_exiting_timeout = None
    settings.persistence.diffbase_storage = _Stateless()
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = STREAM_SECONDS
    settings.watching.client_timeout = STREAM_SECONDS + 10
    settings.watching.connect_timeout = 5
    settings.networking.request_timeout = 10
    settings.networking.error_backoffs = [0.2, 0.5, 1, 2]
    # A worker keeps its place for the idle time after its last event, so the idle time bounds throughput.
    settings.queueing.worker_limit = 200
    settings.queueing.idle_timeout = 0.05
    for resource, selector in selectors.items():
        key = (resource.group, resource.version, resource.plural)
        if fields := selector.get("fieldSelector"):
            settings.watching.field_selectors[key] = fields
        if labels := selector.get("labelSelector"):
            settings.watching.label_selectors[key] = labels
    return settings
