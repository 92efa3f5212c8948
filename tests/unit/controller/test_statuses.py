from __future__ import annotations

import ipaddress
from typing import Any

from heraldlb.allocation.allocator import Grant, Outcome
from heraldlb.allocation.book import PoolBook
from heraldlb.allocation.ledger import Holding, Ledger
from heraldlb.allocation.quarantine import Quarantine
from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.api.serviceaddress import Reservation
from heraldlb.api.services import parse_service
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.metrics import AllocationCollector
from heraldlb.controller.pool_status import COUNT_LIMIT, parse_quarantined, pool_status
from heraldlb.controller.service_status import assigned, released
from tests.unit.allocation.build import pool, service

ADDRESS = ipaddress.ip_address("10.0.0.1")
GIVEN = Outcome((Grant(ADDRESS, "lan"),), Reason.ADDRESS_ASSIGNED, '10.0.0.1 from pool "lan"', True, False)


def shown(**fields: Any) -> dict[str, Any]:
    condition = {
        "type": "heraldlb.io/AddressAssigned",
        "status": "True",
        "reason": "AddressAssigned",
        "message": GIVEN.message,
        "lastTransitionTime": "t0",
    }
    status = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1", "ipMode": "VIP"}]}, "conditions": [condition]}
    return service("web", status=status | fields)


def test_a_new_address_is_shown_with_mode_vip_under_the_version_that_was_read() -> None:
    raw = service("web")
    raw["metadata"]["resourceVersion"] = "42"
    patch = assigned(parse_service(raw), GIVEN, "t1")
    assert patch is not None
    assert patch.news
    assert patch.body["metadata"]["resourceVersion"] == "42"
    assert patch.body["status"]["loadBalancer"] == {"ingress": [{"ip": "10.0.0.1", "ipMode": "VIP"}]}


def test_what_is_said_already_is_not_written_again() -> None:
    assert assigned(parse_service(shown()), GIVEN, "t1") is None


def test_an_address_that_someone_took_out_of_the_status_is_shown_again_without_being_news() -> None:
    patch = assigned(parse_service(shown(loadBalancer={})), GIVEN, "t1")
    assert patch is not None
    assert not patch.news


def test_a_host_name_written_by_another_implementation_is_replaced() -> None:
    ingress = [{"ip": "10.0.0.1"}, {"hostname": "lb.example.com"}]
    assert assigned(parse_service(shown(loadBalancer={"ingress": ingress})), GIVEN, "t1") is not None


def test_a_service_that_is_released_keeps_what_others_gave_it() -> None:
    raw = shown(loadBalancer={"ingress": [{"ip": "10.0.0.1"}, {"ip": "172.16.0.1"}]})
    patch = released(parse_service(raw), (ADDRESS,))
    assert patch is not None
    assert [entry["ip"] for entry in patch.body["status"]["loadBalancer"]["ingress"]] == ["172.16.0.1"]
    assert patch.body["status"]["conditions"] == [{"type": "heraldlb.io/AddressAssigned", "$patch": "delete"}]


def test_nothing_is_written_to_a_service_that_shows_nothing_of_ours() -> None:
    assert released(parse_service(service("web")), (ADDRESS,)) is None


def status_of(name: str, *pools: Any, held: dict[str, str] | None = None) -> dict[str, Any]:
    book, ledger = PoolBook(pools), Ledger()
    for address, owner in (held or {}).items():
        ledger.put(ipaddress.ip_address(address), owner, Holding(NamespacedName("n", address), address))
    booked = book.get(name)
    assert booked is not None
    return pool_status(booked, book, ledger, {}, "t")


def condition(status: dict[str, Any], kind: str) -> tuple[str, str, str]:
    [found] = [entry for entry in status["conditions"] if entry["type"] == kind]
    return found["status"], found["reason"], found["message"]


def test_a_pool_counts_by_family() -> None:
    status = status_of("lan", pool("lan", "10.0.0.1-10.0.0.4", "fd00::1-fd00::2"), held={"10.0.0.1": "lan"})
    assert status["ipv4"] == {"capacity": 4, "assigned": 1, "available": 3}
    assert status["ipv6"] == {"capacity": 2, "assigned": 0, "available": 2}
    assert status["assigned"] == 1
    assert condition(status, "Ready")[0] == "True"


def test_counts_are_capped_at_what_json_readers_hold() -> None:
    assert status_of("lan", pool("lan", "fd00::/32"))["ipv6"]["capacity"] == COUNT_LIMIT


def test_a_bad_entry_makes_a_pool_not_ready_and_names_the_entry() -> None:
    status = status_of("lan", pool("lan", "10.0.0.9-10.0.0.1", "10.0.1.1"))
    ready = condition(status, "Ready")
    assert ready[:2] == ("False", "InvalidEntry")
    assert 'spec.addresses[0]: "10.0.0.9-10.0.0.1" is reversed' in ready[2]
    assert "the other entries serve" in ready[2]


def test_only_the_newer_of_two_overlapping_pools_says_so() -> None:
    old = pool("z-old", "10.0.0.1-10.0.0.9", created="2026-01-01T00:00:00Z")
    new = pool("a-new", "10.0.0.9-10.0.0.20", created="2026-02-01T00:00:00Z")
    assert condition(status_of("a-new", old, new), "Overlapping")[:2] == ("True", "PoolsOverlap")
    assert '"z-old"' in condition(status_of("a-new", old, new), "Overlapping")[2]
    assert condition(status_of("z-old", old, new), "Overlapping")[0] == "False"


def test_a_pool_without_a_free_address_of_a_family_is_exhausted() -> None:
    lan = pool("lan", "10.0.0.1", "fd00::1")
    assert condition(status_of("lan", lan), "Exhausted")[0] == "False"
    full = condition(status_of("lan", lan, held={"10.0.0.1": "lan"}), "Exhausted")
    assert full[:2] == ("True", "PoolExhausted")
    assert "IPv4" in full[2]


def kept(*pools: Any) -> Assignments:
    """Of each pool's addresses 10.0.0.1 is held, .2 reserved, .3 held and quarantined, .4 quarantined."""
    made = Assignments()
    made.replace_pools(pools)
    for number in (1, 3):
        made.ledger.put(ipaddress.ip_address(f"10.0.0.{number}"), "lan", Holding(NamespacedName("n", "s"), "u"))
    made.ledger.reserve(ipaddress.ip_address("10.0.0.2"), "lan", Reservation(NamespacedName("n", "former"), 0.0))
    made.ledger.quarantine(ipaddress.ip_address("10.0.0.3"), Quarantine("02:00:00:00:00:03", 1_767_225_600.0))
    gone = Quarantine("", 1_767_225_600.0, 1_767_225_660.0)
    made.ledger.quarantine(ipaddress.ip_address("10.0.0.4"), gone)
    return made


def test_what_is_reserved_or_quarantined_is_not_available_and_the_latter_listed() -> None:
    made = kept(pool("lan", "10.0.0.1-10.0.0.6"))
    [booked] = made.book
    status = pool_status(booked, made.book, made.ledger, {}, "t")
    assert status["ipv4"] == {"capacity": 6, "assigned": 2, "available": 2}
    assert status["quarantined"] == [
        {"address": "10.0.0.3", "macAddress": "02:00:00:00:00:03", "since": "2026-01-01T00:00:00Z"},
        {"address": "10.0.0.4", "since": "2026-01-01T00:00:00Z", "lastSeen": "2026-01-01T00:01:00Z"},
    ]
    assert dict(parse_quarantined(status)) == made.ledger.quarantined


def test_a_quarantined_address_is_listed_by_the_one_pool_that_it_belongs_to() -> None:
    made = kept(pool("a", "10.0.0.1-10.0.0.3"), pool("lan", "10.0.0.1-10.0.0.6"))
    listed = [
        [entry["address"] for entry in pool_status(booked, made.book, made.ledger, {}, "t")["quarantined"]]
        for booked in made.book
    ]
    assert listed == [["10.0.0.3"], ["10.0.0.4"]]


def test_that_nothing_is_quarantined_any_more_is_said_once_and_to_no_one_who_never_had_any() -> None:
    book, ledger = PoolBook([pool("lan", "10.0.0.1")]), Ledger()
    [booked] = book
    assert "quarantined" not in pool_status(booked, book, ledger, {}, "t")
    after = pool_status(booked, book, ledger, {"quarantined": [{"address": "10.0.0.1"}]}, "t")
    assert after["quarantined"] == []
    assert pool_status(booked, book, ledger, after, "later") == after


def test_quarantined_entries_that_cannot_be_read_are_left_out() -> None:
    status = {"quarantined": [{"address": "nonsense"}, "text", {"address": "10.0.0.1", "since": "yesterday"}]}
    assert parse_quarantined(status) == [(ADDRESS, Quarantine("", 0.0))]


def test_metrics_count_addresses_by_state() -> None:
    collector = AllocationCollector()
    collector.assignments = kept(pool("lan", "10.0.0.1-10.0.0.6"))
    samples = [sample for metric in collector.collect() for sample in metric.samples]
    counts = {sample.name: sample.value for sample in samples if sample.labels.get("family") == "IPv4"}
    assert counts == {
        "heraldlb_pool_addresses": 6,
        "heraldlb_pool_assigned_addresses": 2,
        "heraldlb_pool_available_addresses": 2,
        "heraldlb_pool_reserved_addresses": 1,
        "heraldlb_pool_quarantined_addresses": 2,
    }
