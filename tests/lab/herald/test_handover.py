"""A planned change moves addresses under a client's nose: the next node announces before the last one stops.

Every connection that the client opens is accepted and answered. So are those under way at the very moment of a
move: the next node, whose conntrack has never heard of them, hands their packets to the one that has.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from lab.probing import PATIENCE as ATTEMPT_PATIENCE
from lab.probing import asking
from lab.waiting import wait_for
from tests.lab.herald.product import PATIENCE, POOL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.lab.herald.conftest import Shop
    from tests.lab.herald.lan import Lan
    from tests.lab.herald.product import Product

EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"
EVERY = 0.005
"""Seconds between two connections of the client to an address."""


@contextmanager
def cordoned(herald: Product, node: str) -> Iterator[None]:
    herald.lab.kubectl("cordon", node)
    try:
        yield
    finally:
        herald.lab.kubectl("uncordon", node)


@contextmanager
def excluded(herald: Product, node: str) -> Iterator[None]:
    herald.lab.kubectl("label", "node", node, f"{EXCLUDE}=")
    try:
        yield
    finally:
        herald.lab.kubectl("label", "node", node, f"{EXCLUDE}-")


@contextmanager
def not_selected(herald: Product, node: str) -> Iterator[None]:
    herald.lab.apply(announcement("others", [each for each in herald.lab.nodes if each != node]))
    try:
        yield
    finally:
        herald.lab.kubectl("delete", "l2announcement", "others")


@contextmanager
def of_another_pool(herald: Product, node: str) -> Iterator[None]:
    """All that the node announces becomes another pool's, which is announced from the other nodes."""
    herald.lab.apply(
        announcement("all", list(herald.lab.nodes), POOL["metadata"]["name"]),
        announcement("others", [each for each in herald.lab.nodes if each != node], "others"),
    )
    held = [address for address, announcer in herald.announcers().items() if announcer == node]
    spec = {"addresses": held, "priority": 1, "assignment": "Paused"}
    herald.lab.apply({**POOL, "metadata": {"name": "others"}, "spec": spec})
    try:
        yield
    finally:
        herald.lab.kubectl("delete", "addresspool", "others")
        herald.lab.kubectl("delete", "l2announcement", "others", "all")


def announcement(name: str, nodes: list[str], *pools: str) -> dict[str, Any]:
    hostnames = {"key": "kubernetes.io/hostname", "operator": "In", "values": nodes}
    return {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "L2Announcement",
        "metadata": {"name": name},
        "spec": {"addressPools": list(pools), "nodeSelector": {"matchExpressions": [hostnames]}},
    }


@contextmanager
def upgraded(herald: Product, node: str) -> Iterator[None]:
    """The agent is asked to end, and another starts."""
    pods = herald.lab.items("pods", "-n", "kube-system", "-l", "app.kubernetes.io/component=agent")
    [pod] = [each["metadata"]["name"] for each in pods if each["spec"]["nodeName"] == node]
    herald.lab.kubectl("delete", "pod", pod, "-n", "kube-system", "--wait=false")
    yield


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(cordoned, id="cordon"),
        pytest.param(excluded, id="label"),
        pytest.param(not_selected, id="policy"),
        pytest.param(of_another_pool, id="pool"),
        pytest.param(upgraded, id="agent-upgrade"),
    ],
)
def test_no_connection_is_lost_during_a_planned_change(
    change: Callable[[Product, str], AbstractContextManager[None]],
    shop: Shop,
    herald: Product,
    lan: Lan,
    record_property: Callable[[str, object], None],
) -> None:
    node, *addresses = shop.pair()
    others = herald.macs(node)

    def moved(since: float, macs: set[str]) -> bool:
        return all(any(said.mac in macs for said in lan.announcements(each, since)) for each in addresses)

    with asking(herald.lab.client, addresses, interval=EVERY) as prober:
        began = time.monotonic()
        wait_for("the client to be answered", lambda: all(prober.answered_since(a, began) for a in addresses))
        began = time.monotonic()
        with change(herald, node):
            wait_for(f"others than {node} to announce {addresses}", lambda: moved(began, others), PATIENCE)
            time.sleep(2 * ATTEMPT_PATIENCE)
        back = time.monotonic()
        wait_for("the addresses to be announced in order", lambda: herald.announcers().keys() >= set(addresses))
        time.sleep(2 * ATTEMPT_PATIENCE)
    for address in addresses:
        attempts = [each for each in prober.attempts[address] if each.begun >= began]
        broken = [each for each in attempts if not each.answered]
        record_property(f"connections {address}", len(attempts))
        record_property(f"broken {address}", len(broken))
        assert len(attempts) > (back - began) / EVERY / 8, "the client hardly asked"
        assert not broken
    herald.wait_healthy()
    lan.await_sole_answerer(addresses, herald.macs())
