"""Asks agents, through the API server's proxy to pods."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from heraldlb.cli.kubectl.installation import Instance
from heraldlb.kube.client import PODS, REQUEST_TIMEOUT, Api, ApiError, ApiUnavailableError

T = TypeVar("T")

AT_ONCE = 8
"""Agents asked at the same time."""

BUSY = 5.0
"""Seconds after which one that has no time (HTTP 429) is asked once more."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What an agent said, and between which moments, in Unix seconds of this machine's clock."""

    text: str
    asked: float
    answered: float


async def ask_agents(
    api: Api,
    agents: Iterable[Instance],
    path: str,
    parse: Callable[[Reply], T],
    bodies: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    patience: float = REQUEST_TIMEOUT,
) -> dict[str, T | str]:
    """What each agent answers at that path of its metrics port, or why it could not be asked; by node.

    `parse` raises ValueError for what it cannot read. `bodies`: what to post, by node. `patience`: seconds.
    """
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(agent: Instance) -> tuple[str, T | str]:
        async with turns:
            return agent.node, await _ask(api, agent, path, parse, (bodies or {}).get(agent.node), patience)

    return dict(await asyncio.gather(*map(one, agents)))


async def _ask(
    api: Api,
    agent: Instance,
    path: str,
    parse: Callable[[Reply], T],
    body: Mapping[str, Any] | None,
    patience: float,
) -> T | str:
    if not agent.metrics_port:
        return f"the agent {agent.pod} serves no metrics"
    target = f"{agent.pod.name}:{agent.metrics_port}"
    url = PODS.path(agent.pod.namespace, target, "proxy") + path
    asked = time.time()
    try:
        try:
            text = await api.text(url, body, patience=patience)
        except ApiError as error:
            if error.status != 429:
                raise
            await asyncio.sleep(BUSY)
            asked = time.time()
            text = await api.text(url, body, patience=patience)
        return parse(Reply(text, asked, time.time()))
    except ApiError as error:
        if error.status == 403:
            return "these credentials may not reach pods through the API server (pods/proxy)"
        if error.status == 404:
            return f"the agent {agent.pod} has no {path}: it is gone, or of an older version"
        return f"the API server could not reach the agent {agent.pod}: {error}"
    except (ApiUnavailableError, ValueError) as error:
        return f"the agent {agent.pod} could not be asked: {error}"
