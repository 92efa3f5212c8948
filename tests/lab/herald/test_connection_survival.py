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


def _sees_clients(client: Host, address: str, seen: str) -> bool:
    """Whether connections to it survive: endpoints see who the client is, on whichever node they are."""
    try:
        return all(f"you are {seen}\n" in client.http_get(address, 80, timeout=2.0) for _ in range(SESSIONS))
    except OSError:
        return False


def test_sessions_with_living_pods_outlive_the_node_that_announces(herald: Product, namespace: str) -> None:
    herald.run(namespace, replicas=len(herald.lab.nodes))
    kept = service("web", namespace)
    kept["metadata"]["annotations"] = {CONNECTION_SURVIVAL_ANNOTATION: "true"}
    herald.lab.apply(kept)
    exposed = herald.exposed(namespace, "web")
    for name, node in herald.lab.nodes.items():
        wait_for(f"{name} to serve it so that connections survive", lambda node=node: _survives(node), PATIENCE)  # type: ignore[misc]
    client = herald.lab.client
    announcer = herald.await_owner(exposed.ipv4)
    with ExitStack() as stack:
        living = []
        for address, seen in zip(exposed.addresses, (client.ipv4, client.ipv6), strict=True):
            wait_for(
                f"{address} to be served so by every node",
                lambda address=address, seen=seen: _sees_clients(client, address, str(seen)),  # type: ignore[misc]
                PATIENCE,
            )
            sessions = [stack.enter_context(Session(client, address)) for _ in range(SESSIONS)]
            assert all(f"you are {seen}\n".encode() in each.first for each in sessions)
            living += [each for each in sessions if f" on {announcer},".encode() not in each.first]
        assert living
        with powered_off(herald, announcer):
            others = set(herald.lab.nodes) - {announcer}
            for address in exposed.addresses:
                herald.await_owner(address, *others)
            assert [each.ask() == each.first for each in living] == [True] * len(living)
