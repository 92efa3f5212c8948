from __future__ import annotations

from typing import Any

import pytest

from heraldlb.api.reasons import Reason
from tests.unit.allocation.build import DUAL, PREFER, REQUIRE, Desk, addresses, pool, request


def test_addresses_are_given_in_listed_order() -> None:
    desk = Desk(pool("lan", "10.0.0.5", "10.0.0.1-10.0.0.2"))
    assert [desk.give(name) for name in "abc"] == [["10.0.0.5"], ["10.0.0.1"], ["10.0.0.2"]]


def test_the_lowest_free_address_comes_first() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.9"))
    for name in "abc":
        desk.give(name)
    desk.ledger.drop(desk.ledger.held_by("uid-default-b")[0], "uid-default-b")
    assert desk.give("d") == ["10.0.0.2"]


def test_pools_are_tried_by_priority_then_by_name() -> None:
    desk = Desk(pool("b", "10.0.2.1"), pool("a", "10.0.1.1"), pool("z", "10.0.3.1", priority=1))
    assert [desk.give(name) for name in "abc"] == [["10.0.3.1"], ["10.0.1.1"], ["10.0.2.1"]]


def test_excluded_addresses_are_never_given() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.4", excluded=["10.0.0.1-10.0.0.2", "10.0.0.4"]))
    assert desk.give("a") == ["10.0.0.3"]
    assert desk.ask(request("b")).reason is Reason.POOL_EXHAUSTED


def test_an_address_listed_twice_is_given_once() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.2", "10.0.0.2-10.0.0.3"))
    assert [desk.give(name) for name in "abcd"] == [["10.0.0.1"], ["10.0.0.2"], ["10.0.0.3"], []]


def test_overlapping_pools_never_give_one_address_twice() -> None:
    desk = Desk(pool("a", "10.0.0.1-10.0.0.2"), pool("b", "10.0.0.2-10.0.0.3", priority=200))
    assert [desk.give(name) for name in "abcd"] == [["10.0.0.1"], ["10.0.0.2"], ["10.0.0.3"], []]


def test_a_shared_address_belongs_to_the_first_pool_even_if_the_second_is_asked_for() -> None:
    desk = Desk(pool("a", "10.0.0.1-10.0.0.5"), pool("b", "10.0.0.1-10.0.0.6", assignment="OnRequest"))
    outcome = desk.ask(request("web", annotations={"heraldlb.io/address-pool": "b"}))
    assert addresses(outcome) == ["10.0.0.6"]


def test_the_anycast_address_of_an_ipv6_network_is_given_only_by_name() -> None:
    desk = Desk(pool("lan", "fd00:1::/126"))
    v6 = {"ipFamilies": ["IPv6"]}
    assert desk.give("a", **v6) == ["fd00:1::1"]
    assert desk.give("b", annotations={"heraldlb.io/addresses": "fd00:1::"}, **v6) == ["fd00:1::"]


@pytest.mark.parametrize(
    ("spec", "given"),
    [
        ({"ipFamilies": ["IPv4"]}, ["10.0.0.1"]),
        ({"ipFamilies": ["IPv6"]}, ["fd00::1"]),
        (PREFER, ["10.0.0.1", "fd00::1"]),
        (REQUIRE, ["10.0.0.1", "fd00::1"]),
        ({**PREFER, "ipFamilies": ["IPv6", "IPv4"]}, ["fd00::1", "10.0.0.1"]),
    ],
)
def test_families_come_in_the_order_of_the_service_also_from_two_pools(
    spec: dict[str, Any], given: list[str]
) -> None:
    desk = Desk(pool("four", "10.0.0.1"), pool("six", "fd00::1"))
    assert desk.give("web", **spec) == given


def test_prefer_dual_stack_takes_what_there_is_and_the_rest_when_it_comes() -> None:
    desk = Desk(pool("four", "10.0.0.1"))
    first = desk.ask(request("web", **PREFER))
    assert addresses(first) == ["10.0.0.1"]
    assert first.satisfied
    assert first.waiting
    assert 'pool "four": has no IPv6 addresses' in first.message
    desk.pools(pool("four", "10.0.0.1"), pool("six", "fd00::1"))
    second = desk.ask(request("web", **PREFER))
    assert addresses(second) == ["10.0.0.1", "fd00::1"]
    assert not second.waiting


def test_require_dual_stack_takes_both_or_none() -> None:
    desk = Desk(pool("four", "10.0.0.1"))
    outcome = desk.ask(request("web", **REQUIRE))
    assert addresses(outcome) == []
    assert outcome.reason is Reason.FAMILY_UNAVAILABLE
    assert desk.give("other") == ["10.0.0.1"]


def test_prefer_turned_require_keeps_the_one_address_and_says_what_is_missing() -> None:
    desk = Desk(pool("four", "10.0.0.1"))
    desk.give("web", **PREFER)
    outcome = desk.ask(request("web", **REQUIRE))
    assert addresses(outcome) == ["10.0.0.1"]
    assert not outcome.satisfied
    assert outcome.reason is Reason.FAMILY_UNAVAILABLE
    assert "keeps 10.0.0.1" in outcome.message


def test_a_dual_stack_service_that_names_one_address_gets_the_other_family_by_choice() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.9", "fd00::1-fd00::9"))
    assert desk.give("web", annotations={"heraldlb.io/addresses": "10.0.0.7"}, **PREFER) == ["10.0.0.7", "fd00::1"]


def test_a_family_dropped_by_the_service_is_given_back() -> None:
    desk = Desk(pool("lan", "10.0.0.1", "fd00::1"))
    desk.give("web", **PREFER)
    assert desk.give("web") == ["10.0.0.1"]
    assert desk.give("other", ipFamilies=["IPv6"]) == ["fd00::1"]


@pytest.mark.parametrize("dual", [DUAL, PREFER])
def test_both_families_may_be_named(dual: dict[str, Any]) -> None:
    desk = Desk(pool("four", "10.0.0.0/24"), pool("six", "fd00::/120"))
    wish = {"heraldlb.io/addresses": "fd00::9, 10.0.0.9"}
    assert desk.give("web", annotations=wish, **dual) == ["10.0.0.9", "fd00::9"]
