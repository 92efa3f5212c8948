"""Herald installed in the lab, and a shop that every test can buy at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from lab.waiting import wait_for
from lab.workloads import service
from tests.lab.herald.lan import Lan
from tests.lab.herald.product import PATIENCE, POOL, Exposed, Product

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab

SHOP = "shop"
_DOORS = 6
"""So many that some node announces addresses of both families (each goes to a node of its own)."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Web servers, one on each node, behind several Services."""

    product: Product
    doors: tuple[Exposed, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(address for door in self.doors for address in door.addresses)

    def pair(self) -> tuple[str, str, str]:
        """A node, and an address of each family that it announces."""
        owners = self.product.announcers()
        for node in self.product.lab.nodes:
            ipv4 = [door.ipv4 for door in self.doors if owners.get(door.ipv4) == node]
            ipv6 = [door.ipv6 for door in self.doors if owners.get(door.ipv6) == node]
            if ipv4 and ipv6:
                return node, ipv4[0], ipv6[0]
        raise AssertionError("no node announces addresses of both families")

    def is_in_order(self, lan: Lan) -> bool:
        """Whether every address is answered by exactly the node that its status names."""
        answered = lan.ask_for(0.2, *self.addresses)
        owners = self.product.announcers()
        return all(macs == {self.product.mac(owners.get(address, ""))} for address, macs in answered.items())

    def door(self, address: str) -> Exposed:
        return next(door for door in self.doors if address in door.addresses)


@pytest.fixture(scope="session")
def installed(lab: Lab) -> Product:
    product = Product(lab)
    product.install()
    lab.apply(POOL)
    return product


@pytest.fixture(scope="session")
def open_shop(installed: Product) -> Shop:
    lab = installed.lab
    lab.create_namespace(SHOP)
    installed.run(SHOP, replicas=len(lab.nodes))
    names = [f"door-{number}" for number in range(_DOORS)]
    lab.apply(*(service(name, SHOP, selector={"app": "web"}) for name in names))
    return Shop(installed, tuple(installed.exposed(SHOP, name) for name in names))


@pytest.fixture
def herald(installed: Product) -> Product:
    """Herald at its best; a test that harms it waits until it is again."""
    installed.wait_healthy()
    return installed


@pytest.fixture
def settled(herald: Product) -> None:
    """No address is about to move by itself. To be asked for before the shop."""
    herald.wait_settled()


@pytest.fixture
def lan(lab: Lab) -> Iterator[Lan]:
    with Lan(lab.client) as heard:
        yield heard


@pytest.fixture
def shop(herald: Product, open_shop: Shop, lan: Lan) -> Shop:
    """Every address of it is answered by exactly the node that its status names."""
    wait_for("the shop to be in order", lambda: open_shop.is_in_order(lan), PATIENCE)
    return open_shop
