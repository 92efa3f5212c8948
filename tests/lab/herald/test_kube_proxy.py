"""Herald on nodes where a real kube-proxy runs, left at `forwarding.mode: auto`.

The tests are chapters of one story, in this order: kube-proxy is there first; it is removed for good; it comes
back, in another mode, where Herald serves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from lab.lab import Lab
from lab.probing import asking
from lab.waiting import wait_for
from tests.lab.herald.product import PATIENCE, POOL, Exposed, Product

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.host import Host

NAMESPACE = "shop"


@dataclass(frozen=True, slots=True)
class Shop:
    """Web servers behind a LoadBalancer Service, on nodes that kube-proxy shares with Herald."""

    product: Product
    door: Exposed

    @property
    def nodes(self) -> tuple[Host, ...]:
        return tuple(self.product.lab.nodes.values())

    def expect_served(self) -> None:
        """On its EXTERNAL-IPs and node ports for the client, on its ClusterIPs for a pod."""
        lab, fetch = self.product.lab, self.product.fetch
        for address in self.door.addresses:
            assert fetch(address).startswith("Hello from")
        for node in self.nodes:
            for own in (node.ipv4, node.ipv6):
                assert fetch(str(own), self.door.node_port).startswith("Hello from")
        pod = lab.pod(lab.items("pods", "-n", NAMESPACE)[0]["metadata"]["name"], NAMESPACE)
        for address in lab.get("service", self.door.name, "-n", NAMESPACE)["spec"]["clusterIPs"]:
            assert fetch(address, host=pod).startswith("Hello from")

    def await_herald_forwarding(self, *, forwarding: bool) -> None:
        """Until every node, or none, has Herald's table of Services."""
        there = _OURS if forwarding else set[str]()
        for node in self.nodes:
            what = f"Herald {'to' if forwarding else 'not to'} forward on {node.name}"
            wait_for(what, lambda node=node: _tables(node) & _OURS == there, PATIENCE)  # type: ignore[misc]


_OURS = {"ip heraldlb", "ip6 heraldlb"}


def _described(shop: Shop, node: Host) -> str:
    return str(shop.product.lab.kubectl("describe", "node", node.name))


def _tables(node: Host) -> set[str]:
    lines = node.exec(["nft", "list", "tables"]).stdout.splitlines()
    return {line.removeprefix("table ") for line in lines}


def _rules_of_kube_proxy(node: Host) -> str:
    """All that is in its tables but counters; it removes unused chains a second late, so two looks must agree."""

    def look() -> str:
        return "".join(
            node.exec(["nft", "-s", "list", "table", family, "kube-proxy"]).stdout for family in ("ip", "ip6")
        )

    def settled() -> str:
        before = look()
        node.exec(["sleep", "1.2"])
        return before if before == look() else ""

    return wait_for(f"kube-proxy to have settled on {node.name}", settled, PATIENCE)


@pytest.fixture(scope="module", name="shop")
def shop_beside_kube_proxy() -> Iterator[Shop]:
    """kube-proxy in nftables mode is there before Herald is."""
    with Lab(nodes=2) as lab:
        lab.start_kube_proxy("nftables")
        product = Product(lab)
        product.install()
        lab.apply(POOL)
        lab.create_namespace(NAMESPACE)
        product.run(NAMESPACE)
        yield Shop(product, product.expose(NAMESPACE, "web"))


def test_where_kube_proxy_forwards_herald_programs_nothing_and_touches_nothing(shop: Shop) -> None:
    lab, product = shop.product.lab, shop.product
    shop.expect_served()
    shop.await_herald_forwarding(forwarding=False)
    before = {node.name: _rules_of_kube_proxy(node) for node in shop.nodes}
    assert all(shop.door.ipv4 in rules and shop.door.ipv6 in rules for rules in before.values())
    for name in lab.nodes:
        product.agent(name).kill()
    product.wait_healthy()
    shop.expect_served()
    assert all(not _tables(node) & _OURS for node in shop.nodes)
    assert {node.name: _rules_of_kube_proxy(node) for node in shop.nodes} == before


def test_when_kube_proxy_goes_for_good_herald_forwards(shop: Shop) -> None:
    shop.product.lab.stop_kube_proxy(for_good=True)
    shop.await_herald_forwarding(forwarding=True)
    shop.expect_served()
    for node in shop.nodes:
        told = f"{node.name} to tell who forwards"
        wait_for(told, lambda node=node: "ForwarderChanged" in _described(shop, node), PATIENCE)  # type: ignore[misc]


def test_when_kube_proxy_comes_later_herald_leaves_services_to_it_without_an_interruption(shop: Shop) -> None:
    lab = shop.product.lab
    with asking(lab.client, shop.door.addresses, interval=0.1) as prober:
        lab.start_kube_proxy("iptables")
        shop.await_herald_forwarding(forwarding=False)
        shop.expect_served()
    for address in shop.door.addresses:
        # What a busy machine makes late is a few; while nobody forwards, everything fails.
        failures = prober.failures(address, since=0)
        assert failures.failed * 100 <= failures.begun
    for node in shop.nodes:
        assert shop.door.ipv4 in node.exec(["iptables-save", "-t", "nat"]).stdout
        assert shop.door.ipv6 in node.exec(["ip6tables-save", "-t", "nat"]).stdout
