"""How long addresses are kept, on a clock that the test sets."""

from __future__ import annotations

from typing import Any

import pytest

from heraldlb.allocation.quarantine import QUARANTINE_PERIOD
from heraldlb.allocation.requests import Request
from heraldlb.api.objects import NamespacedName
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import Holder, ServiceAddress, manifest, parse_service_address
from heraldlb.controller.assignments import Assignments
from tests.unit.allocation.build import ip, pool, request

ADDRESS = ip("10.0.0.1")
NOW = 1_767_225_600.25
WEB = request("web")


def assignments(**spec: Any) -> Assignments:
    """One pool of one address, which `web` holds."""
    made = Assignments()
    made.replace_pools([pool("lan", str(ADDRESS), **spec)])
    assert served(made, WEB) == [ADDRESS]
    return made


def served(made: Assignments, asked: Request) -> list[IPAddress]:
    return [grant.address for grant in made.decide(asked).outcome.grants]


def release(made: Assignments, *, moved: bool = False, now: float = NOW) -> list[NamespacedName]:
    made.forget(WEB.service)
    return made.leave(WEB.uid, [ADDRESS], now, moved=moved)


def is_reserved(made: Assignments) -> bool:
    return bool(made.ledger.reservations(ADDRESS))


def edit(made: Assignments, now: float, **spec: Any) -> None:
    made.replace_pools([pool("lan", str(ADDRESS), **spec)])
    made.expire(now)


def test_a_pool_that_keeps_nothing_has_nothing_to_record_and_no_timer() -> None:
    made = assignments()
    release(made)
    assert made.record_of(ADDRESS) is None
    assert made.next_expiry() is None


def test_an_address_rests_for_exactly_the_delay_and_then_helps_who_waits() -> None:
    made = assignments(reuseDelay="5m")
    waiting = request("next")
    made.decide(waiting)
    release(made)
    assert served(made, waiting) == []
    assert made.next_expiry() == NOW + 300
    assert made.expire(NOW + 299.9).helped == ()
    ended = made.expire(NOW + 300)
    assert (ended.changed, ended.helped) == ((ADDRESS,), (waiting.service,))
    assert served(made, waiting) == [ADDRESS]
    assert made.next_expiry() is None


def test_a_retained_address_needs_no_timer() -> None:
    made = assignments(reclaimPolicy="Retain")
    release(made)
    assert made.next_expiry() is None
    assert served(made, request("next")) == []
    assert served(made, request("web", uid="another")) == [ADDRESS]


@pytest.mark.parametrize(("delay", "kept"), [("0s", False), ("5m", True)])
def test_who_moves_away_leaves_it_to_rest_but_not_retained(delay: str, kept: bool) -> None:
    made = assignments(reclaimPolicy="Retain", reuseDelay=delay)
    release(made, moved=True)
    assert is_reserved(made) == kept
    made.expire(NOW + 300)
    assert not is_reserved(made)


def test_who_is_served_elsewhere_again_has_nothing_retained() -> None:
    made = assignments(reclaimPolicy="Retain")
    release(made)
    other = pool("other", "10.1.0.1")
    made.replace_pools([pool("lan", str(ADDRESS), reclaimPolicy="Retain"), other])
    made.expire(NOW)
    back = request("web", annotations={"heraldlb.io/address-pool": "other"})
    assert served(made, back) == [ip("10.1.0.1")]
    assert made.expire(NOW + 1).changed == (ADDRESS,)
    assert not is_reserved(made)


def test_who_is_served_in_one_family_keeps_what_is_retained_in_the_other() -> None:
    made = Assignments()
    made.replace_pools([pool("lan", "10.0.0.1", "fd00::1", reclaimPolicy="Retain")])
    six = request("web", ipFamilies=["IPv6"])
    served(made, six)
    made.leave(six.uid, [ip("fd00::1")], NOW)
    assert served(made, WEB) == [ADDRESS]
    made.expire(NOW + 1)
    assert [str(address) for address in made.ledger.reserved()] == ["fd00::1"]


def test_the_pool_as_it_is_now_says_until_when() -> None:
    made = assignments(reuseDelay="5m")
    release(made)
    edit(made, NOW + 100, reuseDelay="2m")
    assert made.next_expiry() == NOW + 120
    edit(made, NOW + 110, reclaimPolicy="Retain")
    assert made.next_expiry() is None
    assert is_reserved(made)
    edit(made, NOW + 200, reuseDelay="1m")
    assert not is_reserved(made)


def test_an_address_of_no_pool_is_kept_for_nobody() -> None:
    made = assignments(reclaimPolicy="Retain")
    release(made)
    made.replace_pools([pool("lan", "10.0.0.2", reclaimPolicy="Retain")])
    assert made.expire(NOW).changed == (ADDRESS,)
    assert not is_reserved(made)


def test_an_entry_broken_by_an_edit_frees_nothing() -> None:
    made = assignments(reclaimPolicy="Retain")
    release(made)
    made.replace_pools([pool("lan", "10.0.0.9-10.0.0.1", reclaimPolicy="Retain")])
    made.expire(NOW)
    assert is_reserved(made)


def test_a_record_follows_its_address_to_another_pool() -> None:
    made = assignments(reclaimPolicy="Retain")
    release(made)
    made.replace_pools([pool("renamed", str(ADDRESS), reclaimPolicy="Retain")])
    made.expire(NOW)
    record = made.record_of(ADDRESS)
    assert record is not None
    assert record.pool == "renamed"


def test_a_clock_that_steps_back_starts_the_rest_anew_and_no_more() -> None:
    made = assignments(reuseDelay="5m")
    release(made)
    made.expire(NOW - 10_000)
    assert made.next_expiry() == NOW - 10_000 + 300
    made.expire(NOW - 10_000 + 300)
    assert not is_reserved(made)


def test_what_was_released_in_the_future_of_a_new_controller_rests_from_now() -> None:
    made = assignments(reuseDelay="5m")
    release(made, now=NOW + 10_000)
    record = made.record_of(ADDRESS)
    assert record is not None
    fresh = Assignments()
    fresh.replace_pools([pool("lan", str(ADDRESS), reuseDelay="5m")])
    fresh.adopt_reservations(record)
    assert fresh.expire(NOW).changed == (ADDRESS,)
    assert fresh.next_expiry() == NOW + 300


def test_a_reservation_comes_back_from_its_record_as_it_was() -> None:
    made = assignments(reclaimPolicy="Retain", reuseDelay="5m")
    release(made, moved=True)
    record = made.record_of(ADDRESS)
    assert record is not None
    parsed = parse_service_address(manifest(record))
    assert parsed == record
    assert manifest(record)["spec"]["services"] == []


def test_a_user_frees_what_nobody_holds_and_only_that() -> None:
    made = assignments(reclaimPolicy="Retain")
    waiting = request("next")
    made.decide(waiting)
    assert made.free(ADDRESS) == []
    release(made)
    assert made.free(ADDRESS) == [waiting.service]
    assert served(made, waiting) == [ADDRESS]


def test_a_status_that_shows_what_is_kept_for_another_is_not_believed() -> None:
    made = assignments(reclaimPolicy="Retain")
    release(made)
    assert not made.adopt_shown(request("thief"), ADDRESS)
    assert made.adopt_shown(request("web", uid="another"), ADDRESS)


def seen(*, contested: bool, announced: bool = True) -> ServiceAddress:
    """The record of the held address, as its agent has written it."""
    conditions = (
        {"type": "Conflict", "status": str(contested), "lastTransitionTime": "2026-01-01T00:00:00Z"},
        {
            "type": "Announced",
            "status": str(announced),
            "reason": "Announcing" if announced else "AddressConflict",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        },
    )
    holders = (Holder(WEB.service, WEB.uid),)
    return ServiceAddress(ADDRESS, "lan", holders, stranger="02:00:5e:00:53:01", conditions=conditions)


def test_a_quarantine_begins_and_ends_with_what_agents_see() -> None:
    made = assignments()
    waiting = request("next")
    made.decide(waiting)
    made.watch(seen(contested=True), NOW)
    assert made.ledger.quarantined[ADDRESS].mac == "02:00:5e:00:53:01"
    assert made.next_expiry() is None
    assert made.watch(seen(contested=False), NOW) == [waiting.service]
    assert not made.ledger.quarantined


def test_who_holds_an_address_that_a_stranger_had_first_is_visited_once() -> None:
    made = assignments()
    assert made.watch(seen(contested=True), NOW) == []
    assert made.watch(seen(contested=True, announced=False), NOW) == [WEB.service]
    assert made.watch(seen(contested=True, announced=False), NOW) == []
    assert made.ledger.is_withheld(ADDRESS)
    made.watch(seen(contested=False), NOW)
    assert not made.ledger.is_withheld(ADDRESS)


def test_once_nobody_looks_it_ends_after_a_fixed_time() -> None:
    made = assignments()
    waiting = request("next")
    made.decide(waiting)
    made.watch(seen(contested=True), NOW)
    release(made)
    assert served(made, waiting) == []
    assert made.next_expiry() == NOW + QUARANTINE_PERIOD
    ended = made.expire(NOW + QUARANTINE_PERIOD)
    assert (ended.changed, ended.helped) == ((), (waiting.service,))
    assert served(made, waiting) == [ADDRESS]


def test_what_a_record_without_holders_says_of_strangers_is_from_before() -> None:
    made = assignments(reclaimPolicy="Retain")
    release(made)
    for contested in (True, False):
        record = seen(contested=contested)
        made.watch(ServiceAddress(ADDRESS, "lan", (), conditions=record.conditions), NOW)
        assert not made.ledger.quarantined


def test_a_quarantine_does_not_outlast_a_clock_that_steps_back() -> None:
    made = assignments()
    made.watch(seen(contested=True), NOW)
    release(made)
    made.expire(NOW - 10_000)
    assert made.next_expiry() == NOW - 10_000 + QUARANTINE_PERIOD
