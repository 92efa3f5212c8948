from __future__ import annotations

from typing import Any

import pytest

from heraldlb.api.reasons import Reason
from tests.unit.allocation.build import Desk, addresses, pool, request

POOL = "heraldlb.io/address-pool"
TEAM = {"matchLabels": {"team": "a"}}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"assignment": "OnRequest"}, Reason.POOL_ON_REQUEST_ONLY),
        ({"assignment": "Paused"}, Reason.POOL_PAUSED),
        ({"namespaces": ["prod"]}, Reason.NAMESPACE_NOT_ALLOWED),
        ({"namespaceSelector": TEAM}, Reason.NAMESPACE_NOT_ALLOWED),
        ({"serviceSelector": TEAM}, Reason.SERVICE_NOT_SELECTED),
        ({"maxPerNamespace": 1}, Reason.QUOTA_EXCEEDED),
    ],
)
def test_each_refusal_has_its_reason_and_names_the_pool(spec: dict[str, Any], reason: Reason) -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.9", **spec))
    desk.give("first")
    outcome = desk.ask(request("web"))
    assert addresses(outcome) == []
    assert outcome.reason is reason
    assert 'no IPv4 address: pool "lan": ' in outcome.message


def test_no_pool_at_all_says_to_create_one() -> None:
    outcome = Desk().ask(request("web"))
    assert outcome.reason is Reason.NO_POOL
    assert "create one" in outcome.message


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"namespaces": ["default"]}, {}),
        ({"namespaceSelector": TEAM}, {"namespace_labels": {"team": "a"}}),
        ({"namespaces": ["prod"], "namespaceSelector": TEAM}, {"namespace_labels": {"team": "a"}}),
        ({"namespaces": ["default"], "namespaceSelector": TEAM}, {}),
        ({"serviceSelector": TEAM}, {"labels": {"team": "a"}}),
    ],
)
def test_what_is_named_or_matched_is_served(spec: dict[str, Any], fields: dict[str, Any]) -> None:
    assert Desk(pool("lan", "10.0.0.1", **spec)).give("web", **fields) == ["10.0.0.1"]


def test_selectors_hold_for_explicit_requests_too() -> None:
    desk = Desk(pool("lan", "10.0.0.1", serviceSelector=TEAM))
    for wish in ({POOL: "lan"}, {"heraldlb.io/addresses": "10.0.0.1"}):
        assert desk.ask(request("web", annotations=wish)).reason is Reason.SERVICE_NOT_SELECTED


def test_a_pool_that_refuses_is_passed_over_for_one_that_serves() -> None:
    desk = Desk(pool("a", "10.0.0.1", namespaces=["prod"]), pool("b", "10.1.0.1"))
    assert desk.give("web") == ["10.1.0.1"]


def test_the_message_walks_through_all_pools_and_the_reason_is_the_nearest_miss() -> None:
    desk = Desk(pool("a", "10.0.0.1", namespaces=["prod"]), pool("b", "10.1.0.1"), pool("c", "fd00::1"))
    desk.give("first")
    outcome = desk.ask(request("web"))
    assert outcome.reason is Reason.POOL_EXHAUSTED
    assert outcome.message == (
        'no IPv4 address: pool "a": does not serve the namespace "default"; '
        'pool "b": its one IPv4 address is assigned; pool "c": has no IPv4 addresses'
    )


def test_a_paused_pool_keeps_what_it_gave() -> None:
    desk = Desk(pool("lan", "10.0.0.1"))
    desk.give("web")
    desk.pools(pool("lan", "10.0.0.1", assignment="Paused"))
    assert desk.ask(request("web")).satisfied


def test_tightened_selectors_take_nothing_away() -> None:
    desk = Desk(pool("lan", "10.0.0.1"))
    desk.give("web")
    desk.pools(pool("lan", "10.0.0.1", namespaces=["prod"], serviceSelector=TEAM))
    assert desk.give("web") == ["10.0.0.1"]


def test_an_address_whose_pool_lost_it_is_replaced() -> None:
    desk = Desk(pool("lan", "10.0.0.1"))
    desk.give("web")
    desk.pools(pool("lan", "10.0.0.2"))
    assert desk.give("web") == ["10.0.0.2"]


def test_an_address_whose_pool_is_gone_leaves_a_service_for_which_there_is_no_other() -> None:
    desk = Desk(pool("lan", "10.0.0.1"))
    desk.give("web")
    desk.pools()
    outcome = desk.ask(request("web"))
    assert addresses(outcome) == []
    assert outcome.reason is Reason.NO_POOL


def test_pools_may_be_renamed_and_split_around_an_address() -> None:
    desk = Desk(pool("lan", "10.0.0.0/24"))
    desk.give("a")
    desk.give("b")
    desk.pools(pool("x", "10.0.0.0-10.0.0.0"), pool("y", "10.0.0.1-10.0.0.255"))
    assert [desk.give(name) for name in "ab"] == [["10.0.0.0"], ["10.0.0.1"]]
    assert desk.ledger.pool_of(desk.ledger.held_by("uid-default-b")[0]) == "y"


def test_an_entry_broken_by_an_edit_takes_nothing_away() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.9"))
    desk.give("web")
    desk.pools(pool("lan", "10.0.0.9-10.0.0.1"))
    assert desk.give("web") == ["10.0.0.1"]
    assert desk.give("new") == []


def test_a_pool_that_could_be_asked_for_is_nearer_than_one_that_never_serves() -> None:
    desk = Desk(pool("mine", "10.0.0.1", assignment="OnRequest"), pool("theirs", "10.1.0.1", namespaces=["prod"]))
    assert desk.ask(request("web")).reason is Reason.POOL_ON_REQUEST_ONLY


def test_who_may_not_have_the_pool_is_not_told_to_ask_for_it() -> None:
    desk = Desk(pool("theirs", "10.1.0.1", namespaces=["prod"], assignment="OnRequest"))
    assert desk.ask(request("web")).reason is Reason.NAMESPACE_NOT_ALLOWED
