"""Asks agents for their metrics, through the API server's proxy to pods."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from heraldlb.cli.kubectl.explain.counters import Scrape, parse_metrics
from heraldlb.cli.kubectl.installation import Instance
from heraldlb.kube.client import PODS, Api, ApiError, ApiUnavailableError

AT_ONCE = 8
"""Agents asked at the same time."""


async def ask(api: Api, agents: Iterable[Instance]) -> dict[str, Scrape | str]:
    """What each agent says of itself, or why it could not be asked; by node."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(agent: Instance) -> tuple[str, Scrape | str]:
        async with turns:
            return agent.node, await _ask(api, agent)

    return dict(await asyncio.gather(*map(one, agents)))


async def _ask(api: Api, agent: Instance) -> Scrape | str:
    if not agent.metrics_port:
        return f"the agent {agent.pod} serves no metrics"
    target = f"{agent.pod.name}:{agent.metrics_port}"
    try:
        return parse_metrics(await api.text(PODS.path(agent.pod.namespace, target, "proxy") + "/metrics"))
    except ApiError as error:
        if error.status == 403:
            return "these credentials may not reach pods through the API server (pods/proxy)"
        return f"the API server could not reach the agent {agent.pod}: {error}"
    except (ApiUnavailableError, ValueError) as error:
        return f"the agent {agent.pod} could not be asked: {error}"
