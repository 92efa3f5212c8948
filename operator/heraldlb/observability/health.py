"""The HTTP endpoints of both processes: `/livez`, `/readyz`, `/metrics`, and what else one has to tell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Gauge, disable_created_metrics, generate_latest

from heraldlb import __version__

BUILD: Final = Gauge("heraldlb_build_info", "Always 1; the label has the version that runs.", ["version"])

LARGEST_REQUEST: Final = 65_536
"""Octets of a request's body that are read."""

SHUTDOWN_SECONDS: Final = 1.0
"""For which a request under way may go on once the process ends."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Live: need not be restarted. Ready: does its work, or would at once. Each tells what is wrong, or nothing."""

    live: Callable[[], str]
    ready: Callable[[], str]


def split_address(address: str) -> tuple[str | None, int]:
    """Host and port of `host:port`, `[v6]:port` or `:port`; host None: every address of both families.

    Raises ValueError, saying what is expected.
    """
    host, separator, port = address.rpartition(":")
    if not separator or not port.isdigit() or not 0 <= int(port) < 65536:
        raise ValueError(f'"{address}" is not HOST:PORT, [IPv6]:PORT or :PORT')
    # A listener on "::" would leave out IPv4: asyncio makes IPv6 sockets IPv6-only.
    return None if host in ("", "[::]") else host.strip("[]"), int(port)


@asynccontextmanager
async def serve(address: str, probe: Probe, routes: Iterable[web.RouteDef] = ()) -> AsyncIterator[None]:
    """Serve the endpoints and `routes` on `address` inside the block; an empty address serves nothing."""
    if not address:
        yield
        return
    host, port = split_address(address)
    # When each counter was born would be a series more for each.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    BUILD.labels(__version__).set(1)
    app = web.Application(client_max_size=LARGEST_REQUEST)
    app.router.add_get("/livez", _probing(probe.live))
    app.router.add_get("/readyz", _probing(probe.ready))
    app.router.add_get("/metrics", _metrics)
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()


def _probing(check: Callable[[], str]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(_: web.Request) -> web.Response:
        problem = check()
        return web.Response(text=f"{problem or 'ok'}\n", status=503 if problem else 200)

    return answer


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
