"""Which endpoints get traffic: readiness, draining, topology, locality."""

from __future__ import annotations

import pytest

from heraldlb.api.endpoints import Endpoint, EndpointPort
from heraldlb.api.services import ServicePort
from heraldlb.forwarding.endpoints import choose
from tests.unit.forwarding.builders import backends, draining, endpoint, slice_of

HTTP = ServicePort("http", "TCP", 80)


def zoned(address: str, *zones: str, node: str = "n2") -> Endpoint:
    return endpoint(address, node, zone_hints=frozenset(zones))


@pytest.mark.parametrize(
    ("endpoints", "cluster", "local"),
    [
        pytest.param([], [], [], id="none"),
        pytest.param(
            [endpoint("10.0.0.2"), endpoint("10.0.0.1", "n1")],
            ["10.0.0.1", "10.0.0.2"],
            ["10.0.0.1"],
            id="ready ones in order of address, the local ones apart",
        ),
        pytest.param(
            [endpoint("10.0.0.1"), endpoint("10.0.0.2", ready=False)],
            ["10.0.0.1"],
            [],
            id="an unready one gets nothing",
        ),
        pytest.param(
            [endpoint("10.0.0.1"), draining("10.0.0.2")], ["10.0.0.1"], [], id="a draining one gets nothing new"
        ),
        pytest.param(
            [draining("10.0.0.1"), draining("10.0.0.2", serving=False)],
            ["10.0.0.1"],
            [],
            id="a draining one that serves is the last resort",
        ),
        pytest.param(
            [endpoint("10.0.0.1"), draining("10.0.0.2", "n1")],
            ["10.0.0.1"],
            ["10.0.0.2"],
            id="the local list falls back on its own",
        ),
        pytest.param(
            [zoned("10.0.0.1", "a"), zoned("10.0.0.2", "b", node="n1")],
            ["10.0.0.1"],
            ["10.0.0.2"],
            id="zone hints narrow the cluster list only",
        ),
        pytest.param(
            [zoned("10.0.0.1", "a"), endpoint("10.0.0.2")],
            ["10.0.0.1", "10.0.0.2"],
            [],
            id="hints count only where every endpoint has one",
        ),
        pytest.param(
            [zoned("10.0.0.1", "b"), zoned("10.0.0.2", "c")],
            ["10.0.0.1", "10.0.0.2"],
            [],
            id="hints for other zones only are ignored",
        ),
        pytest.param(
            [
                endpoint("10.0.0.1", "n1", node_hints=frozenset({"n1"}), zone_hints=frozenset({"a"})),
                endpoint("10.0.0.2", node_hints=frozenset({"n2"}), zone_hints=frozenset({"a"})),
            ],
            ["10.0.0.1"],
            ["10.0.0.1"],
            id="node hints come before zone hints",
        ),
    ],
)
def test_lists(endpoints: list[Endpoint], cluster: list[str], local: list[str]) -> None:
    lists = choose([slice_of(*endpoints)], HTTP, "IPv4", node_name="n1", zone="a")
    assert lists.cluster == backends(*cluster)
    assert lists.local == backends(*local)


def test_slices_are_joined_by_port_name_and_protocol() -> None:
    named = slice_of(
        endpoint("10.0.0.1"), ports=(EndpointPort("http", "TCP", 8080), EndpointPort("dns", "UDP", 53))
    )
    other = slice_of(endpoint("10.0.0.2"), name="web-2", ports=(EndpointPort("http", "TCP", 9090),))
    lists = choose([named, other], HTTP, "IPv4", node_name="n1", zone="")
    assert lists.cluster == backends("10.0.0.1") + backends("10.0.0.2", port=9090)
    dns = choose([named, other], ServicePort("dns", "UDP", 53), "IPv4", node_name="n1", zone="")
    assert dns.cluster == backends("10.0.0.1", port=53)
    wrong_protocol = ServicePort("http", "UDP", 80)
    assert choose([named], wrong_protocol, "IPv4", node_name="n1", zone="").cluster == ()


def test_families_are_kept_apart() -> None:
    lists = choose(
        [slice_of(endpoint("10.0.0.1")), slice_of(endpoint("fd00::1"), name="web-2")],
        HTTP,
        "IPv6",
        node_name="n1",
        zone="",
    )
    assert lists.cluster == backends("fd00::1")


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_an_address_in_two_slices_counts_once_and_as_not_terminating(names: tuple[str, str]) -> None:
    old = slice_of(draining("10.0.0.1"), name=names[0])
    new = slice_of(endpoint("10.0.0.1"), name=names[1])
    for order in ([old, new], [new, old]):
        assert choose(order, HTTP, "IPv4", node_name="n1", zone="").cluster == backends("10.0.0.1")


@pytest.mark.parametrize(
    ("endpoints", "lost", "cluster"),
    [
        pytest.param(
            [endpoint("10.0.0.1", "n2"), endpoint("10.0.0.2", "n3")],
            {"n2"},
            ["10.0.0.2"],
            id="not while others are ready",
        ),
        pytest.param(
            [endpoint("10.0.0.1", "n2"), draining("10.0.0.2", "n3")],
            {"n2"},
            ["10.0.0.2"],
            id="not while others drain",
        ),
        pytest.param(
            [endpoint("10.0.0.1", "n2"), endpoint("10.0.0.2", "n3")],
            {"n2", "n3"},
            ["10.0.0.1", "10.0.0.2"],
            id="where there is nothing else",
        ),
        pytest.param(
            [endpoint("10.0.0.1", "n2"), endpoint("10.0.0.2", "n3", ready=False)],
            {"n2"},
            ["10.0.0.1"],
            id="where others cannot serve",
        ),
        pytest.param(
            [zoned("10.0.0.1", "a"), zoned("10.0.0.2", "b", node="n3")],
            {"n2"},
            ["10.0.0.2"],
            id="not even those that hints would choose",
        ),
        pytest.param(
            [endpoint("10.0.0.1", ""), endpoint("10.0.0.2", "n3")],
            {"n3"},
            ["10.0.0.1"],
            id="but outside the cluster",
        ),
    ],
)
def test_endpoints_of_lost_nodes_are_used(endpoints: list[Endpoint], lost: set[str], cluster: list[str]) -> None:
    lists = choose([slice_of(*endpoints)], HTTP, "IPv4", node_name="n1", zone="a", lost=lost)
    assert lists.cluster == backends(*cluster)
