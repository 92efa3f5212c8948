"""Addresses that a host of the LAN had before anybody was given them: probed, quarantined, replaced."""

from __future__ import annotations

import ipaddress
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from lab.waiting import wait_for
from lab.workloads import service
from tests.lab.herald.conftest import SHOP
from tests.lab.herald.lan import INTERFACE
from tests.lab.herald.product import PATIENCE, condition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab
    from tests.lab.herald.conftest import Shop
    from tests.lab.herald.lan import Lan
    from tests.lab.herald.product import Product

NAME = "contested"
TAKEN = ("192.168.100.180", "fd00:100::e0:1")
FREE = ("192.168.100.181", "fd00:100::e0:2")
NAMED = ("192.168.100.182", "fd00:100::e0:3")
POOL = {
    "apiVersion": "heraldlb.io/v1beta1",
    "kind": "AddressPool",
    "metadata": {"name": NAME},
    "spec": {
        "addresses": [f"{first}-{last}" for first, last in zip(TAKEN, NAMED, strict=True)],
        "assignment": "OnRequest",
    },
}
_ASK_FOR = 0.5


@contextmanager
def had_by_a_host(lab: Lab, addresses: tuple[str, str]) -> Iterator[None]:
    """The client's own kernel has these."""
    for address in addresses:
        lab.client.exec(["ip", "addr", "add", *_on_link(address)])
    try:
        yield
    finally:
        for address in addresses:
            lab.client.exec(["ip", "addr", "del", *_on_link(address)[:3]], check=False)


def _on_link(address: str) -> list[str]:
    if ":" in address:
        return [f"{address}/128", "dev", INTERFACE, "nodad"]
    return [f"{address}/32", "dev", INTERFACE]


@pytest.fixture
def pool(lab: Lab, shop: Shop) -> Iterator[None]:
    """Three addresses of each family, for the Services in the shop that ask for them."""
    lab.apply(POOL)
    yield
    lab.kubectl("delete", "service", NAME, "-n", SHOP, "--ignore-not-found")
    lab.kubectl("delete", "addresspool", NAME)


def expose(lab: Lab, **annotations: str) -> None:
    wanted = {f"heraldlb.io/{key.replace('_', '-')}": value for key, value in annotations.items()}
    made = service(NAME, SHOP, selector={"app": "web"})
    made["metadata"]["annotations"] = wanted
    lab.apply(made)


def quarantined(lab: Lab) -> dict[str, str]:
    """The quarantined addresses of the pool, with the link-layer address of who has each."""
    entries: list[dict[str, Any]] = lab.get("addresspool", NAME).get("status", {}).get("quarantined", [])
    return {entry["address"]: entry.get("macAddress", "") for entry in entries}


def shows(herald: Product, addresses: tuple[str, ...]) -> bool:
    shown = {str(ipaddress.ip_address(each)) for each in herald.shown(SHOP, NAME)}
    return shown == set(addresses)


@pytest.mark.usefixtures("pool")
def test_a_service_gets_another_address_where_a_host_has_the_first(herald: Product, lan: Lan, lab: Lab) -> None:
    with had_by_a_host(lab, TAKEN):
        expose(lab, address_pool=NAME)
        wait_for("free addresses", lambda: shows(herald, FREE), PATIENCE)
        for address in FREE:
            assert herald.fetch(address)
        assert quarantined(lab) == dict.fromkeys(TAKEN, lab.client.mac_address)
        assert lan.ask_for(_ASK_FOR, *TAKEN) == {address: set() for address in TAKEN}
        notes = wait_for(
            "Events that name the host",
            lambda: len(found := herald.events(SHOP, NAME, "AddressConflict")) == 2 and found,
            PATIENCE,
        )
        for address in TAKEN:
            assert [note for note in notes if address in note and lab.client.mac_address in note]


@pytest.mark.usefixtures("pool")
def test_an_address_asked_for_by_name_is_announced_when_the_host_is_gone(
    herald: Product, lan: Lan, lab: Lab
) -> None:
    with had_by_a_host(lab, NAMED):
        expose(lab, addresses=",".join(NAMED))
        wait_for("the addresses", lambda: shows(herald, NAMED), PATIENCE)
        for address in NAMED:
            conflict = wait_for("the conflict", lambda a=address: _is(herald, a, "Conflict", "True"), PATIENCE)  # type: ignore[misc]
            assert lab.client.mac_address in conflict["message"]
            announced = condition(herald.record(address), "Announced")
            assert (announced["status"], announced["reason"]) == ("False", "AddressConflict")
            status = herald.record(address)["status"]
            assert status["conflict"] == {"macAddress": lab.client.mac_address, "interface": INTERFACE}
        wait_for("both to be quarantined", lambda: quarantined(lab).keys() >= set(NAMED), PATIENCE)
        assert lan.ask_for(_ASK_FOR, *NAMED) == {address: set() for address in NAMED}
        assert shows(herald, NAMED)
    for address in NAMED:
        owner = herald.await_owner(address)
        assert lan.await_sole_answerer([address], {herald.mac(owner)})
        assert herald.fetch(address)
        wait_for("the conflict to be over", lambda a=address: _is(herald, a, "Conflict", "False"), PATIENCE)  # type: ignore[misc]
    wait_for("the quarantine to end", lambda: not quarantined(lab).keys() & set(NAMED), PATIENCE)


def _is(herald: Product, address: str, kind: str, status: str) -> dict[str, Any] | None:
    found = condition(herald.record(address), kind)
    return found if found.get("status") == status else None
