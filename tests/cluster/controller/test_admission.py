"""Whom a pool serves, and which of its addresses it gives: each field of its spec."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cluster.controller.tenant import Settle, Tenant

pytestmark = pytest.mark.usefixtures("controller")

ADDRESSES = "heraldlb.io/addresses"
POOL = "heraldlb.io/address-pool"
TEAM = {"matchLabels": {"team": "a"}}


@pytest.fixture
def neighbour(new_tenant: Callable[[], Tenant]) -> Iterator[Tenant]:
    """A second namespace."""
    made = new_tenant()
    yield made
    made.leave()


def test_pools_serve_by_priority_then_by_name_and_addresses_in_listed_order(tenant: Tenant) -> None:
    tenant.pool("c", tenant.ipv4(31), tenant.ipv4(30))
    tenant.pool("b", tenant.ipv4(21), tenant.range4(19, 20))
    tenant.pool("z-first", tenant.ipv4(10), priority=1)
    tenant.await_pool_seen("c", "b", "z-first")
    expected = [10, 21, 19, 20, 31, 30]
    for number, host in enumerate(expected):
        tenant.service(f"web-{number}")
        tenant.await_shown(f"web-{number}", tenant.ipv4(host))


@pytest.mark.parametrize("selector", [TEAM, {"matchExpressions": [{"key": "team", "operator": "Exists"}]}])
def test_a_service_selector_that_matches_nothing_serves_nothing_also_by_request(
    tenant: Tenant, selector: dict[str, object]
) -> None:
    pool = tenant.pool("a", tenant.range4(10, 19), serviceSelector=selector)
    wishes = {"plain": {}, "by-address": {ADDRESSES: tenant.ipv4(15)}, "by-pool": {POOL: pool}}
    for name, wish in wishes.items():
        tenant.service(name, annotations=wish)
        assert f'pool "{pool}": its serviceSelector' in tenant.await_refused(name, "ServiceNotSelected")
    tenant.label("by-address", team="a")
    tenant.await_shown("by-address", tenant.ipv4(15))
    tenant.edit_pool("a", serviceSelector=None)
    tenant.await_assigned(*wishes)


def test_a_namespace_selector_that_matches_nothing_serves_nothing_also_by_request(tenant: Tenant) -> None:
    selector = {"matchLabels": {"tenant": tenant.namespace}}
    pool = tenant.pool("a", tenant.range4(10, 19), namespaces=[], namespaceSelector=selector)
    wishes = {"plain": {}, "by-address": {ADDRESSES: tenant.ipv4(15)}, "by-pool": {POOL: pool}}
    for name, wish in wishes.items():
        tenant.service(name, annotations=wish)
        message = tenant.await_refused(name, "NamespaceNotAllowed")
        assert f'pool "{pool}": does not serve the namespace "{tenant.namespace}"' in message
    tenant.label_namespace(tenant=tenant.namespace)
    tenant.await_assigned(*wishes)
    assert tenant.shown("by-address") == [tenant.ipv4(15)]


def test_a_namespace_that_loses_its_label_keeps_what_it_has_and_gets_nothing_new(
    tenant: Tenant, settle: Settle
) -> None:
    selector = {"matchLabels": {"tenant": tenant.namespace}}
    tenant.label_namespace(tenant=tenant.namespace)
    tenant.pool("a", tenant.range4(10, 19), namespaces=[], namespaceSelector=selector)
    tenant.service("before")
    tenant.await_shown("before", tenant.ipv4(10))
    settle()
    versions = tenant.versions_of("before")
    tenant.label_namespace(tenant=None)
    settle()
    tenant.service("after")
    tenant.await_refused("after", "NamespaceNotAllowed")
    assert tenant.versions_of("before") == versions


def test_a_pool_serves_namespaces_that_are_named_as_well_as_those_that_match(
    tenant: Tenant, neighbour: Tenant
) -> None:
    selector = {"matchLabels": {"tenant": neighbour.namespace}}
    neighbour.label_namespace(tenant=neighbour.namespace)
    tenant.pool("a", tenant.range4(10, 19), namespaceSelector=selector)
    tenant.service("named")
    tenant.await_shown("named", tenant.ipv4(10))
    neighbour.service("matched")
    neighbour.await_shown("matched", tenant.ipv4(11))


def test_a_namespace_gets_no_more_of_a_pool_than_its_quota(tenant: Tenant, neighbour: Tenant) -> None:
    both = [tenant.namespace, neighbour.namespace]
    pool = tenant.pool("a", tenant.range4(10, 19), namespaces=both, maxPerNamespace=1)
    tenant.service("first")
    tenant.await_shown("first", tenant.ipv4(10))
    tenant.service("web")
    tenant.service("by-address", annotations={ADDRESSES: tenant.ipv4(15)})
    for name in ("web", "by-address"):
        message = tenant.await_refused(name, "QuotaExceeded")
        assert f'pool "{pool}": the namespace "{tenant.namespace}" holds 1 of its addresses' in message
    neighbour.service("other")
    neighbour.await_shown("other", tenant.ipv4(11))
    tenant.pool("b", tenant.ipv4(30))
    tenant.await_shown("web", tenant.ipv4(30))
    tenant.delete("first")
    tenant.await_shown("by-address", tenant.ipv4(15))


def test_the_ends_of_networks_are_left_out_where_the_pool_says_so(tenant: Tenant) -> None:
    pool = tenant.pool("a", f"{tenant.ipv4(8)}/30", f"{tenant.ipv4(20)}/31", skipNetworkAndBroadcast=True)
    for name, host in {"a": 9, "b": 10, "c": 20, "d": 21}.items():
        tenant.service(name)
        tenant.await_shown(name, tenant.ipv4(host))
    tenant.service("network", annotations={ADDRESSES: tenant.ipv4(8)})
    assert f'pool "{pool}": does not contain it' in tenant.await_refused("network", "AddressNotInAnyPool")
    tenant.edit_pool("a", skipNetworkAndBroadcast=False)
    tenant.await_shown("network", tenant.ipv4(8))


def test_excluded_addresses_are_given_neither_by_choice_nor_by_request(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 14), excluded=[tenant.range4(10, 12), tenant.ipv4(14)])
    tenant.service("by-choice")
    tenant.await_shown("by-choice", tenant.ipv4(13))
    tenant.service("by-request", annotations={ADDRESSES: tenant.ipv4(14)})
    tenant.await_refused("by-request", "AddressNotInAnyPool")
    tenant.service("one-too-many")
    tenant.await_refused("one-too-many", "PoolExhausted")


def test_a_pool_on_request_serves_those_that_name_it_or_an_address_in_it(tenant: Tenant) -> None:
    pool = tenant.pool("a", tenant.range4(10, 19), assignment="OnRequest")
    tenant.service("plain")
    tenant.service("by-pool", annotations={POOL: pool})
    tenant.await_shown("by-pool", tenant.ipv4(10))
    tenant.service("by-address", loadBalancerIP=tenant.ipv4(15))
    tenant.await_shown("by-address", tenant.ipv4(15))
    [message] = {tenant.condition("plain")["message"]}
    assert f'pool "{pool}": serves only on request; ask with {POOL}' in message
    assert tenant.shown("plain") == []
    tenant.edit_pool("a", assignment="Automatic")
    tenant.await_shown("plain", tenant.ipv4(11))


def test_a_paused_pool_keeps_what_is_assigned_and_gives_nothing_new(tenant: Tenant, settle: Settle) -> None:
    pool = tenant.pool("a", tenant.range4(10, 19))
    tenant.service("before")
    tenant.await_shown("before", tenant.ipv4(10))
    settle()
    versions = tenant.versions_of("before")
    tenant.edit_pool("a", assignment="Paused")
    tenant.await_pool_seen("a")
    for name, wish in {"plain": {}, "by-address": {ADDRESSES: tenant.ipv4(15)}, "by-pool": {POOL: pool}}.items():
        tenant.service(name, annotations=wish)
        assert f'pool "{pool}": is paused' in tenant.await_refused(name, "PoolPaused")
    assert tenant.versions_of("before") == versions
    tenant.edit_pool("a", assignment="Automatic")
    tenant.await_shown("by-address", tenant.ipv4(15))


def test_restrictions_that_are_tightened_take_nothing_away(tenant: Tenant, settle: Settle) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    for name in ("one", "two"):
        tenant.service(name)
        tenant.await_assigned(name)
    settle()
    versions = {**tenant.versions_of("one"), **tenant.versions_of("two")}
    tenant.edit_pool("a", namespaces=["elsewhere"], serviceSelector=TEAM, maxPerNamespace=1, assignment="OnRequest")
    settle()
    assert {**tenant.versions_of("one"), **tenant.versions_of("two")} == versions


@pytest.mark.parametrize("size", [64, 32])
def test_an_ipv6_pool_of_any_size_serves_at_once(tenant: Tenant, size: int) -> None:
    tenant.pool("a", f"fd78:{tenant.number:x}::/{size}")
    tenant.service("web", families=["IPv6"])
    tenant.await_shown("web", f"fd78:{tenant.number:x}::1")
