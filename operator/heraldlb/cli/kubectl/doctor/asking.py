"""Asks agents what they know of their nodes, and what they find on their networks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from heraldlb.cli.kubectl.agents import Reply, ask_agents
from heraldlb.cli.kubectl.doctor.seen import Examined, Reading, Surveyed
from heraldlb.cli.kubectl.installation import Instance
from heraldlb.examination.codec import decode, encode
from heraldlb.examination.endpoint import KEPT, PATH
from heraldlb.examination.facts import NodeFacts
from heraldlb.examination.survey import Question, Survey
from heraldlb.kube.client import Api

T = TypeVar("T")

SURVEY_PATIENCE: Final = 30.0
"""Seconds: as many probes as one question may have are sent one after the other, and DHCP servers take theirs."""


async def examine(api: Api, agents: Iterable[Instance]) -> dict[str, Examined | str]:
    """What each agent knows, or why it could not be asked; by node."""
    return await ask_agents(api, agents, PATH, _examined)


async def survey(
    api: Api, agents: Iterable[Instance], questions: Mapping[str, Question]
) -> dict[str, Surveyed | str]:
    """What the agents that have a question find out, or why one could not be asked; by node."""
    asked = [agent for agent in agents if agent.node in questions]
    bodies = {node: encode(question) for node, question in questions.items()}
    found = await ask_agents(api, asked, PATH, _survey, bodies, patience=SURVEY_PATIENCE)
    return {
        node: answer if isinstance(answer, str) else Surveyed(questions[node], answer)
        for node, answer in found.items()
    }


def answered(found: Mapping[str, T | str]) -> dict[str, T]:
    """Of those, the ones that answered."""
    return {node: answer for node, answer in found.items() if not isinstance(answer, str)}


def unanswered(found: Mapping[str, Any]) -> dict[str, str]:
    """Of those, why the others did not."""
    return {node: answer for node, answer in found.items() if isinstance(answer, str)}


def reading(clock: float, since: float, until: float, granularity: float) -> Reading:
    """Of a clock that showed this at some moment between the two, and may have been read earlier by `granularity`.

    All in Unix seconds, the moments by this machine's clock.
    """
    earliest, latest = since - granularity, until
    return Reading(clock - (earliest + latest) / 2, (latest - earliest) / 2)


def _examined(reply: Reply) -> Examined:
    facts = decode(NodeFacts, json.loads(reply.text))
    return Examined(facts, reading(facts.clock, reply.asked, reply.answered, KEPT))


def _survey(reply: Reply) -> Survey:
    return decode(Survey, json.loads(reply.text))
