"""Asks agents for their metrics."""

from __future__ import annotations

from collections.abc import Iterable

from heraldlb.cli.kubectl.agents import ask_agents
from heraldlb.cli.kubectl.explain.counters import Scrape, parse_metrics
from heraldlb.cli.kubectl.installation import Instance
from heraldlb.kube.client import Api


async def ask(api: Api, agents: Iterable[Instance]) -> dict[str, Scrape | str]:
    """What each agent says of itself, or why it could not be asked; by node."""
    return await ask_agents(api, agents, "/metrics", lambda reply: parse_metrics(reply.text))
