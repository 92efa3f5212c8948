"""Sessions with a Service whose connections survive, while the node that announces it dies."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from heraldlb.api.group import CONNECTION_SURVIVAL_ANNOTATION
from lab.waiting import wait_for
from lab.workloads import service
from tests.lab.herald.product import PATIENCE
from tests.lab.herald.test_connections import Session
from tests.lab.herald.test_failover import powered_off

if TYPE_CHECKING:
    from lab.host import Host
    from tests.lab.herald.product import Product

SESSIONS = 24


def _survives(node: Host) -> bool:
    """Whether connections of the Service survive on the node in both families."""
    maps = [["nft", "list", "map", family, "heraldlb-survival", "translating"] for family in ("ip", "ip6")]
    return all("goto translate-tcp-80" in node.exec(each, check=False).stdout for each in maps)


def test_sessions_with_living_pods_outlive_the_node_that_announces(herald: Product, namespace: str) -> None:
    herald.run(namespace, replicas=len(herald.lab.nodes))
    kept = service("web", namespace)
    kept["metadata"]["annotations"] = {CONNECTION_SURVIVAL_ANNOTATION: "true"}
    herald.lab.apply(kept)
    exposed = herald.exposed(namespace, "web")
    for name, node in herald.lab.nodes.items():
        wait_for(f"{name} to serve it so that connections survive", lambda node=node: _survives(node), PATIENCE)  # type: ignore[misc]
    client = herald.lab.client
    for address in exposed.addresses:
        announcer = herald.await_owner(address)
        herald.fetch(address)
        with ExitStack() as stack:
            sessions = [stack.enter_context(Session(client, address)) for _ in range(SESSIONS)]
            client_address = client.ipv6 if ":" in address else client.ipv4
            assert all(str(client_address).encode() in each.first for each in sessions)
            living = [each for each in sessions if announcer.encode() not in each.first]
            assert living
            with powered_off(herald, announcer):
                herald.await_owner(address, *(set(herald.lab.nodes) - {announcer}))
                for each in living:
                    assert each.ask() == each.first
