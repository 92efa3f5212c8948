"""What is served goes on being served: without the API server, through restarts of agents and of the controller."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from lab.waiting import wait_for
from lab.workloads import service
from tests.lab.herald.product import PATIENCE, milliseconds

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from lab.host import Host
    from lab.lab import Lab
    from lab.processes import Process
    from tests.lab.herald.conftest import Shop
    from tests.lab.herald.lan import Lan
    from tests.lab.herald.product import Product

BURST = 50
_BURST_POOL = {
    "apiVersion": "heraldlb.io/v1beta1",
    "kind": "AddressPool",
    "metadata": {"name": "burst"},
    "spec": {"addresses": ["10.77.0.0/24", "fd00:77::/112"]},
}
_REQUEST = b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n"


@dataclass
class Shopper:
    """Opens connection after connection to an address, in a thread, until told to leave."""

    client: Host
    address: str
    port: int = 80
    attempts: int = 0
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._shop)

    def __enter__(self) -> Shopper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join()

    def _shop(self) -> None:
        while not self._leaving.wait(0.02):
            self.attempts += 1
            try:
                self.client.http_get(self.address, self.port, timeout=2.0)
            except OSError as error:
                self.failures.append(str(error))

    def await_attempts(self, more: int) -> None:
        goal = self.attempts + more
        wait_for(f"{more} more connections to be tried", lambda: self.attempts >= goal, PATIENCE)


def _asks(connection: socket.socket) -> bool:
    """Whether an established connection still brings an answer."""
    try:
        connection.sendall(_REQUEST)
        return connection.recv(4096).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


@pytest.mark.usefixtures("settled")
def test_addresses_answer_and_fail_over_without_the_api_server_and_all_is_told_and_served_after_it(
    shop: Shop, herald: Product, lab: Lab, lan: Lan, record_property: Callable[[str, object], None]
) -> None:
    node, *addresses = shop.pair()
    others = set(lab.nodes) - {node}
    shown = {door.name: herald.shown(door.namespace, door.name) for door in shop.doors}
    lab.stop_api_server()
    try:
        assert lan.await_sole_answerer(addresses, herald.macs()) == dict.fromkeys(addresses, herald.mac(node))
        for address in addresses:
            herald.fetch(address)
        began = time.monotonic()
        lab.power_off(node)
        for address, mac in lan.await_sole_answerer(addresses, herald.macs(node)).items():
            first = next(said for said in lan.answers(address, began) if said.mac == mac)
            record_property(f"gap_ms {address}", milliseconds(began, first.time))
            herald.fetch(address)
    finally:
        lab.start_api_server()
    try:
        began = time.monotonic()
        for address in addresses:
            herald.await_owner(address, *others)
        record_property("status_written_ms", milliseconds(began))
        assert {door.name: herald.shown(door.namespace, door.name) for door in shop.doors} == shown
        door = herald.expose(shop.doors[0].namespace, "opened-later", selector={"app": "web"})
        for address, mac in lan.await_sole_answerer(door.addresses, herald.macs(node)).items():
            herald.fetch(address)
            herald.await_owner(address, herald.node_of(mac))
    finally:
        lab.kubectl("delete", "service", "opened-later", "-n", shop.doors[0].namespace, "--ignore-not-found")
        lab.power_on(node)
        herald.wait_healthy()


def test_connections_through_a_node_outlive_a_restart_of_its_agent(
    shop: Shop, herald: Product, lab: Lab, record_property: Callable[[str, object], None]
) -> None:
    node, *addresses = shop.pair()
    port, host = shop.doors[0].node_port, lab.nodes[node]
    established = [
        lab.client.connect(str(own), port, timeout=5.0) for own in (host.ipv4, host.ipv6) for _ in range(5)
    ]
    moving = [lab.client.connect(address, 80, timeout=5.0) for address in addresses for _ in range(5)]
    try:
        assert all(map(_asks, established + moving))
        before = herald.restarts()
        by_node, by_address = Shopper(lab.client, str(host.ipv4), port), Shopper(lab.client, addresses[0])
        with by_node, by_address:
            lab.kubectl("rollout", "restart", "daemonset/heraldlb-agent", "-n", "kube-system")
            lab.wait_for_rollout("daemonset/heraldlb-agent", "kube-system")
            by_node.await_attempts(20)
            by_address.await_attempts(20)
        assert before.keys() != herald.restarts().keys()
        assert all(map(_asks, established)), "an agent's restart cost an established connection"
        assert by_node.failures == [], "an agent's restart cost new connections through a node port"
        record_property("new_connections_failed", f"{len(by_address.failures)} of {by_address.attempts}")
        # The address was elsewhere for a moment, where nobody knows them; those that spoke then are lost.
        record_property("connections_kept_where_the_address_moved", f"{sum(map(_asks, moving))} of {len(moving)}")
        assert len(by_address.failures) * 100 <= by_address.attempts, by_address.failures
    finally:
        for connection in established + moving:
            connection.close()
        herald.wait_healthy()


def test_a_controller_killed_in_the_middle_of_a_burst_gives_every_service_addresses_of_its_own(
    herald: Product, lab: Lab, namespace: str
) -> None:
    names = [f"burst-{number}" for number in range(BURST)]
    lab.apply(_BURST_POOL)
    try:
        annotations = {"heraldlb.io/address-pool": "burst"}
        bodies = [service(name, namespace) for name in names]
        for body in bodies:
            body["metadata"]["annotations"] = annotations
        creating = threading.Thread(target=lab.apply, args=bodies)
        creating.start()
        try:
            early = wait_for("some Services to have addresses", lambda: _shown(lab, namespace), PATIENCE)
            _acting_controller(lab).kill()
        finally:
            creating.join()

        def all_served() -> bool:
            return len(_shown(lab, namespace)) == BURST

        wait_for("every Service to have addresses", all_served, PATIENCE)
        shown = _shown(lab, namespace)
        assert early.items() <= shown.items(), "a Service's addresses changed"
        given = [address for addresses in shown.values() for address in addresses]
        assert len(given) == len(set(given)) == 2 * BURST
        assert len(early) < BURST, "the controller was killed too late to prove anything"
    finally:
        lab.kubectl("delete", "service", "-n", namespace, "--all", "--wait=false")
        wait_for("the burst to be over", lambda: not _burst_records(lab), PATIENCE)
        lab.kubectl("delete", "addresspool", "burst")


def _shown(lab: Lab, namespace: str) -> dict[str, tuple[str, ...]]:
    """Addresses by Service, of those that have both."""
    found: dict[str, tuple[str, ...]] = {}
    for body in lab.items("services", "-n", namespace):
        addresses = tuple(entry["ip"] for entry in body["status"]["loadBalancer"].get("ingress", ()))
        if len(addresses) == 2:
            found[body["metadata"]["name"]] = addresses
    return found


def _acting_controller(lab: Lab) -> Process:
    [lease] = [each for each in lab.items("leases", "-n", "kube-system") if "heraldlb" in each["metadata"]["name"]]
    holder = lease["spec"]["holderIdentity"]
    pod = next(
        pod
        for pod in lab.items("pods", "-n", "kube-system", "-l", "app.kubernetes.io/component=controller")
        if pod["metadata"]["name"] in holder
    )
    return lab.process(pod["spec"]["nodeName"], pod["metadata"]["name"])


def _burst_records(lab: Lab) -> list[str]:
    records = lab.items("serviceaddresses")
    return [each["metadata"]["name"] for each in records if each["spec"]["addressPool"] == "burst"]
