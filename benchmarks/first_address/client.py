"""The measuring client, a process on the lab's client host: creates Services and prints one JSON line for each.

One loop holds a kept-alive connection to the API server, a watch of all Services, and the connections to new
addresses, so that what is measured is the cluster and not the start of tools.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import time
from pathlib import Path
from typing import Any, Final

from lab import workloads
from lab.api_client import MERGE_PATCH, Api, Changed

_PATH: Final = "/api/v1/namespaces/default/services"
_TIMEOUT: Final = 30.0
_PACE: Final = 0.005
"""Seconds between two attempts to connect: one that is lost would be repeated by TCP only after a second."""
_REST: Final = 0.2
"""Seconds between an answer and the next Service: what a Service leaves to be done (events, statuses, rules on the
other nodes) is done here by the cores that the next is measured on; in a cluster, each node has its own."""
_NOBODY: Final = "example.com/bare"
"""A loadBalancerClass that no controller serves."""

_REQUEST: Final = b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"


class Watch:
    """When each Service was first seen with an EXTERNAL-IP."""

    def __init__(self, api: Api, *, bare: bool) -> None:
        self._api = api
        self._bare = bare
        self._seen: dict[str, asyncio.Future[tuple[float, str]]] = {}
        self.listed = asyncio.Event()

    def expect(self, name: str) -> asyncio.Future[tuple[float, str]]:
        """The moment, in seconds of time.monotonic(), and the address."""
        return self._seen.setdefault(name, asyncio.get_running_loop().create_future())

    async def run(self) -> None:
        async for event in self._api.follow(_PATH):
            if not isinstance(event, Changed):
                self.listed.set()
                continue
            name = event.object["metadata"]["name"]
            ingress = event.object["status"]["loadBalancer"].get("ingress")
            if ingress and name in self._seen and not self._seen[name].done():
                self._seen[name].set_result((time.monotonic(), ingress[0]["ip"]))
            elif self._bare and event.type == "ADDED" and name in self._seen:
                # The least that a load balancer can do: one write, on seeing the Service.
                status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
                await self._api.request("PATCH", f"{_PATH}/{name}/status", status, MERGE_PATCH)


async def _ask(address: str) -> None:
    """One question, asked once; returns when it is answered. Raises OSError."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as connection:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(connection, (address, 80))
        await loop.sock_sendall(connection, _REQUEST)
        answer = await loop.sock_recv(connection, 4096)
        if not answer.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"{address} answered {answer[:40]!r}")


async def first_answer(address: str) -> tuple[float, int]:
    """When the first of connections begun every 5 ms was answered, and how many had been begun by then."""
    attempts: set[asyncio.Task[None]] = set()
    begun = 0
    try:
        while True:
            attempts.add(asyncio.create_task(_ask(address)))
            begun += 1
            done, attempts = await asyncio.wait(attempts, timeout=_PACE, return_when=asyncio.FIRST_COMPLETED)
            if any(attempt.exception() is None for attempt in done):
                return time.monotonic(), begun
            if done:
                # Refused, and at once: the pace holds all the same.
                await asyncio.sleep(_PACE)
    finally:
        for attempt in attempts:
            attempt.cancel()
        await asyncio.gather(*attempts, return_exceptions=True)


async def _measure(api: Api, watch: Watch, name: str, *, bare: bool) -> dict[str, Any]:
    spec: dict[str, Any] = {"selector": {"app": "web"}, "ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"]}
    if bare:
        spec["loadBalancerClass"] = _NOBODY
    service = workloads.service(name, **spec)
    seen = watch.expect(name)
    begun = time.monotonic()
    await api.request("POST", _PATH, service)
    created = time.monotonic()
    moment, address = await seen
    sample = {"service": name, "created": created - begun, "first_address": moment - begun}
    if not bare:
        answered, connections = await first_answer(address)
        sample |= {"first_answer": answered - begun, "connections": connections}
    return sample


async def _run(arguments: argparse.Namespace) -> None:
    async with Api(arguments.api_server, arguments.authority, arguments.identity) as api:
        watch = Watch(api, bare=arguments.bare)
        watching = asyncio.create_task(watch.run())
        await watch.listed.wait()
        names = [f"{'bare' if arguments.bare else 'web'}-{number}" for number in range(1, arguments.services + 1)]
        for name in names:
            async with asyncio.timeout(_TIMEOUT):
                sample = await _measure(api, watch, name, bare=arguments.bare)
            print(json.dumps(sample), flush=True)
            await asyncio.sleep(_REST)
        if arguments.bare:
            for name in names:
                await api.request("DELETE", f"{_PATH}/{name}")
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--api-server", required=True, help="its URL")
    parser.add_argument("--authority", type=Path, required=True, help="PEM file of the certificate authority")
    parser.add_argument("--identity", type=Path, required=True, help="PEM file of a client certificate and its key")
    parser.add_argument("--services", type=int, required=True, help="how many to create")
    parser.add_argument("--bare", action="store_true", help="be the load balancer, too: one write, nothing else")
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    main()
