"""Released addresses that rest (`reuseDelay`) or are retained (`reclaimPolicy: Retain`) for who had them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from lab.waiting import wait_for
from tests.cluster.controller.api import RECORDS, Change
from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Settle, Tenant, shown_by

RETAIN = {"reclaimPolicy": "Retain"}
LONG = {"reuseDelay": "10h"}


@pytest.fixture(autouse=True)
def _controller(replicas: Replicas) -> None:
    replicas.only()


def reserved(tenant: Tenant, address: str) -> list[str]:
    """The names of the Services for which an address is kept."""
    record = tenant.record(address)
    return [kept["name"] for kept in record["spec"].get("reservations", ())] if record else []


def release(tenant: Tenant, pool: str = "a", **spec: Any) -> str:
    """A pool of one address that a Service `web` had; the address."""
    address = tenant.ipv4(10)
    tenant.pool(pool, address, **spec)
    tenant.service("web")
    tenant.await_shown("web", address)
    tenant.delete("web")
    wait_for(f"{address} to be kept", lambda: reserved(tenant, address) == ["web"])
    return address


def when(change: Change, released: str) -> float:
    """Seconds between the time `released` and the time that the condition of a Service gives for its address."""
    [condition] = change.object["status"]["conditions"]
    given = datetime.datetime.fromisoformat(condition["lastTransitionTime"])
    return (given - datetime.datetime.fromisoformat(released)).total_seconds()


def test_an_address_goes_to_the_next_that_waits_when_it_has_rested_and_not_before(tenant: Tenant) -> None:
    address = release(tenant, reuseDelay="2s")
    record = tenant.record(address)
    assert record is not None
    assert record["spec"]["services"] == []
    released = record["spec"]["reservations"][0]["releasedAt"]
    since = tenant.api.now()
    tenant.service("next")
    tenant.await_shown("next", address)
    assert tenant.holders(address) == ["next"]
    assert reserved(tenant, address) == []
    given = next(change for change in tenant.service_history(since) if shown_by(change.object) == [address])
    # A condition's time is cut to the second.
    assert when(given, released) > 2 - 1


def test_a_pending_service_is_told_for_whom_and_until_when(tenant: Tenant) -> None:
    address = release(tenant, **LONG)
    tenant.service("named", annotations={"heraldlb.io/addresses": address})
    condition = tenant.await_condition("named", "False", "AddressReserved")
    assert f"reserved for {tenant.namespace}/web until 20" in condition["message"]
    tenant.service("any")
    condition = tenant.await_condition("any", "False", "PoolExhausted")
    assert "none of 1 IPv4 addresses is free: 1 reserved" in condition["message"]
    wait_for("the pool to count it as neither", lambda: tenant.pool_status("a").get("assigned") == 0)
    assert tenant.pool_status("a")["ipv4"] == {"capacity": 1, "assigned": 0, "available": 0}


def test_a_service_of_the_same_name_gets_it_back_at_once(tenant: Tenant) -> None:
    address = release(tenant, **LONG)
    tenant.service("other")
    tenant.await_condition("other", "False", "PoolExhausted")
    tenant.service("web")
    tenant.await_shown("web", address)
    assert tenant.holders(address) == ["web"]
    assert reserved(tenant, address) == []
    assert tenant.shown("other") == []


def test_what_rests_is_free_when_its_time_is_over_also_if_nobody_waits(tenant: Tenant) -> None:
    address = release(tenant, reuseDelay="2s")
    tenant.await_no_record(address)
    wait_for("the pool to count it", lambda: tenant.pool_status("a").get("ipv4", {}).get("available") == 1)


def test_a_retained_address_is_kept_over_a_restart(tenant: Tenant, replicas: Replicas, settle: Settle) -> None:
    address = release(tenant, **RETAIN)
    record = tenant.record(address)
    replicas.end_all()
    tenant.service("other")
    replicas.only()
    tenant.await_condition("other", "False", "PoolExhausted")
    settle()
    assert tenant.record(address) == record
    tenant.service("web")
    tenant.await_shown("web", address)


def test_what_was_deleted_while_no_controller_ran_is_retained(tenant: Tenant, replicas: Replicas) -> None:
    tenant.pool("a", tenant.ipv4(10), **RETAIN)
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    replicas.end_all()
    tenant.delete("web")
    tenant.service("other")
    replicas.only()
    wait_for("it to be kept", lambda: reserved(tenant, tenant.ipv4(10)) == ["web"])
    tenant.await_condition("other", "False", "PoolExhausted")


def test_what_ended_while_no_controller_ran_is_free(tenant: Tenant, replicas: Replicas) -> None:
    address = release(tenant, reuseDelay="2s")
    replicas.end_all()
    record = tenant.record(address)
    released = datetime.datetime.fromisoformat(record["spec"]["reservations"][0]["releasedAt"] if record else "")
    over = released + datetime.timedelta(seconds=2)
    wait_for("it to have rested", lambda: datetime.datetime.now(datetime.UTC) > over)
    replicas.only()
    tenant.await_no_record(address)


def test_deleting_the_record_frees_a_retained_address(tenant: Tenant) -> None:
    address = release(tenant, **RETAIN)
    tenant.service("other")
    tenant.await_condition("other", "False", "PoolExhausted")
    tenant.api.delete(RECORDS, address)
    tenant.await_shown("other", address)
    assert reserved(tenant, address) == []


def test_deleting_the_record_of_a_held_address_frees_nothing(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10), **RETAIN)
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.api.delete(RECORDS, tenant.ipv4(10))
    wait_for("the record to be back", lambda: tenant.holders(tenant.ipv4(10)) == ["web"])
    assert tenant.shown("web") == [tenant.ipv4(10)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (RETAIN, {"reclaimPolicy": "Release"}),
        (LONG, {"reuseDelay": "0s"}),
        (RETAIN | LONG, {"reclaimPolicy": "Release", "reuseDelay": "1ms"}),
    ],
    ids=["policy", "delay", "both"],
)
def test_editing_the_pool_frees_what_it_would_not_keep_now(
    tenant: Tenant, before: dict[str, Any], after: dict[str, Any]
) -> None:
    address = release(tenant, **before)
    tenant.service("other")
    tenant.await_condition("other", "False", "PoolExhausted")
    tenant.edit_pool("a", **after)
    tenant.await_shown("other", address)


def test_an_edit_retains_what_rests_already(tenant: Tenant) -> None:
    address = release(tenant, **LONG)
    tenant.edit_pool("a", reclaimPolicy="Retain", reuseDelay="0s")
    tenant.service("named", annotations={"heraldlb.io/addresses": address})
    condition = tenant.await_condition("named", "False", "AddressReserved")
    assert f"kubectl delete serviceaddress {address}" in condition["message"]


def test_deleting_the_pool_ends_what_it_retains(tenant: Tenant) -> None:
    address = release(tenant, **RETAIN)
    tenant.delete_pool("a")
    tenant.await_no_record(address)


def test_a_service_that_moves_by_its_own_wish_leaves_nothing_retained(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 11), **RETAIN)
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.annotate("web", addresses=tenant.ipv4(11))
    tenant.await_shown("web", tenant.ipv4(11))
    tenant.await_no_record(tenant.ipv4(10))


def test_a_service_that_comes_back_elsewhere_gives_up_what_was_retained(tenant: Tenant) -> None:
    address = release(tenant, **RETAIN)
    tenant.pool("b", tenant.ipv4(20))
    tenant.service("web", annotations={"heraldlb.io/address-pool": tenant.pool_name("b")})
    tenant.await_shown("web", tenant.ipv4(20))
    tenant.await_no_record(address)


def test_a_service_that_is_no_load_balancer_any_more_has_its_address_retained(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10), **RETAIN)
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.edit("web", type="ClusterIP")
    wait_for("it to be kept", lambda: reserved(tenant, tenant.ipv4(10)) == ["web"])
    tenant.service("other")
    tenant.await_condition("other", "False", "PoolExhausted")
    tenant.edit("web", type="LoadBalancer")
    tenant.await_shown("web", tenant.ipv4(10))


def test_a_pool_that_keeps_nothing_costs_no_more_writes(tenant: Tenant, settle: Settle) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    settle()
    since = tenant.api.now()
    tenant.delete("web")
    tenant.await_no_record(tenant.ipv4(10))
    settle()
    changes = [each for each in tenant.record_history(since) if each.name == tenant.ipv4(10)]
    assert [change.type for change in changes] == ["DELETED"]
