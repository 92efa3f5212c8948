"""An address whose node is gone answers from another one, and from that one alone."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from lab.waiting import wait_for
from tests.lab.herald.lan import INTERFACE
from tests.lab.herald.product import PATIENCE, milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from lab.lab import Lab
    from tests.lab.herald.conftest import Shop
    from tests.lab.herald.lan import Lan
    from tests.lab.herald.product import Product


@contextmanager
def powered_off(herald: Product, node: str) -> Iterator[None]:
    herald.lab.power_off(node)
    try:
        yield
    finally:
        herald.lab.power_on(node)
        herald.wait_healthy()


@contextmanager
def unplugged(herald: Product, node: str) -> Iterator[None]:
    herald.lab.cut_link(node)
    try:
        yield
    finally:
        herald.lab.heal_link(node)
        herald.wait_healthy()


@contextmanager
def without_agent(herald: Product, node: str) -> Iterator[None]:
    """The agent dies at once; the kubelet stand-in starts another."""
    herald.agent(node).kill()
    yield
    herald.wait_healthy()


@contextmanager
def agent_stopped(herald: Product, node: str) -> Iterator[None]:
    agent = herald.agent(node)
    herald.lab.pause(agent)
    try:
        yield
    finally:
        herald.lab.resume(agent)
        herald.wait_healthy()


_ASKED_MEANWHILE = "02:66:6f:00:00:02"

FAULTS = [
    pytest.param(powered_off, id="power-off"),
    pytest.param(unplugged, id="link-cut"),
    pytest.param(without_agent, id="agent-killed"),
    pytest.param(agent_stopped, id="agent-stopped"),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_another_node_takes_over_tells_the_lan_and_says_so(
    fault: Callable[[Product, str], AbstractContextManager[None]],
    shop: Shop,
    herald: Product,
    lan: Lan,
    lab: Lab,
    record_property: Callable[[str, object], None],
) -> None:
    node, *addresses = shop.pair()
    old = herald.mac(node)
    for address in addresses:
        herald.fetch(address)

    def known(address: str) -> str:
        return lab.client.exec(["ip", "-j", "neigh", "show", "to", address, "dev", INTERFACE]).stdout

    began = time.monotonic()
    with fault(herald, node):
        others = herald.macs(node)
        lan.ask_until(
            f"another node than {node} to answer for {addresses}",
            lambda: all(any(said.mac in others for said in lan.answers(each, began)) for each in addresses),
            addresses,
        )
        for address in addresses:
            first = next(said for said in lan.answers(address, began) if said.mac in others)
            record_property(f"gap_ms {address}", milliseconds(began, first.time))
            announced = [said for said in lan.announcements(address, began) if said.mac in others]
            assert announced, f"the take-over of {address} was never announced"
            wait_for(f"the client's kernel to forget where {address} was", lambda a=address: old not in known(a))  # type: ignore[misc]
        for address in addresses:
            assert herald.fetch(address).startswith("Hello from web-")
            record_property(f"connected_ms {address}", milliseconds(began))
        if fault is not without_agent:
            _await_agreement(herald, lan, addresses, others)
    _await_agreement(herald, lan, addresses, herald.macs())


def _await_agreement(herald: Product, lan: Lan, addresses: Sequence[str], among: set[str]) -> None:
    """Until each address is answered by the one node that its status names, and that one of these."""

    def agreed() -> bool:
        answered, owners = lan.ask_for(0.2, *addresses), herald.announcers()
        return all(macs == {herald.mac(owners.get(each, ""))} <= among for each, macs in answered.items())

    wait_for("the LAN and the statuses to agree on who answers", agreed, PATIENCE)


def test_one_node_answers_before_a_power_cycle_one_other_during_it_and_one_after_it(
    shop: Shop, herald: Product, lan: Lan
) -> None:
    node, *addresses = shop.pair()
    before = lan.ask_for(1.0, *addresses)
    with powered_off(herald, node):
        lan.await_sole_answerer(addresses, herald.macs(node))
        during = lan.ask_for(1.0, *addresses)
    lan.await_sole_answerer(addresses, herald.macs())
    after = lan.ask_for(1.0, *addresses)
    for address in addresses:
        assert before[address] == {herald.mac(node)}
        assert len(during[address]) == 1
        assert not during[address] & before[address]
        assert len(after[address]) == 1


def test_a_stopped_agent_that_goes_on_answers_nothing_before_it_is_elected_again(
    shop: Shop, herald: Product, lan: Lan, lab: Lab
) -> None:
    node, *addresses = shop.pair()
    old = herald.mac(node)
    agent = herald.agent(node)
    lab.pause(agent)
    try:
        lan.await_sole_answerer(addresses, herald.macs(node))
        # These wait in the stopped agent's sockets, and name whom to answer.
        for _ in range(20):
            lan.ask_as(_ASKED_MEANWHILE, *addresses)
        wait_for("them to be answered", lambda: all(any(_meanwhile(lan, each)) for each in addresses))
    finally:
        resumed = time.monotonic()
        lab.resume(agent)
    herald.wait_healthy()
    lan.ask_for(1.0, *addresses)
    for address in addresses:
        assert old not in _meanwhile(lan, address), "what was asked while the agent was stopped was answered later"
        said = [each for each in lan.said(address, resumed) if each.mac == old]
        assert not said or said[0].announced, "it answered for an address that it had not taken anew"


def _meanwhile(lan: Lan, address: str) -> set[str]:
    """Who answered the questions that were asked while an agent was stopped."""
    return {said.mac for said in lan.answers(address) if said.to == _ASKED_MEANWHILE}


def test_an_orderly_stop_hands_over_without_a_failure_timeout(
    shop: Shop, herald: Product, lan: Lan, lab: Lab, record_property: Callable[[str, object], None]
) -> None:
    node, *addresses = shop.pair()
    old = herald.mac(node)
    pod = next(
        pod["metadata"]["name"]
        for pod in lab.items("pods", "-n", "kube-system", "-l", "app.kubernetes.io/component=agent")
        if pod["spec"]["nodeName"] == node
    )
    with lan.asking(*addresses):
        began = time.monotonic()
        lab.kubectl("delete", "pod", pod, "-n", "kube-system", "--wait=false")
        wait_for(
            f"another node than {node} to answer",
            lambda: all(any(said.mac != old for said in lan.answers(each, began)) for each in addresses),
            PATIENCE,
        )
    for address in addresses:
        last = max([began, *(said.time for said in lan.answers(address, began) if said.mac == old)])
        said = [said for said in lan.said(address, began) if said.mac != old]
        assert said[0].announced, "the new owner answers before it has told the LAN"
        answer = next(each for each in said if not each.announced)
        record_property(f"unanswered_ms {address}", milliseconds(last, answer.time))
    herald.wait_healthy()
