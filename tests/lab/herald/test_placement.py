"""Which nodes announce: those with endpoints, that a policy admits, not excluded; and what is said when none."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from heraldlb.api.explanations import HINDRANCES
from heraldlb.api.reasons import Hindrance
from lab.waiting import wait_for
from tests.lab.herald.product import PATIENCE, condition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.host import Host
    from lab.lab import Lab
    from tests.lab.herald.conftest import Shop
    from tests.lab.herald.lan import Lan
    from tests.lab.herald.product import Exposed, Product

pytestmark = pytest.mark.usefixtures("settled")

EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"


@contextmanager
def policy(lab: Lab, **spec: Any) -> Iterator[None]:
    """An L2Announcement while it lasts. Once there is one, an address needs one that matches it."""
    body = {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "L2Announcement",
        "metadata": {"name": "tried"},
        "spec": spec,
    }
    lab.apply(body)
    try:
        yield
    finally:
        lab.kubectl("delete", "l2announcement", "tried")


def _hostname(*names: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": list(names)}]}


def _pin(lab: Lab, namespace: str, node: str) -> None:
    """Have the web server run on that node, and return when it does."""
    where = {"spec": {"template": {"spec": {"nodeSelector": {"kubernetes.io/hostname": node}}}}}
    lab.kubectl("patch", "deployment", "web", "-n", namespace, "-p", json.dumps(where))
    lab.wait_for_rollout("deployment/web", namespace)


def _await_silence(lan: Lan, door: Exposed) -> None:
    wait_for(
        f"nobody to answer for {door.addresses}",
        lambda: not any(lan.ask_for(0.5, *door.addresses).values()),
        PATIENCE,
    )


def _await_refusal(herald: Product, door: Exposed, why: Hindrance) -> None:
    """Until status and Event say that no node can announce the addresses, and of every node this."""
    expected = f"({', '.join(sorted(herald.lab.nodes))}: {HINDRANCES[why]})"

    def refused(address: str) -> bool:
        record = herald.record(address)
        announced = condition(record, "Announced")
        told = (announced.get("status"), announced.get("reason")) == ("False", "NoEligibleNode")
        return told and expected in announced["message"]

    def told() -> bool:
        notes = herald.events(door.namespace, door.name, "NoEligibleNode")
        return any(expected in note for note in notes)

    for address in door.addresses:
        wait_for(f"{address} to be said to have no eligible node", lambda a=address: refused(a), PATIENCE)  # type: ignore[misc]
        assert herald.owner(address) == ""
    wait_for("an Event that says so", told, PATIENCE)


def _called_healthy(herald: Product, door: Exposed) -> set[str]:
    """The nodes that tell a load balancer, at all their addresses, to send clients of the Service there."""
    lab = herald.lab
    port = lab.get("service", door.name, "-n", door.namespace)["spec"]["healthCheckNodePort"]

    def healthy(host: Host) -> bool:
        try:
            answers = [json.loads(lab.client.http_get(str(own), port)) for own in (host.ipv4, host.ipv6)]
        except OSError:
            return False
        return all(answer["localEndpoints"] == 1 for answer in answers)

    return {name for name, host in lab.nodes.items() if healthy(host)}


def test_a_local_service_is_announced_where_its_endpoint_is_and_follows_it(
    herald: Product, lab: Lab, namespace: str, lan: Lan
) -> None:
    herald.run(namespace, replicas=1)
    _pin(lab, namespace, "node-1")
    door = herald.expose(namespace, "web", externalTrafficPolicy="Local")
    for node in ("node-1", "node-3"):
        _pin(lab, namespace, node)
        answered = lan.await_sole_answerer(door.addresses, {herald.mac(node)})
        assert set(answered) == set(door.addresses)
        for address, own in zip(door.addresses, (lab.client.ipv4, lab.client.ipv6), strict=True):
            herald.await_owner(address, node)
            seen = herald.fetch(address)
            assert f" on {node}, " in seen
            assert seen.endswith(f"you are {own}\n"), "the pod does not see the client's own address"
        wait_for(
            f"{node} alone to be called healthy", lambda n=node: _called_healthy(herald, door) == {n}, PATIENCE
        )  # type: ignore[misc]


def test_a_policy_leaves_announcing_to_the_nodes_it_selects(
    shop: Shop, herald: Product, lab: Lab, lan: Lan
) -> None:
    for node in ("node-1", "node-2"):
        with policy(lab, nodeSelector=_hostname(node)):
            lan.await_sole_answerer(shop.addresses, {herald.mac(node)})
            for address in shop.doors[0].addresses:
                herald.await_owner(address, node)
                herald.fetch(address)


def test_a_preferred_node_announces_while_it_may_and_another_where_it_may_not(
    shop: Shop, herald: Product, lab: Lab, lan: Lan
) -> None:
    for node in ("node-1", "node-2"):
        with policy(lab, nodePreferences=[{"weight": 50, "nodeSelector": _hostname(node)}]):
            lan.await_sole_answerer(shop.addresses, {herald.mac(node)})
            lab.kubectl("cordon", node)
            try:
                lan.await_sole_answerer(shop.addresses, herald.macs(node))
            finally:
                lab.kubectl("uncordon", node)


def test_a_policy_leaves_announcing_to_the_interfaces_it_names(
    shop: Shop, lab: Lab, herald: Product, lan: Lan
) -> None:
    door = shop.doors[0]
    with policy(lab, interfaces={"exclude": ["eth*"]}):
        _await_silence(lan, door)
        _await_refusal(herald, door, Hindrance.NO_INTERFACE)
    with policy(lab, interfaces={"include": ["eth0"]}):
        lan.await_sole_answerer(door.addresses, herald.macs())


def test_a_policy_that_selects_no_node_silences_the_address_and_says_so_until_it_is_gone(
    shop: Shop, herald: Product, lab: Lab, lan: Lan
) -> None:
    door = shop.doors[0]
    with policy(lab, nodeSelector=_hostname("node-of-another-cluster")):
        _await_silence(lan, door)
        _await_refusal(herald, door, Hindrance.NOT_SELECTED)
        ready = wait_for(
            "the policy to say that it selects nothing",
            lambda: condition(lab.get("l2announcement", "tried"), "Ready"),
            PATIENCE,
        )
        assert (ready["status"], ready["reason"]) == ("False", "NoEligibleNode")
    lan.await_sole_answerer(door.addresses, herald.macs())
    for address in door.addresses:
        herald.await_owner(address)


def test_a_node_labelled_as_excluded_hands_its_addresses_over(
    shop: Shop, herald: Product, lab: Lab, lan: Lan
) -> None:
    node, *addresses = shop.pair()
    lab.kubectl("label", "node", node, f"{EXCLUDE}=")
    try:
        lan.await_sole_answerer(shop.addresses, herald.macs(node))
        for address in addresses:
            herald.await_owner(address, *(set(lab.nodes) - {node}))
    finally:
        lab.kubectl("label", "node", node, f"{EXCLUDE}-")
    lan.await_sole_answerer(addresses, {herald.mac(node)})


def test_a_cordoned_node_hands_its_addresses_over(shop: Shop, herald: Product, lab: Lab, lan: Lan) -> None:
    node, *addresses = shop.pair()
    since = {address: herald.placements()[address].since for address in addresses}
    lab.kubectl("cordon", node)
    try:
        lan.await_sole_answerer(shop.addresses, herald.macs(node))
        for address in addresses:
            owner = herald.await_owner(address, *(set(lab.nodes) - {node}))
            door, told = shop.door(address), f"{address} is announced by {owner} on eth0, taken over from {node}"
            wait_for(
                "an Event that names both nodes",
                lambda door=door, told=told: told in herald.events(door.namespace, door.name, "HandedOver"),  # type: ignore[misc]
                PATIENCE,
            )
            assert herald.placements()[address].since != since[address]
    finally:
        lab.kubectl("uncordon", node)


def test_balanced_per_client_each_client_is_answered_by_one_node_and_all_nodes_have_some(
    shop: Shop, herald: Product, lab: Lab, lan: Lan
) -> None:
    door, nodes = shop.doors[0], sorted(lab.nodes)
    stations = [f"02:66:6f:00:01:{number:02x}" for number in range(30)]
    shared = f"; {len(nodes)} nodes share its clients: {', '.join(nodes)}"
    with policy(lab, balancing="PerClient"):
        for address in door.addresses:
            wait_for(
                f"{address} to be said to be shared",
                lambda a=address: condition(herald.record(a), "Announced").get("message", "").endswith(shared),  # type: ignore[misc]
                PATIENCE,
            )
        began = time.monotonic()

        def answerers(address: str, station: str) -> set[str]:
            lan.ask_as(station, address)
            return {said.mac for said in lan.answers(address, began) if said.to == station}

        for address in door.addresses:
            for station in stations:
                wait_for("an answer", lambda a=address, s=station: answerers(a, s), PATIENCE)  # type: ignore[misc]
            by_station = [answerers(address, station) for station in stations]
            assert all(len(macs) == 1 for macs in by_station), by_station
            assert set.union(*by_station) == herald.macs()
            herald.fetch(address)
    lan.await_sole_answerer(door.addresses, herald.macs())
    for address in door.addresses:
        herald.fetch(address)
        wait_for(
            f"{address} to be said to be shared no more",
            lambda a=address: "share" not in condition(herald.record(a), "Announced")["message"],  # type: ignore[misc]
            PATIENCE,
        )


def test_what_hinders_each_node_is_told_anew_when_it_changes(
    shop: Shop, herald: Product, lab: Lab, lan: Lan
) -> None:
    door = shop.doors[0]
    first, *others = sorted(lab.nodes)

    def await_told(expected: str) -> None:
        for address in door.addresses:
            wait_for(
                f"{address} to be said to be announced by nobody: {expected}",
                lambda a=address: expected in condition(herald.record(a), "Announced").get("message", ""),  # type: ignore[misc]
                PATIENCE,
            )

    with policy(lab, nodeSelector=_hostname(first)):
        lan.await_sole_answerer(door.addresses, {herald.mac(first)})
        lab.kubectl("cordon", first)
        try:
            await_told(f"({first}: cordoned; {', '.join(others)}: {HINDRANCES[Hindrance.NOT_SELECTED]})")
            lab.kubectl("label", "node", first, f"{EXCLUDE}=")
            await_told(f"({first}: cordoned, labelled {EXCLUDE}; {', '.join(others)}: ")
        finally:
            lab.kubectl("uncordon", first)
            lab.kubectl("label", "node", first, f"{EXCLUDE}-")
        lan.await_sole_answerer(door.addresses, {herald.mac(first)})


@pytest.mark.parametrize("traffic_policy", ["Cluster", "Local"])
def test_a_service_is_announced_while_it_has_ready_endpoints(
    traffic_policy: str, herald: Product, lab: Lab, namespace: str, lan: Lan
) -> None:
    door = herald.expose(namespace, "web", externalTrafficPolicy=traffic_policy)
    _await_refusal(herald, door, Hindrance.NO_ENDPOINT)
    assert not any(lan.ask_for(0.5, *door.addresses).values())
    herald.run(namespace, replicas=1)
    lan.await_sole_answerer(door.addresses, herald.macs())
    for address in door.addresses:
        herald.await_owner(address)
        herald.fetch(address)
    lab.kubectl("scale", "deployment/web", "-n", namespace, "--replicas=0")
    _await_silence(lan, door)
    _await_refusal(herald, door, Hindrance.NO_ENDPOINT)
