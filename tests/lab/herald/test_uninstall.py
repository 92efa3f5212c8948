"""Uninstalling takes nothing from users' Services and blocks nothing; installing again finds all as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.lab import Lab
from lab.waiting import wait_for
from tests.lab.herald.lan import Lan
from tests.lab.herald.product import PATIENCE, Product

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.lab.herald.product import Exposed


@pytest.fixture(scope="module", name="lab")
def other_lab() -> Iterator[Lab]:
    """A lab of its own: what is uninstalled here is in use elsewhere."""
    with Lab(nodes=2) as lab:
        yield lab


def _tables(lab: Lab) -> set[str]:
    return {line for host in lab.nodes.values() for line in host.exec(["nft", "list", "tables"]).stdout.splitlines()}


def _gone(lab: Lab, namespace: str) -> bool:
    return not lab.items("namespaces", f"--field-selector=metadata.name={namespace}")


def test_services_outlive_an_uninstallation_and_find_their_addresses_again(lab: Lab) -> None:
    bare = _tables(lab)
    herald = Product(lab)
    herald.install()
    kept, dropped = "kept", "dropped"
    doors: dict[str, Exposed] = {}
    for namespace in (dropped, kept):
        lab.create_namespace(namespace)
        herald.run(namespace, replicas=1)
        doors[namespace] = herald.expose(namespace, "web")
    with Lan(lab.client) as lan:
        lan.await_sole_answerer(doors[kept].addresses, herald.macs())
        before = lab.get("service", "web", "-n", kept)
        assert "finalizers" not in str([key for key in before["metadata"]]) or not [
            each for each in before["metadata"]["finalizers"] if "herald" in each
        ]
        assert not [key for key in before["metadata"].get("annotations", {}) if "herald" in key or "kopf" in key]

        lab.uninstall()
        wait_for("nobody to answer", lambda: not any(lan.ask_for(0.5, *doors[kept].addresses).values()), PATIENCE)
        print("left:", _tables(lab) - bare, "status:", herald.shown(kept, "web"))
        after = lab.get("service", "web", "-n", kept)
        assert after["spec"] == before["spec"]
        lab.kubectl("delete", "namespace", dropped, "--wait=false")
        wait_for("the namespace to be gone", lambda: _gone(lab, dropped), PATIENCE)

        herald.install()
        again = herald.exposed(kept, "web")
        assert again == doors[kept]
        lan.await_sole_answerer(again.addresses, herald.macs())
        for address in again.addresses:
            herald.await_owner(address)
            herald.fetch(address)
