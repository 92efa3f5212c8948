from __future__ import annotations

from typing import Any

import pytest

from heraldlb.api.reasons import Reason
from tests.unit.allocation.build import Desk, addresses, pool, request

KEY = "heraldlb.io/sharing-key"


def port(number: int, protocol: str = "TCP") -> dict[str, Any]:
    return {"ports": [{"port": number, "protocol": protocol}]}


def keyed(key: str = "k", **annotations: str) -> dict[str, Any]:
    return {"annotations": {KEY: key, **annotations}}


LOCAL = {"externalTrafficPolicy": "Local"}


def test_services_of_one_key_share_across_namespaces() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.9"))
    assert desk.give("a", **keyed(), **port(80)) == ["10.0.0.1"]
    assert desk.give("b", namespace="other", **keyed(), **port(443)) == ["10.0.0.1"]
    assert desk.give("c", **keyed(), **port(80, "UDP")) == ["10.0.0.1"]


@pytest.mark.parametrize(
    ("second", "reason", "blocker"),
    [
        ({**keyed(), **port(80)}, Reason.SHARING_REFUSED, "default/first serves TCP 80 on it already"),
        ({**keyed("other"), **port(81)}, Reason.SHARING_REFUSED, 'under the sharing key "k", not "other"'),
        (port(81), Reason.ADDRESS_IN_USE, "held by default/first"),
        ({**keyed(), **port(81), **LOCAL}, Reason.SHARING_REFUSED, "externalTrafficPolicy"),
    ],
)
def test_what_stands_in_the_way_of_sharing_is_named(second: dict[str, Any], reason: Reason, blocker: str) -> None:
    desk = Desk(pool("lan", "10.0.0.1"))
    desk.give("first", **keyed(), **port(80))
    second = dict(second)
    annotations = {**second.pop("annotations", {}), "heraldlb.io/addresses": "10.0.0.1"}
    outcome = desk.ask(request("second", annotations=annotations, **second))
    assert addresses(outcome) == []
    assert outcome.reason is reason
    assert blocker in outcome.message


def test_local_sharers_need_one_selector() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.9"))
    desk.give("a", **keyed(), **port(80), **LOCAL, selector={"app": "x"})
    assert desk.give("b", **keyed(), **port(81), **LOCAL, selector={"app": "x"}) == ["10.0.0.1"]
    assert desk.give("c", **keyed(), **port(82), **LOCAL, selector={"app": "y"}) == ["10.0.0.2"]


def test_sharers_that_collide_are_separated_unless_sharing_is_required() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.9"))
    desk.give("a", **keyed(), **port(80))
    assert desk.give("b", **keyed(), **port(80)) == ["10.0.0.2"]
    outcome = desk.ask(request("c", **keyed("k", **{"heraldlb.io/sharing": "Required"}), **port(80)))
    assert outcome.reason is Reason.SHARING_REFUSED
    assert addresses(outcome) == []


def test_the_first_service_that_requires_sharing_gets_an_address_to_share() -> None:
    desk = Desk(pool("lan", "10.0.0.1"))
    required = keyed("k", **{"heraldlb.io/sharing": "Required"})
    assert desk.give("a", **required, **port(80)) == ["10.0.0.1"]
    assert desk.give("b", **required, **port(81)) == ["10.0.0.1"]


def test_those_who_must_share_move_together_and_are_never_without_an_address() -> None:
    desk = Desk(pool("lan", "10.0.0.1"))
    required = keyed("k", **{"heraldlb.io/sharing": "Required"})
    desk.give("a", **required, **port(80))
    desk.give("b", **required, **port(81))
    desk.pools(pool("lan", "10.0.0.5-10.0.0.9"))
    assert desk.give("b", **required, **port(81)) == ["10.0.0.5"]
    assert desk.give("a", **required, **port(80)) == ["10.0.0.5"]


def test_a_service_whose_own_edit_breaks_sharing_moves_and_the_other_stays() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.9"))
    desk.give("a", **keyed(), **port(80))
    desk.give("b", **keyed(), **port(443))
    assert desk.give("b", **keyed(), **port(80)) == ["10.0.0.2"]
    assert desk.give("a", **keyed(), **port(80)) == ["10.0.0.1"]


def test_a_service_whose_own_edit_breaks_sharing_loses_the_address_where_there_is_no_other() -> None:
    desk = Desk(pool("lan", "10.0.0.1"))
    desk.give("a", **keyed(), **port(80))
    desk.give("b", **keyed(), **port(443))
    assert desk.give("b", **keyed(), **port(80)) == []
    assert desk.give("a", **keyed(), **port(80)) == ["10.0.0.1"]


def test_a_shared_address_counts_once_towards_the_quota() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.9", maxPerNamespace=1))
    desk.give("a", **keyed(), **port(80))
    assert desk.give("b", **keyed(), **port(81)) == ["10.0.0.1"]
    assert desk.ask(request("c")).reason is Reason.QUOTA_EXCEEDED


def test_a_shared_address_is_free_when_the_last_holder_goes() -> None:
    desk = Desk(pool("lan", "10.0.0.1"))
    desk.give("a", **keyed(), **port(80))
    desk.give("b", **keyed(), **port(81))
    [address] = desk.ledger.held_by("uid-default-a")
    desk.ledger.drop(address, "uid-default-a")
    assert desk.give("c") == []
    desk.ledger.drop(address, "uid-default-b")
    assert desk.give("c") == ["10.0.0.1"]
