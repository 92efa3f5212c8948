"""Kopf as a watcher: it keeps the connections, recognises what was lost, and hands every event on as it comes.

It runs in a thread and an event loop of its own, since it ends every task that was started after it, and may itself
end on an error that it takes for fatal; it is then started again.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import aiohttp
import kopf
from kubernetes.aio.client import Configuration

from heraldlb.kube.client import Resource

log = logging.getLogger(__name__)

RESTART_PERIOD = 1.0
"""Seconds before Kopf is started again."""

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
    stop: threading.Event,
) -> None:
    """Watch the kinds until `stop` is set. Blocks; `emit` and `restarted` are called in this thread."""
    while not stop.is_set():
        signs.tried()
        try:
            asyncio.run(_operate(configuration, selectors, emit, signs, stop))
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
    stop: threading.Event,
) -> None:
    sessions: WeakSet[aiohttp.ClientSession] = WeakSet()
    try:
        await kopf.operator(
            registry=_registry(configuration, selectors, emit, signs, sessions),
            settings=_settings(selectors),
            identity=_IDENTITY,
            standalone=True,
            clusterwide=True,
            stop_flag=stop,
        )
    finally:
        # Kopf closes those that it has used; here also those that came too late for that.
        for session in list(sessions):
            await session.close()


def _registry(
    configuration: Configuration,
    selectors: Mapping[Resource, Mapping[str, str]],
    emit: Emit,
    signs: Signs,
    sessions: WeakSet[aiohttp.ClientSession],
) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, retries=1)
    async def login(**_: Any) -> kopf.AiohttpSession:
        info = await _connection_info(configuration)
        # A server may be behind a proxy that has it under a path of its own.
        base = urlsplit(info.server).path.rstrip("/")
        made = _session(info, _tracing({base + resource.path(): resource for resource in selectors}, signs))
        sessions.add(made.aiohttp_session)
        return made

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


def _session(info: kopf.ConnectionInfo, tracing: aiohttp.TraceConfig) -> kopf.AiohttpSession:
    """What Kopf itself would make of it, and with an ear of ours."""
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        proxy=info.proxy_url,
        trace_configs=[tracing],
    )
    return kopf.AiohttpSession(aiohttp_session=session, server=info.server, expiration=info.expiration)


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
