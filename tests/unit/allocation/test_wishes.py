from __future__ import annotations

from typing import Any

import pytest

from heraldlb.allocation.requests import request_of
from heraldlb.api.reasons import Reason
from heraldlb.api.services import parse_service
from tests.unit.allocation.build import Desk, addresses, pool, request, service

ADDRESSES = "heraldlb.io/addresses"
POOL = "heraldlb.io/address-pool"


@pytest.mark.parametrize(
    "wish",
    [
        {"annotations": {ADDRESSES: "10.0.0.7"}},
        {"annotations": {"metallb.io/loadBalancerIPs": "10.0.0.7"}},
        {"annotations": {"metallb.universe.tf/loadBalancerIPs": "10.0.0.7"}},
        {"annotations": {"lbipam.cilium.io/ips": "10.0.0.7"}},
        {"loadBalancerIP": "10.0.0.7"},
        {"annotations": {ADDRESSES: " 10.0.0.7 "}, "loadBalancerIP": "10.0.0.7"},
    ],
)
def test_every_way_to_name_an_address_is_heard(wish: dict[str, Any]) -> None:
    assert Desk(pool("lan", "10.0.0.0/24")).give("web", **wish) == ["10.0.0.7"]


def test_aliases_are_not_heard_when_switched_off() -> None:
    raw = service("web", annotations={"metallb.io/loadBalancerIPs": "10.0.0.7"})
    assert request_of(parse_service(raw), {}, aliases=False).addresses == ()


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        ({"annotations": {ADDRESSES: "10.0.0.7"}, "loadBalancerIP": "10.0.0.8"}, "make them agree"),
        ({"annotations": {ADDRESSES: "10.0.0.7,10.0.0.8"}}, "names 2 IPv4 addresses"),
        ({"annotations": {ADDRESSES: "fd00::7"}}, "the Service has no IPv6"),
        ({"annotations": {ADDRESSES: "ten"}}, '"ten" is not an IP address'),
        ({"annotations": {POOL: "a", "metallb.io/address-pool": "b"}}, "make them agree"),
        ({"annotations": {POOL: "lan", ADDRESSES: "10.9.9.9"}}, 'pool "lan", which does not contain it'),
    ],
)
def test_a_contradictory_wish_gets_nothing_and_says_why(wish: dict[str, Any], complaint: str) -> None:
    outcome = Desk(pool("lan", "10.0.0.0/24")).ask(request("web", **wish))
    assert outcome.reason is Reason.INVALID_REQUEST
    assert addresses(outcome) == []
    assert complaint in outcome.message


def test_an_address_in_no_pool_is_refused_naming_every_pool_looked_at() -> None:
    desk = Desk(pool("a", "10.0.0.1-10.0.0.2"), pool("b", "10.1.0.0/30"))
    outcome = desk.ask(request("web", annotations={ADDRESSES: "192.168.9.9"}))
    assert outcome.reason is Reason.ADDRESS_NOT_IN_ANY_POOL
    assert 'pool "a": does not contain it (10.0.0.1-10.0.0.2)' in outcome.message
    assert 'pool "b": does not contain it (10.1.0.0-10.1.0.3)' in outcome.message


def test_an_address_in_use_is_refused_naming_its_holder() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.2"))
    desk.give("first")
    outcome = desk.ask(request("second", annotations={ADDRESSES: "10.0.0.1"}))
    assert outcome.reason is Reason.ADDRESS_IN_USE
    assert 'pool "lan": held by default/first' in outcome.message
    assert outcome.waiting


def test_a_wished_pool_is_used_also_if_it_serves_only_on_request() -> None:
    desk = Desk(pool("lan", "10.0.0.1"), pool("dmz", "10.1.0.1", assignment="OnRequest"))
    assert desk.give("web", annotations={POOL: "dmz"}) == ["10.1.0.1"]


def test_a_wished_pool_that_does_not_exist_is_named_with_those_that_do() -> None:
    outcome = Desk(pool("lan", "10.0.0.1")).ask(request("web", annotations={POOL: "lann"}))
    assert outcome.reason is Reason.POOL_NOT_FOUND
    assert 'there is no pool "lann"; there are: lan' in outcome.message


def test_a_changed_wish_that_cannot_be_met_leaves_the_service_what_it_has() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.3"))
    desk.give("other")
    desk.give("web")
    outcome = desk.ask(request("web", annotations={ADDRESSES: "10.0.0.1"}))
    assert addresses(outcome) == ["10.0.0.2"]
    assert not outcome.satisfied
    assert outcome.reason is Reason.ADDRESS_IN_USE
    assert "keeps 10.0.0.2" in outcome.message


def test_a_changed_wish_that_can_be_met_moves_the_service() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.3"))
    desk.give("web")
    assert desk.give("web", annotations={ADDRESSES: "10.0.0.3"}) == ["10.0.0.3"]
    assert desk.give("other") == ["10.0.0.1"]


def test_a_wished_pool_that_is_full_leaves_the_service_what_it_has() -> None:
    desk = Desk(pool("lan", "10.0.0.1"), pool("dmz", "10.1.0.1", priority=200))
    desk.give("web")
    desk.give("other", annotations={POOL: "dmz"})
    outcome = desk.ask(request("web", annotations={POOL: "dmz"}))
    assert addresses(outcome) == ["10.0.0.1"]
    assert outcome.reason is Reason.POOL_EXHAUSTED


def test_a_wish_dropped_again_keeps_the_address() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.9"))
    desk.give("web", annotations={ADDRESSES: "10.0.0.7"})
    assert desk.give("web") == ["10.0.0.7"]


def test_an_address_in_the_wished_pool_stays_when_a_new_pool_before_it_claims_it() -> None:
    wished = pool("b", "10.0.0.1-10.0.0.9")
    desk = Desk(wished)
    assert desk.give("web", annotations={POOL: "b"}) == ["10.0.0.1"]
    desk.pools(pool("a", "10.0.0.1-10.0.0.3"), wished)
    assert desk.give("web", annotations={POOL: "b"}) == ["10.0.0.1"]
