"""What the decision makes of addresses that are reserved or quarantined, which are in force while entered."""

from __future__ import annotations

from typing import Any

import pytest

from heraldlb.allocation.admission import Verdict
from heraldlb.allocation.quarantine import Quarantine
from heraldlb.api.addresspool import AddressPool
from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.api.serviceaddress import Reservation
from tests.unit.allocation.build import DUAL, Desk, addresses, ip, pool, request

ADDRESSES = "heraldlb.io/addresses"
POOL = "heraldlb.io/address-pool"
KEY = "heraldlb.io/sharing-key"
RELEASED = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""
STRANGER = Quarantine("02:00:5e:00:53:01", RELEASED)
WITHHELD = Quarantine("02:00:5e:00:53:01", RELEASED, withheld=True)


def reserve(desk: Desk, address: str, *names: str, released: float = RELEASED, moved: bool = False) -> None:
    for name in names:
        desk.ledger.reserve(ip(address), "lan", Reservation(NamespacedName("default", name), released, moved))


def rest(*entries: str, **spec: Any) -> AddressPool:
    return pool("lan", *entries, **({"reuseDelay": "5m"} | spec))


def test_a_reserved_address_is_passed_over_for_others() -> None:
    desk = Desk(rest("10.0.0.1-10.0.0.2"))
    reserve(desk, "10.0.0.1", "former")
    assert desk.give("web") == ["10.0.0.2"]


def test_its_former_holder_gets_it_before_a_lower_one() -> None:
    desk = Desk(rest("10.0.0.1-10.0.0.9"))
    reserve(desk, "10.0.0.7", "web")
    assert desk.give("web") == ["10.0.0.7"]
    assert desk.ledger.reservations(ip("10.0.0.7")) == ()


def test_of_several_the_one_released_last_comes_back() -> None:
    desk = Desk(rest("10.0.0.1-10.0.0.9"))
    reserve(desk, "10.0.0.3", "web", released=RELEASED)
    reserve(desk, "10.0.0.7", "web", released=RELEASED + 1)
    assert desk.give("web") == ["10.0.0.7"]


def test_both_families_come_back() -> None:
    desk = Desk(rest("10.0.0.1-10.0.0.9", "fd00::1-fd00::9"))
    reserve(desk, "10.0.0.7", "web")
    reserve(desk, "fd00::7", "web")
    assert desk.give("web", **DUAL) == ["10.0.0.7", "fd00::7"]


def test_the_same_name_in_another_namespace_is_another_service() -> None:
    desk = Desk(rest("10.0.0.1"))
    reserve(desk, "10.0.0.1", "web")
    assert desk.give("web", namespace="other") == []


@pytest.mark.parametrize(
    ("spec", "moved", "words"),
    [
        ({}, False, "reserved for default/former until 2026-01-01T00:05:00Z (reuseDelay)"),
        ({"reclaimPolicy": "Retain"}, True, "reserved for default/former until 2026-01-01T00:05:00Z (reuseDelay)"),
        (
            {"reclaimPolicy": "Retain"},
            False,
            "reserved for default/former (reclaimPolicy Retain); to free it:"
            " kubectl delete serviceaddress 10.0.0.1",
        ),
    ],
)
def test_asked_for_by_name_it_is_refused_with_for_whom_and_until_when(
    spec: dict[str, Any], moved: bool, words: str
) -> None:
    desk = Desk(rest("10.0.0.1-10.0.0.9", **spec))
    reserve(desk, "10.0.0.1", "former", moved=moved)
    outcome = desk.ask(request("web", annotations={ADDRESSES: "10.0.0.1"}))
    assert outcome.reason is Reason.ADDRESS_RESERVED
    assert outcome.message == f'10.0.0.1 cannot be given: pool "lan": {words}'
    assert outcome.waiting


def test_a_request_for_something_else_counts_more_than_what_is_reserved() -> None:
    desk = Desk(rest("10.0.0.1-10.0.0.9"), pool("other", "10.1.0.1"))
    reserve(desk, "10.0.0.7", "web")
    assert desk.give("web", annotations={POOL: "other"}) == ["10.1.0.1"]


def test_a_pool_that_no_longer_serves_it_gives_nothing_back() -> None:
    desk = Desk(rest("10.0.0.1-10.0.0.9", assignment="Paused"))
    reserve(desk, "10.0.0.7", "web")
    assert desk.ask(request("web")).reason is Reason.POOL_PAUSED


def test_former_sharers_come_together_again_in_either_order() -> None:
    for order in (("a", "b"), ("b", "a")):
        desk = Desk(rest("10.0.0.1-10.0.0.9"))
        reserve(desk, "10.0.0.7", "a", "b")
        for number, name in enumerate(order):
            ports = [{"port": 80 + number, "protocol": "TCP"}]
            assert desk.give(name, annotations={KEY: "k"}, ports=ports) == ["10.0.0.7"]


def test_while_one_holds_the_address_the_rules_of_sharing_decide() -> None:
    desk = Desk(rest("10.0.0.1-10.0.0.9"))
    desk.give("web", annotations={KEY: "k"})
    reserve(desk, "10.0.0.1", "former")
    assert desk.give("dns", annotations={KEY: "k"}, ports=[{"port": 53, "protocol": "UDP"}]) == ["10.0.0.1"]


def test_a_quarantined_address_stays_with_its_holder_and_is_given_to_nobody_else() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.2"))
    desk.give("web", annotations={KEY: "k"})
    desk.ledger.quarantine(ip("10.0.0.1"), STRANGER)
    assert desk.give("web", annotations={KEY: "k"}) == ["10.0.0.1"]
    assert desk.give("joins", annotations={KEY: "k"}, ports=[{"port": 53, "protocol": "UDP"}]) == ["10.0.0.2"]


def test_who_holds_an_address_that_a_stranger_had_first_gets_another() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.2", maxPerNamespace=1))
    desk.give("web")
    desk.ledger.quarantine(ip("10.0.0.1"), WITHHELD)
    assert desk.give("web") == ["10.0.0.2"]
    assert desk.give("web") == ["10.0.0.2"]


def test_who_asks_for_that_very_address_keeps_it() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.2"))
    wish = {ADDRESSES: "10.0.0.1"}
    desk.give("web", annotations=wish)
    desk.ledger.quarantine(ip("10.0.0.1"), WITHHELD)
    assert desk.give("web", annotations=wish) == ["10.0.0.1"]


def test_where_there_is_no_other_it_is_kept_until_one_comes() -> None:
    desk = Desk(pool("lan", "10.0.0.1"))
    desk.give("web")
    desk.ledger.quarantine(ip("10.0.0.1"), WITHHELD)
    outcome = desk.ask(request("web"))
    assert addresses(outcome) == ["10.0.0.1"]
    assert (outcome.satisfied, outcome.waiting, outcome.reason) == (False, True, Reason.ADDRESS_QUARANTINED)
    assert "02:00:5e:00:53:01 answers for it" in outcome.message
    assert outcome.message.endswith('its one IPv4 address is assigned; the Service keeps 10.0.0.1 from pool "lan"')
    desk.pools(pool("lan", "10.0.0.1-10.0.0.2"))
    assert desk.give("web") == ["10.0.0.2"]


def test_sharers_of_an_address_that_a_stranger_had_first_move_together() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.2"))
    wishes = {KEY: "k", "heraldlb.io/sharing": "Required"}
    dns = [{"port": 53, "protocol": "UDP"}]
    assert desk.give("web", annotations=wishes) == desk.give("dns", annotations=wishes, ports=dns) == ["10.0.0.1"]
    desk.ledger.quarantine(ip("10.0.0.1"), WITHHELD)
    assert desk.give("web", annotations=wishes) == desk.give("dns", annotations=wishes, ports=dns) == ["10.0.0.2"]


def test_of_two_families_only_the_one_that_a_stranger_had_first_changes() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.2", "fd00::1-fd00::2"))
    assert desk.give("web", **DUAL) == ["10.0.0.1", "fd00::1"]
    desk.ledger.quarantine(ip("fd00::1"), WITHHELD)
    assert desk.give("web", **DUAL) == ["10.0.0.1", "fd00::2"]


def test_asked_for_by_name_a_quarantined_address_is_refused_with_who_answers() -> None:
    desk = Desk(pool("lan", "10.0.0.1-10.0.0.2"))
    desk.ledger.quarantine(ip("10.0.0.1"), STRANGER)
    outcome = desk.ask(request("web", annotations={ADDRESSES: "10.0.0.1"}))
    assert outcome.reason is Reason.ADDRESS_QUARANTINED
    assert "quarantined: 02:00:5e:00:53:01 answers for it on the network since 2026-01-01" in outcome.message
    assert "take the address off that host, or out of the pool (spec.excluded)" in outcome.message


def test_a_former_holder_does_not_get_a_quarantined_address_back() -> None:
    desk = Desk(rest("10.0.0.1-10.0.0.9"))
    reserve(desk, "10.0.0.7", "web")
    desk.ledger.quarantine(ip("10.0.0.7"), STRANGER)
    assert desk.give("web") == ["10.0.0.1"]


def test_an_exhausted_pool_tells_what_its_addresses_are_taken_by() -> None:
    desk = Desk(rest("10.0.0.1-10.0.0.5"))
    desk.give("a")
    reserve(desk, "10.0.0.2", "former")
    reserve(desk, "10.0.0.3", "former")
    for address in ("10.0.0.1", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.9.9.9"):
        desk.ledger.quarantine(ip(address), STRANGER)
    outcome = desk.ask(request("web"))
    assert outcome.reason is Reason.POOL_EXHAUSTED
    assert outcome.message == (
        'no IPv4 address: pool "lan": none of 5 IPv4 addresses is free: 1 assigned, 2 reserved, 2 quarantined'
    )


def test_an_exhausted_pool_that_keeps_nothing_says_that_all_are_assigned() -> None:
    desk = Desk(pool("lan", "10.0.0.1"))
    desk.give("a")
    booked = desk.book.get("lan")
    assert booked is not None
    assert Verdict.exhausted(booked, "IPv4", desk.ledger).message == "its one IPv4 address is assigned"
    assert addresses(desk.ask(request("web"))) == []


def test_an_address_is_taken_until_it_is_neither_held_nor_reserved_nor_quarantined() -> None:
    desk = Desk(rest("10.0.0.1"))
    address, former = ip("10.0.0.1"), NamespacedName("default", "former")
    ledger = desk.ledger
    desk.give("web")
    reserve(desk, "10.0.0.1", "former")
    ledger.quarantine(address, STRANGER)
    ledger.drop(address, "uid-default-web")
    assert int(address) in ledger.resting("IPv4")
    ledger.unreserve(address, former)
    assert int(address) not in ledger.resting("IPv4")
    assert int(address) in ledger.taken("IPv4")
    ledger.end_quarantine(address)
    assert int(address) not in ledger.taken("IPv4")
