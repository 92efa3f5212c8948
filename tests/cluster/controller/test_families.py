"""Which families a Service gets, in which order, and what becomes of one while the other is missing."""

from __future__ import annotations

import pytest

from lab.waiting import wait_for
from tests.cluster.controller.tenant import Settle, Tenant, shown_by

pytestmark = pytest.mark.usefixtures("controller")

BOTH = [["IPv4", "IPv6"], ["IPv6", "IPv4"]]
ADDRESSES = "heraldlb.io/addresses"


def own(tenant: Tenant, family: str, host: int) -> str:
    """An address of the tenant."""
    return tenant.ipv4(host) if family == "IPv4" else tenant.ipv6(host)


def test_a_single_stack_service_gets_its_one_family_only(tenant: Tenant, settle: Settle) -> None:
    tenant.pool("a", tenant.range4(10, 19), tenant.range6(10, 19))
    tenant.service("four", families=["IPv4"])
    tenant.service("six", families=["IPv6"])
    tenant.await_shown("four", tenant.ipv4(10))
    tenant.await_shown("six", tenant.ipv6(10))
    settle()
    assert sorted(tenant.recorded()) == sorted([tenant.ipv4(10), tenant.ipv6(10)])


@pytest.mark.parametrize("families", BOTH, ids="-".join)
@pytest.mark.parametrize("late", ["IPv4", "IPv6"])
def test_prefer_dual_stack_adds_the_family_that_comes_later_and_nothing_flaps(
    tenant: Tenant, settle: Settle, families: list[str], late: str
) -> None:
    early = "IPv6" if late == "IPv4" else "IPv4"
    tenant.pool("early", own(tenant, early, 10))
    since = tenant.api.now()
    tenant.service("web", families=families, ipFamilyPolicy="PreferDualStack")
    tenant.await_shown("web", own(tenant, early, 10))
    assert f"no {late} address" in tenant.await_condition("web", "True", "AddressAssigned")["message"]
    tenant.pool("late", own(tenant, late, 10))
    both = [own(tenant, family, 10) for family in families]
    tenant.await_shown("web", *both)
    settle()
    shown = [shown_by(change.object) for change in tenant.service_history(since)]
    changes = [after for before, after in zip([None, *shown], shown, strict=False) if after != before]
    assert changes == [[], [own(tenant, early, 10)], both]


def test_prefer_dual_stack_gets_the_other_family_when_its_holder_goes(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19), tenant.ipv6(10))
    tenant.service("holder", families=["IPv6"])
    tenant.await_shown("holder", tenant.ipv6(10))
    tenant.service("web", families=["IPv4", "IPv6"], ipFamilyPolicy="PreferDualStack")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.delete("holder")
    tenant.await_shown("web", tenant.ipv4(10), tenant.ipv6(10))


def test_prefer_dual_stack_loses_one_family_with_its_pool_and_keeps_the_other(tenant: Tenant) -> None:
    tenant.pool("four", tenant.range4(10, 19))
    tenant.pool("six", tenant.range6(10, 19))
    tenant.service("web", families=["IPv4", "IPv6"], ipFamilyPolicy="PreferDualStack")
    tenant.await_shown("web", tenant.ipv4(10), tenant.ipv6(10))
    since = tenant.api.now()
    tenant.delete_pool("four")
    tenant.await_shown("web", tenant.ipv6(10))
    tenant.await_no_record(tenant.ipv4(10))
    assert tenant.condition("web")["status"] == "True"
    assert all(tenant.ipv6(10) in shown_by(change.object) for change in tenant.service_history(since))


def test_require_dual_stack_waits_without_keeping_others_from_what_it_could_have(
    tenant: Tenant, settle: Settle
) -> None:
    tenant.pool("a", tenant.range4(10, 10), tenant.range6(10, 10))
    tenant.service("six", families=["IPv6"])
    tenant.await_shown("six", tenant.ipv6(10))
    tenant.service("dual", families=["IPv4", "IPv6"])
    message = tenant.await_refused("dual", "FamilyUnavailable")
    assert "RequireDualStack needs an address of both families" in message
    assert f'pool "{tenant.pool_name("a")}": its one IPv6 address is assigned' in message
    settle()
    assert tenant.recorded() == [tenant.ipv6(10)]
    tenant.service("four")
    tenant.await_shown("four", tenant.ipv4(10))
    tenant.delete("six")
    tenant.await_no_record(tenant.ipv6(10))
    settle()
    assert tenant.shown("dual") == []
    tenant.delete("four")
    tenant.await_shown("dual", tenant.ipv4(10), tenant.ipv6(10))


def test_prefer_turned_require_keeps_its_one_address_and_says_what_is_missing(tenant: Tenant) -> None:
    tenant.pool("four", tenant.range4(10, 19))
    tenant.service("web", families=["IPv4", "IPv6"], ipFamilyPolicy="PreferDualStack")
    tenant.await_shown("web", tenant.ipv4(10))
    since = tenant.api.now()
    tenant.edit("web", ipFamilyPolicy="RequireDualStack")
    message = tenant.await_condition("web", "False", "FamilyUnavailable")["message"]
    assert f"keeps {tenant.ipv4(10)}" in message
    assert tenant.await_event("web", "FamilyUnavailable")["note"] == message
    tenant.pool("six", tenant.range6(10, 19))
    tenant.await_condition("web", "True", "AddressAssigned")
    assert tenant.shown("web") == [tenant.ipv4(10), tenant.ipv6(10)]
    assert all(tenant.ipv4(10) in shown_by(change.object) for change in tenant.service_history(since))


def test_a_service_that_becomes_dual_stack_keeps_its_address_and_gets_a_second(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19), tenant.range6(10, 19))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.edit("web", ipFamilyPolicy="PreferDualStack", ipFamilies=["IPv4", "IPv6"])
    tenant.await_shown("web", tenant.ipv4(10), tenant.ipv6(10))


def test_a_service_that_becomes_single_stack_gives_the_other_family_back(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10), tenant.ipv6(10))
    tenant.service("web", families=["IPv4", "IPv6"])
    tenant.await_shown("web", tenant.ipv4(10), tenant.ipv6(10))
    tenant.edit(
        "web",
        ipFamilyPolicy="SingleStack",
        ipFamilies=["IPv4"],
        clusterIPs=[tenant.get("web")["spec"]["clusterIP"]],
    )
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.await_no_record(tenant.ipv6(10))
    tenant.service("other", families=["IPv6"])
    tenant.await_shown("other", tenant.ipv6(10))


def test_a_named_address_that_cannot_be_had_does_not_keep_the_other_family_from_coming(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 19), tenant.range6(10, 19))
    wish = {ADDRESSES: tenant.ipv6(99)}
    tenant.service("web", families=["IPv4", "IPv6"], ipFamilyPolicy="PreferDualStack", annotations=wish)
    tenant.await_shown("web", tenant.ipv4(10))
    message = tenant.await_condition("web", "False", "AddressNotInAnyPool")["message"]
    assert tenant.ipv6(99) in message
    tenant.annotate("web", addresses=None)
    wait_for("both", lambda: tenant.shown("web") == [tenant.ipv4(10), tenant.ipv6(10)])
