"""Startup, readiness and liveness probes as the kubelet makes them: HTTP, TCP and commands."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_GOOD = range(200, 400)
_RETRY = 0.5


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe of one container; times in seconds."""

    action: Mapping[str, Any]
    host: str
    ports: Mapping[str, int]
    """The container's named ports."""
    initial_delay: float
    period: float
    timeout: float
    failures: int
    successes: int

    @classmethod
    def of(cls, container: Mapping[str, Any], kind: str, host: str) -> Probe | None:
        """`kind`: startupProbe, readinessProbe or livenessProbe. None if the container has no such probe."""
        spec = container.get(kind)
        if not spec:
            return None
        return cls(
            action=spec,
            host=host,
            ports={port["name"]: port["containerPort"] for port in container.get("ports", ()) if "name" in port},
            initial_delay=spec.get("initialDelaySeconds", 0),
            period=spec.get("periodSeconds", 10),
            timeout=spec.get("timeoutSeconds", 1),
            failures=spec.get("failureThreshold", 3),
            successes=spec.get("successThreshold", 1),
        )

    def _port(self, value: int | str) -> int:
        return self.ports[value] if isinstance(value, str) else value

    async def _http(self, spec: Mapping[str, Any]) -> bool:
        host, context = spec.get("host") or self.host, None
        if spec.get("scheme") == "HTTPS":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(host, self._port(spec["port"]), ssl=context)
        try:
            request = f"GET {spec.get('path', '/')} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            words = (await reader.readline()).split()
            return len(words) > 1 and int(words[1]) in _GOOD
        finally:
            writer.close()

    async def _tcp(self, spec: Mapping[str, Any]) -> bool:
        _, writer = await asyncio.open_connection(spec.get("host") or self.host, self._port(spec["port"]))
        writer.close()
        return True

    async def once(self) -> bool:
        """Whether the container passes now."""
        with suppress(OSError, TimeoutError, ValueError, KeyError):
            async with asyncio.timeout(self.timeout):
                if spec := self.action.get("httpGet"):
                    return await self._http(spec)
                if spec := self.action.get("tcpSocket"):
                    return await self._tcp(spec)
        return False

    async def follow(self, report: Callable[[bool], None]) -> None:
        """Probe for ever, and report every result that the thresholds make count.

        What fails is asked again soon, so that a start is not rounded up to a whole period; it counts as failed
        when it has failed for as long as `failures` whole periods would have taken to tell.
        """
        await asyncio.sleep(self.initial_delay)
        time = asyncio.get_running_loop().time
        in_a_row, failing_since = 0, None
        while True:
            if await self.once():
                in_a_row, failing_since = in_a_row + 1, None
                if in_a_row >= self.successes:
                    report(True)
                await asyncio.sleep(self.period)
                continue
            in_a_row, failing_since = 0, time() if failing_since is None else failing_since
            if time() - failing_since >= (self.failures - 1) * self.period:
                report(False)
            await asyncio.sleep(min(self.period, _RETRY))


def unsupported(container: Mapping[str, Any]) -> str | None:
    """The probe that the lab cannot make, if there is one."""
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        spec = container.get(kind)
        if spec and not spec.keys() & {"httpGet", "tcpSocket"}:
            return kind
    return None
