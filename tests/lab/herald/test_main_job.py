"""What users come for: an address that answers on the LAN, said by the objects as it is on the wire."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from lab.waiting import wait_for
from tests.lab.herald.lan import INTERFACE
from tests.lab.herald.product import condition

if TYPE_CHECKING:
    from lab.host import Host
    from lab.lab import Lab
    from tests.lab.herald.conftest import Shop
    from tests.lab.herald.lan import Lan
    from tests.lab.herald.product import Product


def _neighbour(host: Host, address: str) -> dict[str, object]:
    """What the host's kernel knows of a neighbour."""
    [entry] = json.loads(host.exec(["ip", "-j", "neigh", "show", "to", address, "dev", INTERFACE]).stdout)
    found: dict[str, object] = entry
    return found


def test_the_external_address_of_both_families_answers_a_client_on_the_lan(shop: Shop, lab: Lab) -> None:
    for address in shop.doors[0].addresses:
        assert re.match(r"Hello from web-\S+ on node-\d, you are \S+\n", lab.client.http_get(address))


def test_the_kernel_of_a_client_learns_the_hardware_address_that_the_status_names(
    shop: Shop, herald: Product, lab: Lab
) -> None:
    for address in shop.doors[0].addresses:
        lab.client.exec(["ip", "neigh", "flush", "to", address, "dev", INTERFACE])
        lab.client.http_get(address)
        neighbour, status = _neighbour(lab.client, address), herald.record(address)["status"]
        assert neighbour["lladdr"] == status["macAddress"] == herald.mac(status["node"])
        assert "PERMANENT" not in str(neighbour["state"])


def test_the_status_says_who_announces_where_and_since_when(shop: Shop, herald: Product) -> None:
    for address in shop.doors[0].addresses:
        record = herald.record(address)
        status = record["status"]
        assert status["interface"] == INTERFACE
        assert datetime.fromisoformat(status["since"]) <= datetime.now(UTC)
        announced = condition(record, "Announced")
        assert (announced["status"], announced["reason"]) == ("True", "Announcing")
        assert status["node"] in announced["message"]
        assert condition(record, "Conflict").get("status") != "True"
        [holder] = record["spec"]["services"]
        assert (holder["namespace"], holder["name"]) == (shop.doors[0].namespace, shop.doors[0].name)


def test_no_node_has_the_address_assigned_to_an_interface(shop: Shop, lab: Lab) -> None:
    for host in lab.nodes.values():
        interfaces = json.loads(host.exec(["ip", "-j", "addr"]).stdout)
        assigned = {entry["local"] for interface in interfaces for entry in interface["addr_info"]}
        assert str(host.ipv4) in assigned
        assert not assigned & set(shop.addresses)


def test_connections_reach_every_backend(shop: Shop, lab: Lab) -> None:
    pods = {pod["metadata"]["name"] for pod in lab.items("pods", "-n", shop.doors[0].namespace)}
    for address in shop.doors[0].addresses:
        reached: set[str] = set()

        def all_reached(address: str = address, reached: set[str] = reached) -> bool:
            reached.add(lab.client.http_get(address).split()[2])
            return reached >= pods

        wait_for(f"every pod to be reached through {address}", all_reached)
        assert reached == pods


def test_every_node_answers_on_the_node_port(shop: Shop, lab: Lab) -> None:
    for host in lab.nodes.values():
        for own in (host.ipv4, host.ipv6):
            assert lab.client.http_get(str(own), shop.doors[0].node_port).startswith("Hello from web-")


@pytest.mark.usefixtures("settled")
def test_exactly_one_node_answers_for_each_address(shop: Shop, herald: Product, lan: Lan) -> None:
    answered = lan.ask_for(2.0, *shop.addresses)
    assert answered == {address: {herald.mac(herald.owner(address))} for address in shop.addresses}


def test_a_deleted_service_is_answered_for_no_more(herald: Product, lab: Lab, namespace: str, lan: Lan) -> None:
    herald.run(namespace, replicas=1)
    door = herald.expose(namespace, "web")
    lan.await_sole_answerer(door.addresses, herald.macs())
    lab.kubectl("delete", "service", "web", "-n", namespace)
    wait_for("its addresses to be free", lambda: not _recorded(lab, namespace))
    wait_for("nobody to answer", lambda: not any(lan.ask_for(0.3, *door.addresses).values()))


def _recorded(lab: Lab, namespace: str) -> list[str]:
    records = lab.items("serviceaddresses")
    return [
        record["metadata"]["name"]
        for record in records
        if any(holder["namespace"] == namespace for holder in record["spec"]["services"])
    ]
