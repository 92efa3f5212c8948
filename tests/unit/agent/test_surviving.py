"""What the keeper of surviving connections does where the kernel refuses its tables."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from heraldlb.agent import surviving
from heraldlb.agent.surviving import SurvivalRole
from heraldlb.api.group import CONNECTION_SURVIVAL_ANNOTATION
from heraldlb.api.ranges import Family
from heraldlb.api.reasons import Reason
from heraldlb.forwarding.actual import Names
from heraldlb.forwarding.model import Frame
from heraldlb.forwarding.nft import NftError, NftFailure
from heraldlb.forwarding.pathways import Pathways
from heraldlb.forwarding.plan import make_plan
from heraldlb.kube.recorder import Happening
from tests.unit.agent.clusters import cluster_of, endpoint_slice, node, service
from tests.unit.forwarding.builders import NODE


class Refusing:
    """A kernel that has no `dup`, so that it refuses all but removals; until it has."""

    def __init__(self) -> None:
        self.refuses = True
        self.loaded = asyncio.Event()

    async def apply(self, text: str) -> None:
        if self.refuses and "add chain" in text:
            raise NftError(NftFailure.REFUSED, "Could not process rule: Operation not supported")
        if "goto translate" in text:
            self.loaded.set()

    async def check(self, text: str) -> None:
        """Nobody asks."""

    async def names(self, table: str) -> Mapping[Family, Names]:
        """Nothing was left."""
        return {}


async def test_services_are_told_once_that_a_kernel_refuses_and_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(surviving, "RETRY", 0)
    asking = service("asking", "10.96.0.1", vip="172.16.0.1")
    asking["metadata"]["annotations"] = {CONNECTION_SURVIVAL_ANNOTATION: "true"}
    cluster = cluster_of([node("node-1")], [asking], [endpoint_slice("asking", "10.244.1.5")])
    [subject] = cluster.services.values()
    kernel, heard = Refusing(), asyncio.Queue[Happening]()
    role = SurvivalRole(cluster, "node-1", kernel, kernel, lambda _: None, heard.put_nowait)
    running = asyncio.create_task(role.run())
    role.ways_changed(Pathways())
    role.applied(make_plan([subject], {subject.id: cluster.slices_of(subject.id)}, NODE, Frame()), NODE, ())
    async with asyncio.timeout(30):
        told = await heard.get()
        assert (told.subject.id, told.reason) == (subject.id, Reason.CONNECTION_SURVIVAL_REFUSED)
        assert "Operation not supported" in told.note
        kernel.refuses = False
        await kernel.loaded.wait()
    assert heard.empty()
    running.cancel()
