"""The Services that a controller is to serve, made before it starts or while it runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from lab import workloads

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.api_client import Api

PATH: Final = "/api/v1/namespaces/default/services"
_AT_ONCE: Final = 16
"""Creates under way at the same time; more are not faster."""


def names(prefix: str, count: int) -> list[str]:
    """Names that sort in the order of creation."""
    return [f"{prefix}-{number:05}" for number in range(1, count + 1)]


def body(name: str) -> dict[str, Any]:
    """A Service of one family. Without node ports: there are fewer of these than Services here."""
    return workloads.service(
        name,
        selector={"app": "web"},
        ipFamilyPolicy="SingleStack",
        ipFamilies=["IPv4"],
        allocateLoadBalancerNodePorts=False,
    )


async def create(api: Api, wanted: Iterable[str]) -> None:
    """Create them as fast as the API server takes them. Raises ApiError, and UNREACHABLE."""
    remaining = iter(wanted)

    async def work() -> None:
        for name in remaining:
            await api.request("POST", PATH, body(name))

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
