"""What the switch does where the node cannot be looked at or its rules not be removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from heraldlb.agent import switching
from heraldlb.agent.switching import ForwardingSwitch
from heraldlb.forwarding.mode import Mode
from heraldlb.forwarding.nft import NftError, NftFailure
from heraldlb.forwarding.proxies import KUBE_PROXY_TABLES, Evidence, Heartbeat

BESIDE_KUBE_PROXY = Evidence(frozenset(KUBE_PROXY_TABLES), answers={Heartbeat.KUBE_PROXY_MODE: "nftables"})


class Node:
    """A node whose evidence and kernel a test decides on."""

    def __init__(self, evidence: Callable[[], Evidence], refusals: int = 0) -> None:
        self.evidence = evidence
        self.refusals = refusals
        self.forwarding = asyncio.Event()
        self.removed = asyncio.Event()

    async def gather(self, closely: bool) -> Evidence:
        return self.evidence()

    async def forward(self) -> None:
        self.forwarding.set()
        await asyncio.Event().wait()

    async def remove(self) -> None:
        if self.refusals:
            self.refusals -= 1
            raise NftError(NftFailure.TIMEOUT, "nft did not finish")
        self.removed.set()

    async def no(self) -> bool:
        return False


@asynccontextmanager
async def switch(node: Node, mode: Mode = Mode.AUTO) -> AsyncIterator[ForwardingSwitch]:
    recorder: Any = None
    made = ForwardingSwitch(
        mode,
        "node-1",
        recorder,
        node.gather,
        lambda: None,
        node.no,
        work=[node.forward],
        remove=node.remove,
    )
    running = asyncio.create_task(made.run())
    try:
        async with asyncio.timeout(10):
            yield made
    finally:
        running.cancel()
        await asyncio.wait({running})


def unreadable() -> Evidence:
    raise PermissionError("netlink")


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.FULL])
async def test_services_are_forwarded_where_the_node_cannot_be_looked_at(mode: Mode) -> None:
    node = Node(unreadable)
    async with switch(node, mode):
        await node.forwarding.wait()


async def test_rules_that_could_not_be_removed_are_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switching, "LOOK_PERIOD", 0.01)
    node = Node(lambda: BESIDE_KUBE_PROXY, refusals=2)
    async with switch(node) as made:
        await node.removed.wait()
        assert made.stance is not None
        assert not made.stance.forwards
    assert not node.forwarding.is_set()


async def test_a_failure_of_the_forwarder_is_not_hidden() -> None:
    node = Node(Evidence)

    async def broken() -> None:
        raise RuntimeError("broken")

    recorder: Any = None
    failing = ForwardingSwitch(
        Mode.FULL, "n", recorder, node.gather, lambda: None, node.no, work=[broken], remove=node.remove
    )
    with pytest.raises(ExceptionGroup):
        async with asyncio.timeout(10):
            await failing.run()
