"""What Services are told that ask for surviving connections where another proxy forwards."""

from __future__ import annotations

import asyncio

import pytest

from heraldlb.agent import objections
from heraldlb.agent.bystanding import Bystander
from heraldlb.api.group import CONNECTION_SURVIVAL_ANNOTATION
from heraldlb.api.reasons import Reason
from heraldlb.forwarding.mode import Stance
from heraldlb.kube.recorder import Happening
from tests.unit.agent.clusters import cluster_of, node, service

BESIDE = Stance(forwards=False, reason="kube-proxy is at work")


async def test_who_asks_is_told_while_another_proxy_forwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objections, "CONSULT", 0)
    asking, silent = service("asking", "10.96.0.1"), service("silent", "10.96.0.2")
    asking["metadata"]["annotations"] = {CONNECTION_SURVIVAL_ANNOTATION: "true"}
    cluster = cluster_of([node("node-1")], [asking, silent], [])
    heard: asyncio.Queue[Happening] = asyncio.Queue()
    looks: asyncio.Queue[Stance | None] = asyncio.Queue()
    stances = [None, Stance(forwards=True, reason="nobody else does"), BESIDE, BESIDE]

    def stance() -> Stance | None:
        looked = stances.pop(0) if stances else BESIDE
        if looked is BESIDE:
            looks.put_nowait(looked)
        else:
            assert heard.empty()
        return looked

    running = asyncio.create_task(Bystander(cluster, "node-1", stance, heard.put_nowait, period=0).run())
    async with asyncio.timeout(30):
        told = await heard.get()
        for _ in range(3):
            await looks.get()
    running.cancel()
    assert (told.subject.id.name, told.reason) == ("asking", Reason.CONNECTION_SURVIVAL_REFUSED)
    assert "kube-proxy is at work" in told.note
    assert heard.empty()
