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
from typing import Any

import kopf
from kubernetes.aio.client import Configuration

from heraldlb.kube.client import Resource

log = logging.getLogger(__name__)

RESTART_PERIOD = 1.0
"""Seconds before Kopf is started again."""

_REREAD_AFTER = datetime.timedelta(minutes=5)
"""A projected ServiceAccount token is replaced on disk well before it expires; its readers must follow."""

# Peering is off, so nobody reads it; left to itself, Kopf asks for its user's name, which a container may lack.
_IDENTITY: Any = "heraldlb"

Emit = Callable[[Resource, str | None, dict[str, Any]], None]
"""Takes the kind, the event's type (None for an object that was listed), and the object."""


def watch(
    configuration: Configuration,
    selectors: Mapping[Resource, Mapping[str, str]],
    emit: Emit,
    restarted: Callable[[], None],
    stop: threading.Event,
) -> None:
    """Watch the kinds until `stop` is set. Blocks; `emit` and `restarted` are called in this thread."""
    while not stop.is_set():
        try:
            asyncio.run(
                kopf.operator(
                    registry=_registry(configuration, selectors, emit),
                    settings=_settings(selectors),
                    identity=_IDENTITY,
                    standalone=True,
                    clusterwide=True,
                    stop_flag=stop,
                )
            )
        except Exception:
            log.exception("the watch layer ended; starting it again")
        if stop.wait(RESTART_PERIOD):
            return
        restarted()


def _registry(
    configuration: Configuration, selectors: Mapping[Resource, Mapping[str, str]], emit: Emit
) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry, retries=1)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await _connection_info(configuration)

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
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 310
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
