"""Uninstalling takes nothing from users' Services, blocks nothing and leaves no rule on a node; installing again
finds all as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.lab import Lab
from lab.waiting import wait_for
from tests.lab.herald.lan import Lan
from tests.lab.herald.product import CHART, PATIENCE, POOL, Product, record_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.host import Host
    from tests.lab.herald.product import Exposed


SPEAKER_TABLES = {"table inet heraldlb-ping", "table ip heraldlb-detour", "table ip6 heraldlb-detour"}
TABLES = {"table ip heraldlb", "table ip6 heraldlb", *SPEAKER_TABLES}


@pytest.fixture(scope="module", name="lab")
def other_lab() -> Iterator[Lab]:
    """A lab of its own: what is uninstalled here is in use elsewhere."""
    with Lab(nodes=2) as lab:
        yield lab


def test_an_uninstallation_takes_no_address_blocks_nothing_and_leaves_no_rule(lab: Lab) -> None:
    herald = Product(lab)
    herald.install()
    lab.apply(POOL)
    nodes = lab.nodes.values()
    kept, dropped = "kept", "dropped"
    doors: dict[str, Exposed] = {}
    for namespace in (dropped, kept):
        lab.create_namespace(namespace)
        herald.run(namespace, replicas=1)
        doors[namespace] = herald.expose(namespace, "web")
    with Lan(lab.client) as lan:
        lan.await_sole_answerer(doors[kept].addresses, herald.macs())
        wait_for("every node to have all tables", lambda: all(_tables(node) == TABLES for node in nodes), PATIENCE)
        before = lab.get("service", "web", "-n", kept)
        marks = [*before["metadata"].get("finalizers", ()), *before["metadata"].get("annotations", ())]
        assert not [mark for mark in marks if "herald" in mark or "kopf" in mark]

        # As Helm does, which leaves kinds, and with them pools that users made.
        lab.uninstall(crds=False)
        wait_for("nobody to answer", lambda: not any(lan.ask_for(0.5, *doors[kept].addresses).values()), PATIENCE)
        wait_for("no node to have any", lambda: not any(map(_tables, nodes)), PATIENCE)
        after = lab.get("service", "web", "-n", kept)
        assert (after["spec"], after["status"]) == (before["spec"], before["status"])
        lab.kubectl("delete", "namespace", dropped, "--wait=false")
        wait_for("the namespace to be gone", lambda: _gone(lab, dropped), PATIENCE)

        herald.install()
        assert herald.exposed(kept, "web") == doors[kept]
        lan.await_sole_answerer(doors[kept].addresses, herald.macs())
        for address in doors[kept].addresses:
            herald.await_owner(address)
            herald.fetch(address)
        # The Service that went while nobody looked gives its addresses back.
        forgotten = {record_name(address) for address in doors[dropped].addresses}
        wait_for("addresses to be free", lambda: not forgotten & _recorded(lab), PATIENCE)

        # Forwarding alone is taken back; announcing, ping and detours are the speaker's.
        lab.install(CHART, {"agent": {"forwarding": {"mode": "off"}, "minReadySeconds": 0}})
        wait_for("no rules of Services", lambda: all(_tables(node) == SPEAKER_TABLES for node in nodes), PATIENCE)
        lan.await_sole_answerer(doors[kept].addresses, herald.macs())


def _tables(node: Host) -> set[str]:
    """What Herald has in the node's nftables."""
    return {line for line in node.exec(["nft", "list", "tables"]).stdout.splitlines() if "herald" in line}


def _gone(lab: Lab, namespace: str) -> bool:
    return not lab.items("namespaces", f"--field-selector=metadata.name={namespace}")


def _recorded(lab: Lab) -> set[str]:
    return {record["metadata"]["name"] for record in lab.items("serviceaddresses")}
