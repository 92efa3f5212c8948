"""What becomes of Services when pools are edited, deleted, overlap, or run out."""

from __future__ import annotations

import pytest

from tests.cluster.controller.api import POOLS
from tests.cluster.controller.tenant import Settle, Tenant, next_second, shown_by

pytestmark = pytest.mark.usefixtures("controller")


def test_overlapping_pools_both_serve_the_newer_says_so_and_no_address_is_given_twice(tenant: Tenant) -> None:
    older = tenant.pool("z-older", tenant.range4(10, 13))
    next_second(tenant.api.get(POOLS, older))
    tenant.pool("a-newer", tenant.range4(12, 15))
    overlap = tenant.await_pool_condition("a-newer", "Overlapping", "True", "PoolsOverlap")
    assert f'"{older}"' in overlap["message"]
    assert tenant.pool_condition("z-older", "Overlapping")["status"] == "False"

    names = [f"web-{number}" for number in range(6)]
    for name in names:
        tenant.service(name)
    shown = tenant.await_assigned(*names)
    assert sorted(address for each in shown.values() for address in each) == [
        tenant.ipv4(host) for host in range(10, 16)
    ]
    tenant.service("one-too-many")
    tenant.await_condition("one-too-many", "False", "PoolExhausted")


def test_an_overlap_that_is_mended_is_no_longer_reported(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 13))
    tenant.pool("b", tenant.range4(12, 15))
    tenant.await_pool_condition("b", "Overlapping", "True")
    tenant.edit_pool("b", addresses=[tenant.range4(14, 15)])
    tenant.await_pool_condition("b", "Overlapping", "False")


def test_a_reversed_range_is_named_and_the_other_entries_serve(tenant: Tenant) -> None:
    reversed_range = tenant.range4(20, 10)
    tenant.pool("a", reversed_range, tenant.ipv4(30))
    ready = tenant.await_pool_condition("a", "Ready", "False", "InvalidEntry")
    assert "spec.addresses[0]" in ready["message"]
    assert reversed_range in ready["message"]
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(30))
    tenant.edit_pool("a", addresses=[tenant.range4(10, 20), tenant.ipv4(30)])
    tenant.await_pool_condition("a", "Ready", "True")
    assert tenant.shown("web") == [tenant.ipv4(30)]


def test_an_edit_that_still_contains_the_address_does_not_touch_the_service(tenant: Tenant, settle: Settle) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    settle()
    service, record = tenant.get("web"), tenant.record(tenant.ipv4(10))
    tenant.edit_pool("a", addresses=[tenant.range4(5, 9), tenant.range4(10, 11)], priority=7)
    tenant.service("other")
    tenant.await_shown("other", tenant.ipv4(5))
    settle()
    assert tenant.get("web") == service
    assert tenant.record(tenant.ipv4(10)) == record


def test_a_pool_may_be_renamed_around_its_services(tenant: Tenant, settle: Settle) -> None:
    tenant.pool("former", tenant.range4(10, 19))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    since = tenant.api.now()
    tenant.pool("later", tenant.range4(10, 19))
    tenant.delete_pool("former")
    tenant.await_pool_condition("later", "Overlapping", "False")
    settle()
    assert all(shown_by(change.object) == [tenant.ipv4(10)] for change in tenant.service_history(since))
    record = tenant.record(tenant.ipv4(10))
    assert record is not None
    assert record["spec"]["addressPool"] == tenant.pool_name("later")


def test_services_of_a_deleted_pool_move_to_another_without_being_unserved_in_between(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    since = tenant.api.now()
    tenant.pool("b", tenant.range4(30, 39))
    tenant.delete_pool("a")
    tenant.await_no_record(tenant.ipv4(10))
    assert tenant.shown("web") == [tenant.ipv4(30)]
    assert all(shown_by(change.object) for change in tenant.service_history(since))


def test_services_of_a_deleted_pool_are_released_with_the_reason_and_served_when_it_is_back(tenant: Tenant) -> None:
    paused = tenant.pool("paused", tenant.range4(30, 39), assignment="Paused")
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.delete_pool("a")
    tenant.await_no_record(tenant.ipv4(10))
    assert tenant.shown("web") == []
    condition = tenant.await_condition("web", "False", "PoolPaused")
    assert f'pool "{paused}": is paused' in condition["message"]
    event = tenant.await_event("web", "PoolPaused")
    assert (event["type"], event["note"]) == ("Warning", condition["message"])

    tenant.pool("a", tenant.range4(10, 19))
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.await_condition("web", "True", "AddressAssigned")


def test_an_exhausted_pool_says_so_and_a_freed_address_goes_to_the_oldest_that_waits(tenant: Tenant) -> None:
    pool = tenant.pool("a", tenant.ipv4(10))
    tenant.service("served")
    tenant.await_shown("served", tenant.ipv4(10))
    older = tenant.service("z-older")
    next_second(older)
    tenant.service("a-newer")
    for name in ("z-older", "a-newer"):
        condition = tenant.await_condition(name, "False", "PoolExhausted")
        assert f'pool "{pool}": its one IPv4 address is assigned' in condition["message"]
        assert tenant.await_event(name, "PoolExhausted")["note"] == condition["message"]
    tenant.await_pool_condition("a", "Exhausted", "True", "PoolExhausted")
    tenant.delete("served")
    tenant.await_shown("z-older", tenant.ipv4(10))
    assert tenant.shown("a-newer") == []
    tenant.edit_pool("a", addresses=[tenant.range4(10, 19)])
    tenant.await_shown("a-newer", tenant.ipv4(11))
    tenant.await_pool_condition("a", "Exhausted", "False")
