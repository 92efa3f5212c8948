"""Who may share an address, who stands in the way, and who moves when an edit makes sharing impossible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.waiting import wait_for
from tests.cluster.controller.tenant import Settle, Tenant, service_port, shown_by

pytestmark = pytest.mark.usefixtures("controller")

ADDRESSES = "heraldlb.io/addresses"
KEY = {"heraldlb.io/sharing-key": "one"}
REQUIRED = {**KEY, "heraldlb.io/sharing": "Required"}
LOCAL: dict[str, Any] = {"externalTrafficPolicy": "Local"}


@pytest.fixture
def neighbour(new_tenant: Callable[[], Tenant]) -> Iterator[Tenant]:
    """A second namespace."""
    made = new_tenant()
    yield made
    made.leave()


@pytest.fixture
def pair(tenant: Tenant) -> Tenant:
    """A tenant whose Services `http` and `https` share the first address of a pool of ten."""
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("http", ports=[80], annotations=KEY)
    tenant.await_shown("http", tenant.ipv4(10))
    tenant.service("https", ports=[443], annotations=KEY)
    tenant.await_shown("https", tenant.ipv4(10))
    return tenant


def test_one_port_is_two_where_the_protocols_differ(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    for name, port in {"tcp": "53/TCP", "udp": "53/UDP"}.items():
        tenant.service(name, ports=[port], annotations=KEY)
        tenant.await_shown(name, tenant.ipv4(10))


def test_sharers_may_live_in_two_namespaces_unless_the_pool_forbids_one(tenant: Tenant, neighbour: Tenant) -> None:
    both = [tenant.namespace, neighbour.namespace]
    tenant.pool("a", tenant.range4(10, 19), namespaces=both)
    tenant.service("http", ports=[80], annotations=KEY)
    tenant.await_shown("http", tenant.ipv4(10))
    neighbour.service("https", ports=[443], annotations=KEY)
    neighbour.await_shown("https", tenant.ipv4(10))
    assert sorted(tenant.holders(tenant.ipv4(10))) == ["http", "https"]
    tenant.edit_pool("a", namespaces=[tenant.namespace])
    tenant.await_pool_seen("a")
    neighbour.service("late", ports=[8080], annotations=KEY)
    neighbour.await_refused("late", "NamespaceNotAllowed")
    assert neighbour.shown("https") == [tenant.ipv4(10)]


@pytest.mark.parametrize(
    ("second", "first", "reason", "blocker"),
    [
        ({"annotations": KEY}, {}, "SharingRefused", "{first} serves TCP 80 on it already"),
        (
            {"annotations": {"heraldlb.io/sharing-key": "two"}, "ports": [81]},
            {},
            "SharingRefused",
            'held by {first} under the sharing key "one", not "two"',
        ),
        ({"annotations": {}, "ports": [81]}, {}, "AddressInUse", "held by {first}"),
        ({"annotations": KEY, "ports": [81], **LOCAL}, {}, "SharingRefused", "{first} differs in externalTraffic"),
        ({"annotations": KEY, "ports": [81]}, LOCAL, "SharingRefused", "{first} differs in externalTraffic"),
        (
            {"annotations": KEY, "ports": [81], **LOCAL, "selector": {"app": "other"}},
            LOCAL,
            "SharingRefused",
            "{first} differs in externalTrafficPolicy or selector",
        ),
    ],
    ids=["port", "key", "no key", "only the second is Local", "only the first is Local", "backends"],
)
def test_who_stands_in_the_way_of_sharing_is_named(
    tenant: Tenant, second: dict[str, Any], first: dict[str, Any], reason: str, blocker: str
) -> None:
    pool = tenant.pool("a", tenant.range4(10, 19))
    tenant.service("first", ports=[80], annotations=KEY, **first)
    tenant.await_shown("first", tenant.ipv4(10))
    wish = {**second["annotations"], ADDRESSES: tenant.ipv4(10)}
    tenant.service("second", **{**second, "annotations": wish})
    message = tenant.await_refused("second", reason)
    assert f'pool "{pool}": {blocker.format(first=f"{tenant.namespace}/first")}' in message


def test_local_sharers_with_the_same_backends_share(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    for port in (80, 443):
        tenant.service(f"port-{port}", ports=[port], annotations=KEY, selector={"app": "one"}, **LOCAL)
        tenant.await_shown(f"port-{port}", tenant.ipv4(10))
    tenant.service("elsewhere", ports=[8080], annotations=KEY, selector={"app": "two"}, **LOCAL)
    tenant.await_shown("elsewhere", tenant.ipv4(11))


def test_both_families_are_shared(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19), tenant.range6(10, 19))
    for port in (80, 443):
        tenant.service(f"port-{port}", families=["IPv6", "IPv4"], ports=[port], annotations=KEY)
        tenant.await_shown(f"port-{port}", tenant.ipv6(10), tenant.ipv4(10))


def test_those_who_must_share_wait_rather_than_be_separated(pair: Tenant) -> None:
    pair.service("web", ports=[80], annotations=REQUIRED)
    message = pair.await_refused("web", "SharingRefused")
    assert f"{pair.ipv4(10)} is {pair.namespace}/http serves TCP 80 on it already" in message
    assert pair.recorded() == [pair.ipv4(10)]
    pair.delete("http")
    pair.await_shown("web", pair.ipv4(10))


def test_those_who_must_share_are_served_where_they_meet(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    for port in (80, 443, 8080):
        tenant.service(f"port-{port}", ports=[port], annotations=REQUIRED)
        tenant.await_shown(f"port-{port}", tenant.ipv4(10))


def test_those_who_must_share_are_not_separated_by_an_edit(pair: Tenant, settle: Settle) -> None:
    pair.annotate("https", sharing="Required")
    pair.edit("https", ports=[service_port(80)])
    message = pair.await_condition("https", "False", "SharingRefused")["message"]
    assert f"{pair.namespace}/http serves TCP 80 on it already" in message
    settle()
    assert pair.shown("https") == []
    assert pair.shown("http") == [pair.ipv4(10)]
    pair.edit("https", ports=[service_port(8443)])
    pair.await_shown("https", pair.ipv4(10))


def test_those_who_must_share_stay_together_when_their_pool_moves(pair: Tenant) -> None:
    for name in ("http", "https"):
        pair.annotate(name, sharing="Required")
    pair.edit_pool("a", addresses=[pair.range4(30, 39)])
    pair.await_no_record(pair.ipv4(10))
    assert pair.shown("http") == pair.shown("https") == [pair.ipv4(30)]
    assert not [event for event in pair.events("http") + pair.events("https") if event["type"] == "Warning"]


@pytest.mark.parametrize(
    "edit",
    [
        {"ports": [service_port(80)]},
        {"externalTrafficPolicy": "Local"},
        {"key": "two"},
        {"key": None},
    ],
    ids=["ports", "traffic policy", "another key", "no key"],
)
def test_a_sharer_whose_own_edit_ends_the_sharing_moves_and_the_other_stays(
    pair: Tenant, settle: Settle, edit: dict[str, Any]
) -> None:
    settle()
    other = pair.get("http")
    since = pair.api.now()
    if "key" in edit:
        pair.annotate("https", sharing_key=edit["key"])
    else:
        pair.edit("https", **edit)
    pair.await_shown("https", pair.ipv4(11))
    wait_for("the other to hold it alone", lambda: pair.holders(pair.ipv4(10)) == ["http"])
    assert pair.get("http") == other
    shown = [shown_by(change.object) for change in pair.service_history(since) if change.name == "https"]
    assert all(shown), "it was without an address in between"


def test_a_sharer_whose_own_edit_ends_the_sharing_goes_without_where_there_is_no_other(
    pair: Tenant, settle: Settle
) -> None:
    pair.edit_pool("a", addresses=[pair.ipv4(10)])
    settle()
    other = pair.get("http")
    pair.edit("https", ports=[service_port(80)])
    pair.await_condition("https", "False", "PoolExhausted")
    assert pair.shown("https") == []
    wait_for("the other to hold it alone", lambda: pair.holders(pair.ipv4(10)) == ["http"])
    assert pair.get("http") == other
    pair.edit("https", ports=[service_port(443)])
    pair.await_shown("https", pair.ipv4(10))


def test_an_edit_that_ends_a_collision_lets_the_one_who_waits_join(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.service("first", ports=[80], annotations=KEY)
    tenant.await_shown("first", tenant.ipv4(10))
    tenant.service("second", ports=[80], annotations=KEY)
    tenant.await_refused("second", "PoolExhausted")
    tenant.edit("first", ports=[service_port(8080)])
    tenant.await_shown("second", tenant.ipv4(10))
