"""Who may announce follows the node's interfaces, addresses and routes as the kernel tells of them."""

from __future__ import annotations

import select
from collections.abc import Iterator

import pytest

from heraldlb.speaker.links import LinkMonitor
from lab.namespaces import Surroundings, named, run_in
from tests.lab.speaker_net import PATIENCE, Lan, until

NODE = "node-1"
ELSEWHERE = {"IPv4": ("10.55.0.9", "10.55.0.0/24"), "IPv6": ("fd55::9", "fd55::/64")}

both_families = pytest.mark.parametrize(("address", "network"), ELSEWHERE.values(), ids=ELSEWHERE)


@pytest.fixture
def monitor(lan: Lan) -> Iterator[LinkMonitor]:
    opened = run_in(Surroundings(network=named(lan.namespace(NODE))), LinkMonitor)
    try:
        yield opened
    finally:
        opened.close()


def prefixes(monitor: LinkMonitor) -> set[str]:
    monitor.read()
    return {str(prefix) for link in monitor.links() if link.name == "eth0" for prefix in link.prefixes}


@both_families
def test_an_address_is_announced_while_a_route_says_that_its_network_is_on_the_link(
    lan: Lan, address: str, network: str
) -> None:
    lan.start(NODE)
    lan.apply(NODE, addresses=[address], known=[NODE])
    speaker = lan.speakers[NODE]
    assert speaker.wait_for("NotEligible", address=address)["reasons"] == {NODE: "NoPrefix"}
    lan.ip(NODE, f"route add {network} dev eth0")
    speaker.wait_for("Announcing", address=address)
    told = len(speaker.changes)
    lan.ip(NODE, f"route del {network} dev eth0")
    speaker.wait_for("Withdrawn", after=told, address=address)
    speaker.wait_for("NotEligible", after=told, address=address)


@both_families
def test_an_address_is_announced_while_the_node_has_one_of_its_network(
    lan: Lan, address: str, network: str
) -> None:
    lan.start(NODE)
    lan.apply(NODE, addresses=[address], known=[NODE])
    speaker = lan.speakers[NODE]
    speaker.wait_for("NotEligible", address=address)
    own = network.replace("/", "1/") if ":" in network else network.replace(".0/", ".1/")
    lan.ip(NODE, f"address add {own} dev eth0")
    speaker.wait_for("Announcing", address=address)
    told = len(speaker.changes)
    lan.ip(NODE, f"address del {own} dev eth0")
    speaker.wait_for("Withdrawn", after=told, address=address)


def test_an_interface_without_carrier_announces_nothing_until_it_is_back(lan: Lan) -> None:
    address = "192.168.78.240"
    lan.start(NODE)
    lan.apply(NODE, addresses=[address], known=[NODE])
    speaker = lan.speakers[NODE]
    speaker.wait_for("Announcing", address=address)
    told = len(speaker.changes)
    lan.ip("lan", f"link set {NODE} down")
    speaker.wait_for("Withdrawn", after=told, address=address)
    assert speaker.wait_for("NotEligible", after=told, address=address)["reasons"] == {NODE: "NoInterface"}
    lan.ip("lan", f"link set {NODE} up")
    speaker.wait_for("Announcing", after=told, address=address)


@pytest.mark.parametrize(
    ("add", "remove", "prefix"),
    [
        pytest.param("route add 10.1.0.0/24 dev eth0", "route del 10.1.0.0/24", "10.1.0.0/24", id="route"),
        pytest.param("route add fd01::/64 dev eth0", "route del fd01::/64", "fd01::/64", id="route of IPv6"),
        pytest.param("route add 10.1.0.0/24 dev eth0", "link set eth0 down", "10.1.0.0/24", id="link down"),
        pytest.param(
            "route add 10.1.0.0/24 dev eth0 src 10.78.0.1",
            "address del 10.78.0.1/24 dev eth0",
            "10.1.0.0/24",
            id="the address that the route depends on",
        ),
    ],
)
def test_a_route_counts_until_it_goes(lan: Lan, monitor: LinkMonitor, add: str, remove: str, prefix: str) -> None:
    lan.ip(NODE, add)
    until(lambda: prefix in prefixes(monitor))
    lan.ip(NODE, remove)
    until(lambda: prefix not in prefixes(monitor))


def test_a_route_that_was_replaced_is_gone_when_its_successor_is(lan: Lan, monitor: LinkMonitor) -> None:
    lan.ip(NODE, "route add 10.1.0.0/24 dev eth0 src 10.78.0.1")
    lan.ip(NODE, "route replace 10.1.0.0/24 dev eth0 src 192.168.78.1")
    until(lambda: "10.1.0.0/24" in prefixes(monitor))
    lan.ip(NODE, "route del 10.1.0.0/24")
    until(lambda: "10.1.0.0/24" not in prefixes(monitor))


def test_routes_of_before_are_known_and_those_by_way_of_routers_or_of_other_tables_count_for_nothing(
    lan: Lan,
) -> None:
    lan.ip(NODE, "route add 10.1.0.0/24 dev eth0")
    lan.ip(NODE, "route add 10.2.0.0/24 via 192.168.78.2")
    lan.ip(NODE, "route add 10.3.0.0/24 dev eth0 table 7")
    lan.ip(NODE, "route add fd02::/64 via fd78::2")
    lan.ip(NODE, "route add blackhole 10.4.0.0/24")
    lan.ip(NODE, "route add default dev eth0")
    opened = run_in(Surroundings(network=named(lan.namespace(NODE))), LinkMonitor)
    try:
        own = {"192.168.78.0/24", "10.78.0.0/24", "fd78::/64", "fe80::/64"}
        assert prefixes(opened) - own == {"10.1.0.0/24"}
    finally:
        opened.close()


def test_nothing_is_told_and_nothing_read_while_nothing_changes(lan: Lan, monitor: LinkMonitor) -> None:
    lan.ip(NODE, "address add 10.5.0.1/24 dev eth0")
    assert select.select([monitor], [], [], PATIENCE)[0], "an event is what makes it readable"
    until(lambda: "10.5.0.0/24" in prefixes(monitor))
    assert not monitor.read()
