"""Endpoints of a node that its peers have lost get no traffic, long before the API server knows; unless there are
no others, since an agent can die alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from heraldlb.api.explanations import HINDRANCES
from heraldlb.api.reasons import Hindrance
from lab.waiting import wait_for
from tests.lab.herald.product import PATIENCE, condition

if TYPE_CHECKING:
    from lab.lab import Lab
    from tests.lab.herald.conftest import Shop
    from tests.lab.herald.lan import Lan
    from tests.lab.herald.product import Exposed, Product

_ENOUGH = 40
"""Connections of which none goes to one of three endpoints by chance in one case of ten million."""


def _servers(herald: Product, address: str) -> set[str]:
    """The nodes of the pods that answer so many new connections, each within the time of one."""
    said = [herald.lab.client.http_get(address, 80, timeout=2.0) for _ in range(_ENOUGH)]
    return {next(node for node in herald.lab.nodes if f" on {node}, " in each) for each in said}


def _await_lost(herald: Product, node: str) -> None:
    """Until every other agent has given that one up."""
    others = [name for name in herald.lab.nodes if name != node]
    for name in others:
        wait_for(
            f"{name} to miss {node}",
            lambda name=name: herald.metrics(name)["heraldlb_speaker_peers_alive"] == len(others) - 1,  # type: ignore[misc]
            PATIENCE,
        )


def _await_servers(herald: Product, address: str, nodes: set[str]) -> None:
    def as_wanted() -> bool:
        try:
            return _servers(herald, address) == nodes
        except OSError:
            return False

    wait_for(f"{address} to be served by {sorted(nodes)}", as_wanted, PATIENCE)


def test_endpoints_of_a_dead_node_get_nothing_while_the_api_server_is_away_and_are_back_when_it_lives(
    shop: Shop, herald: Product, lab: Lab, lan: Lan
) -> None:
    node, *addresses = shop.pair()
    everybody = set(lab.nodes)
    for address in addresses:
        _await_servers(herald, address, everybody)
    lab.stop_api_server()
    try:
        lab.power_off(node)
        lan.await_sole_answerer(addresses, herald.macs(node))
        _await_lost(herald, node)
        for address in addresses:
            _await_servers(herald, address, everybody - {node})
    finally:
        lab.start_api_server()
        lab.power_on(node)
        herald.wait_healthy()
    for address in addresses:
        _await_servers(herald, address, everybody)


@pytest.mark.parametrize("traffic_policy", ["Cluster", "Local"])
def test_the_only_endpoint_goes_on_being_used_though_the_agent_beside_it_is_hung(
    traffic_policy: str, herald: Product, lab: Lab, namespace: str, lan: Lan
) -> None:
    herald.run(namespace, replicas=1)
    node = "node-1"
    where = {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": node}}}}}
    lab.kubectl("patch", "deployment", "web", "-n", namespace, "-p", json.dumps(where))
    lab.wait_for_rollout("deployment/web", namespace)
    door = herald.expose(namespace, "web", externalTrafficPolicy=traffic_policy)
    agent = herald.agent(node)
    lan.await_sole_answerer(door.addresses, herald.macs())
    lab.pause(agent)
    try:
        _await_lost(herald, node)
        if traffic_policy == "Local":
            _await_refusal_of_hung_node(herald, door, node)
        else:
            lan.await_sole_answerer(door.addresses, herald.macs(node))
            for address in door.addresses:
                _await_servers(herald, address, {node})
    finally:
        lab.resume(agent)
        herald.wait_healthy()
    lan.await_sole_answerer(door.addresses, herald.macs())
    for address in door.addresses:
        herald.fetch(address)


def _await_refusal_of_hung_node(herald: Product, door: Exposed, node: str) -> None:
    expected = f"{node}: {HINDRANCES[Hindrance.NOT_HEARD]}"
    for address in door.addresses:
        wait_for(
            f"{address} to be said to wait for the agent on {node}",
            lambda a=address: expected in condition(herald.record(a), "Announced").get("message", ""),  # type: ignore[misc]
            PATIENCE,
        )


def _await_event(herald: Product, door: Exposed, words: str) -> None:
    def told() -> bool:
        return any(words in note for note in herald.events(door.namespace, door.name, "HandedOver"))

    wait_for(f"an Event: {words}", told, PATIENCE)


def test_a_failover_is_counted_and_told_with_the_node_that_was_lost(shop: Shop, herald: Product, lab: Lab) -> None:
    node, *addresses = shop.pair()
    others = sorted(set(lab.nodes) - {node})

    def failovers() -> float:
        return sum(herald.metrics(name)["heraldlb_speaker_failovers_total"] for name in others)

    before = failovers()
    lab.power_off(node)
    try:
        for address in addresses:
            owner = herald.await_owner(address, *others)
            door = shop.door(address)
            came = f"taken over from {node}, whose agent is not heard any more"
            _await_event(herald, door, f"{address} is announced by {owner} on eth0, {came}")
        assert failovers() - before >= len(addresses)
    finally:
        lab.power_on(node)
        herald.wait_healthy()


@pytest.mark.parametrize("number", [0, 1], ids=["IPv4", "IPv6"])
def test_an_external_ip_answers_ping(number: int, shop: Shop, herald: Product, lab: Lab) -> None:
    address = shop.doors[0].addresses[number]
    herald.await_owner(address)
    wait_for(
        f"{address} to answer ping",
        lambda: lab.client.exec(["ping", "-n", "-c", "1", "-W", "1", address], check=False).returncode == 0,
        PATIENCE,
    )
