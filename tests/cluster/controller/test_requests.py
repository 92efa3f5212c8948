"""Wishes: honoured where they can be, explained pool by pool where they cannot."""

from __future__ import annotations

import pytest

from lab.waiting import wait_for
from tests.cluster.controller.tenant import Settle, Tenant, shown_by

pytestmark = pytest.mark.usefixtures("controller")


@pytest.mark.parametrize("annotation", ["heraldlb.io/addresses", "metallb.io/loadBalancerIPs"])
def test_an_address_is_asked_for_by_annotation(tenant: Tenant, annotation: str) -> None:
    tenant.pool("a", tenant.range4(10, 19), tenant.range6(10, 19))
    wanted = {annotation: f"{tenant.ipv4(15)}, {tenant.ipv6(16)}"}
    tenant.service("web", families=["IPv6", "IPv4"], annotations=wanted)
    tenant.await_shown("web", tenant.ipv6(16), tenant.ipv4(15))


def test_an_address_is_asked_for_by_the_standard_field(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web", loadBalancerIP=tenant.ipv4(15))
    tenant.await_shown("web", tenant.ipv4(15))


@pytest.mark.parametrize("annotation", ["heraldlb.io/address-pool", "metallb.universe.tf/address-pool"])
def test_a_pool_is_asked_for_by_annotation(tenant: Tenant, annotation: str) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    wanted = tenant.pool("b", tenant.range4(30, 39), assignment="OnRequest")
    tenant.service("web", annotations={annotation: wanted})
    tenant.await_shown("web", tenant.ipv4(30))


def test_an_address_outside_every_pool_is_refused_by_each_pool_in_turn(tenant: Tenant) -> None:
    pools = [tenant.pool("a", tenant.range4(10, 19)), tenant.pool("b", tenant.range4(30, 39))]
    tenant.service("web", annotations={"heraldlb.io/addresses": tenant.ipv4(99)})
    tenant.service("other")
    message = tenant.await_refused("web", "AddressNotInAnyPool")
    assert f'pool "{pools[0]}": does not contain it ({tenant.range4(10, 19)})' in message
    assert f'pool "{pools[1]}": does not contain it ({tenant.range4(30, 39)})' in message
    tenant.await_shown("other", tenant.ipv4(10))


def test_an_address_in_use_is_refused_with_its_holder_and_given_when_it_is_free(tenant: Tenant) -> None:
    pool = tenant.pool("a", tenant.range4(10, 19))
    tenant.service("holder")
    tenant.await_shown("holder", tenant.ipv4(10))
    tenant.service("web", loadBalancerIP=tenant.ipv4(10))
    message = tenant.await_refused("web", "AddressInUse")
    assert f'pool "{pool}"' in message
    assert f"{tenant.namespace}/holder" in message
    tenant.delete("holder")
    tenant.await_shown("web", tenant.ipv4(10))


def test_a_wish_that_makes_no_sense_is_refused_by_the_name_of_its_annotation(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web", annotations={"heraldlb.io/addresses": "the first one"})
    tenant.service("other")
    assert "heraldlb.io/addresses" in tenant.await_refused("web", "InvalidRequest")
    tenant.await_shown("other", tenant.ipv4(10))


def test_a_changed_wish_is_followed_and_one_that_cannot_be_had_leaves_the_address(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.annotate("web", addresses=tenant.ipv4(15))
    tenant.await_shown("web", tenant.ipv4(15))
    tenant.await_no_record(tenant.ipv4(10))
    tenant.annotate("web", addresses=tenant.ipv4(99))
    condition = tenant.await_condition("web", "False", "AddressNotInAnyPool")
    assert f"keeps {tenant.ipv4(15)}" in condition["message"]
    assert tenant.shown("web") == [tenant.ipv4(15)]
    tenant.annotate("web", addresses=None)
    tenant.await_condition("web", "True", "AddressAssigned")
    assert tenant.shown("web") == [tenant.ipv4(15)]


@pytest.mark.parametrize("annotation", ["heraldlb.io/sharing-key", "metallb.io/allow-shared-ip"])
def test_services_of_one_sharing_key_share_an_address_until_their_ports_collide(
    tenant: Tenant, annotation: str
) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    key = {annotation: "one"}
    tenant.service("http", ports=[80], annotations=key)
    tenant.await_shown("http", tenant.ipv4(10))
    tenant.service("https", ports=[443], annotations=key)
    tenant.await_shown("https", tenant.ipv4(10))
    tenant.service("also-http", ports=[80], annotations=key)
    tenant.await_shown("also-http", tenant.ipv4(11))
    assert sorted(tenant.holders(tenant.ipv4(10))) == ["http", "https"]
    tenant.delete("http")
    wait_for("one holder to be left", lambda: tenant.holders(tenant.ipv4(10)) == ["https"])
    assert tenant.shown("https") == [tenant.ipv4(10)]


def test_prefer_dual_stack_gets_the_second_family_when_a_pool_has_it_and_keeps_the_first(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web", families=["IPv4", "IPv6"], ipFamilyPolicy="PreferDualStack")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.await_condition("web", "True", "AddressAssigned")
    since = tenant.api.now()
    tenant.pool("b", tenant.range6(10, 19))
    tenant.await_shown("web", tenant.ipv4(10), tenant.ipv6(10))
    assert all(shown_by(change.object)[0] == tenant.ipv4(10) for change in tenant.service_history(since))


def test_require_dual_stack_gets_nothing_until_both_families_can_be_had(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web", families=["IPv4", "IPv6"])
    tenant.await_refused("web", "FamilyUnavailable")
    assert tenant.recorded() == []
    tenant.pool("b", tenant.range6(10, 19))
    tenant.await_shown("web", tenant.ipv4(10), tenant.ipv6(10))


def test_what_went_unserved_is_told_once_however_often_it_is_looked_at(tenant: Tenant, settle: Settle) -> None:
    # The refusal names every pool there is in their order: this one is first, and stays it.
    tenant.pool("a", tenant.ipv4(10), priority=50)
    # Pools of the test before must be seen to be gone.
    settle()
    tenant.service("served")
    tenant.await_shown("served", tenant.ipv4(10))
    tenant.service("web")
    tenant.await_refused("web", "PoolExhausted")
    before = tenant.told()
    for number in range(5):
        tenant.annotate("web", note=str(number))
        tenant.edit_pool("a", priority=49 - number)
    settle()
    assert tenant.told() == before
    assert len(tenant.events("web")) == 1
