"""Make before break: what changed wishes and pools do to those who are served, and to those who wait."""

from __future__ import annotations

import pytest

from lab.waiting import wait_for
from tests.cluster.controller.api import Body, version_of
from tests.cluster.controller.tenant import Settle, Tenant, next_second, shown_by

pytestmark = pytest.mark.usefixtures("controller")

POOL = "heraldlb.io/address-pool"


def oldest_first(*services: Body) -> list[str]:
    """The names in the order in which those who wait are served."""
    return [
        body["metadata"]["name"]
        for body in sorted(
            services, key=lambda body: (body["metadata"]["creationTimestamp"], body["metadata"]["name"])
        )
    ]


def test_a_changed_wish_that_can_be_met_is_never_without_an_address(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    other = tenant.pool("b", tenant.range4(30, 39))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    since = tenant.api.now()
    tenant.edit("web", loadBalancerIP=tenant.ipv4(15))
    tenant.await_no_record(tenant.ipv4(10))
    tenant.edit("web", loadBalancerIP=None)
    tenant.annotate("web", address_pool=other)
    tenant.await_no_record(tenant.ipv4(15))
    shown = [shown_by(change.object) for change in tenant.service_history(since)]
    assert sorted({address for each in shown for address in each}) == [
        tenant.ipv4(10),
        tenant.ipv4(15),
        tenant.ipv4(30),
    ]
    assert all(len(each) == 1 for each in shown)


def test_a_wished_pool_that_is_full_leaves_the_address_says_so_and_is_had_when_it_can(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    wanted = tenant.pool("b", tenant.ipv4(30), assignment="OnRequest")
    tenant.service("holder", annotations={POOL: wanted})
    tenant.await_shown("holder", tenant.ipv4(30))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    since = tenant.api.now()
    tenant.annotate("web", address_pool=wanted)
    message = tenant.await_condition("web", "False", "PoolExhausted")["message"]
    assert f'pool "{wanted}": its one IPv4 address is assigned' in message
    assert f'keeps {tenant.ipv4(10)} from pool "{tenant.pool_name("a")}"' in message
    event = tenant.await_event("web", "PoolExhausted")
    assert (event["type"], event["note"]) == ("Warning", message)
    tenant.delete("holder")
    tenant.await_shown("web", tenant.ipv4(30))
    tenant.await_condition("web", "True", "AddressAssigned")
    tenant.await_no_record(tenant.ipv4(10))
    history = [change for change in tenant.service_history(since) if change.name == "web"]
    assert all(shown_by(change.object) for change in history)


@pytest.mark.parametrize(
    "wish", [{"addresses": "nonsense"}, {"address_pool": "absent"}, {"addresses": "192.0.2.1"}], ids=str
)
def test_a_wish_that_can_never_be_met_leaves_the_address(tenant: Tenant, wish: dict[str, str]) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.annotate("web", **wish)
    wait_for("the refusal", lambda: tenant.condition("web")["status"] == "False")
    condition = tenant.condition("web")
    assert f"keeps {tenant.ipv4(10)}" in condition["message"]
    assert tenant.await_event("web", condition["reason"])["note"] == condition["message"]
    assert tenant.shown("web") == [tenant.ipv4(10)]
    assert tenant.holders(tenant.ipv4(10)) == ["web"]


def test_a_pool_edit_moves_only_services_whose_address_is_in_no_pool_any_more(
    tenant: Tenant, settle: Settle
) -> None:
    tenant.pool("a", tenant.range4(10, 15))
    names = [f"web-{number}" for number in range(6)]
    for name in names:
        tenant.service(name)
        tenant.await_assigned(name)
    tenant.pool("b", tenant.range4(13, 13), tenant.range4(30, 39), priority=200)
    tenant.await_pool_seen("b")
    settle()
    before = {name: tenant.versions_of(name) for name in names}
    since = tenant.api.now()
    tenant.edit_pool("a", addresses=[tenant.ipv4(15), tenant.range4(11, 12), tenant.ipv4(40)])
    tenant.await_no_record(tenant.ipv4(10))
    tenant.await_no_record(tenant.ipv4(14))
    settle()
    shown = tenant.all_shown()
    # 10 and 14 are in no pool any more; of 13 only the record has another pool to tell.
    assert {shown["web-0"][0], shown["web-4"][0]} == {tenant.ipv4(40), tenant.ipv4(30)}
    assert shown["web-3"] == [tenant.ipv4(13)]
    record = tenant.record(tenant.ipv4(13))
    assert record is not None
    assert record["spec"]["addressPool"] == tenant.pool_name("b")
    for name in ("web-1", "web-2", "web-5"):
        assert tenant.versions_of(name) == before[name]
    assert all(len(shown_by(change.object)) == 1 for change in tenant.service_history(since))


def test_pools_may_be_split_and_merged_around_what_they_have_given(tenant: Tenant, settle: Settle) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    names = [f"web-{number}" for number in range(4)]
    for name in names:
        tenant.service(name)
        tenant.await_assigned(name)
    shown = tenant.all_shown()
    tenant.pool("low", tenant.range4(10, 11))
    tenant.pool("high", tenant.range4(12, 19))
    tenant.await_pool_seen("low", "high")
    tenant.delete_pool("a")
    settle()
    assert tenant.all_shown() == shown
    tenant.pool("whole", tenant.range4(10, 19))
    tenant.await_pool_seen("whole")
    tenant.delete_pool("low")
    tenant.delete_pool("high")
    wait_for("the records to name it", lambda: tenant.pool_status("whole").get("assigned") == len(names))
    settle()
    assert tenant.all_shown() == shown


def test_a_freed_address_goes_to_the_oldest_that_waits_even_if_a_younger_one_comes_at_that_moment(
    tenant: Tenant, settle: Settle
) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.service("holder")
    tenant.await_shown("holder", tenant.ipv4(10))
    waiting = [tenant.service(f"waits-{number}") for number in range(6)]
    next_second(waiting[-1])
    order = oldest_first(*waiting)
    tenant.await_refused(order[-1], "PoolExhausted")
    settle()
    for number, (holder, heir) in enumerate(zip(["holder", *order], order, strict=False)):
        tenant.delete(holder)
        tenant.service(f"a-younger-{number}")
        tenant.await_shown(heir, tenant.ipv4(10))
    settle()
    shown = tenant.all_shown()
    assert [name for name, addresses in shown.items() if addresses] == [order[-1]]


def test_added_addresses_go_to_those_that_wait_oldest_first(tenant: Tenant, settle: Settle) -> None:
    pool = tenant.pool("a", tenant.ipv4(10), assignment="Paused")
    tenant.await_pool_seen("a")
    waiting = [tenant.service(name) for name in ("e", "c", "a")]
    next_second(waiting[-1])
    waiting += [tenant.service(name) for name in ("d", "b")]
    order = oldest_first(*waiting)
    tenant.await_refused("b", "PoolPaused")
    settle()
    tenant.edit_pool("a", addresses=[tenant.range4(20, 22)], assignment="Automatic")
    tenant.await_assigned(*order[:3])
    assert [tenant.shown(name) for name in order] == [
        [tenant.ipv4(20)],
        [tenant.ipv4(21)],
        [tenant.ipv4(22)],
        [],
        [],
    ]
    tenant.edit_pool("a", addresses=[tenant.range4(20, 24)])
    tenant.await_assigned(*order)
    assert [tenant.shown(name) for name in order] == [[tenant.ipv4(host)] for host in range(20, 25)]
    assert tenant.condition(order[-1])["message"] == f'{tenant.ipv4(24)} from pool "{pool}"'


def test_what_has_an_address_is_not_written_when_others_come_and_go(tenant: Tenant, settle: Settle) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    settle()
    before = version_of(tenant.get("web"))
    for name in ("one", "two"):
        tenant.service(name)
        tenant.await_assigned(name)
        tenant.delete(name)
    tenant.pool("b", tenant.range4(1, 9), priority=1)
    tenant.await_pool_seen("b")
    settle()
    assert version_of(tenant.get("web")) == before
    assert tenant.shown("web") == [tenant.ipv4(10)]
