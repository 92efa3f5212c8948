"""Who speaks for all, and once."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from heraldlb.agent import objections
from heraldlb.agent.cluster import Cluster
from heraldlb.agent.objections import Objections, spokesman
from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.forwarding.model import Frame, Objection, Plan, ServicePlan
from heraldlb.kube.recorder import Happening, Recorder, Subject

NODES = frozenset(f"node-{number}" for number in range(100))
WEB = Subject("v1", "Service", NamespacedName("default", "web"), "uid-web")
BAD = Objection(Reason.SCHEDULER_REFUSED, "no such scheduler")
WORSE = Objection(Reason.INVALID_WEIGHT, "no such weight")


def test_of_all_nodes_exactly_one_speaks_and_not_always_the_same() -> None:
    speakers = Counter(
        name
        for uid in map(str, range(200))
        for name in NODES
        if spokesman(uid, name, NODES - {name}, frozenset()) == name
    )
    assert speakers.total() == 200
    assert max(speakers.values()) < 10


def test_without_a_speaker_nodes_that_are_ready_count() -> None:
    speakers = [name for name in NODES if spokesman("uid", name, frozenset(), NODES) == name]
    assert len(speakers) == 1
    assert spokesman("uid", "alone", frozenset(), frozenset()) == "alone"


class Listening(Recorder):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Happening] = asyncio.Queue()

    def record(self, happening: Happening) -> None:
        self.heard.put_nowait(happening)


def plan_with(*objections: Objection) -> Plan:
    return Plan(Frame()).replace([ServicePlan(WEB.id, "", {}, objections=objections)])


async def test_an_objection_is_told_once_and_again_only_after_it_was_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objections, "CONSULT", 0)
    recorder = Listening()
    cluster = Cluster()
    metadata = {"namespace": "default", "name": "web", "uid": "uid-web", "resourceVersion": "1"}
    cluster.services.observe("ADDED", {"metadata": metadata})
    told = Objections(cluster, "node-1", recorder)
    running = asyncio.create_task(told.run())

    async def next_note() -> str:
        async with asyncio.timeout(30):
            return (await recorder.heard.get()).note

    def review(*objections: Objection) -> None:
        told.review(plan_with(*objections), [WEB.id], {})

    review(BAD)
    assert await next_note() == BAD.message
    review(BAD)
    review(BAD, WORSE)
    assert await next_note() == WORSE.message
    told.review(Plan(Frame()), [WEB.id], {})
    for _ in range(10):
        await asyncio.sleep(0)
    assert not told._changed
    review(BAD)
    assert await next_note() == BAD.message
    assert recorder.heard.empty()
    running.cancel()
