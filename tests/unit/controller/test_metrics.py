"""What the controller's metrics say of Services that wait."""

from __future__ import annotations

from heraldlb.allocation.requests import request_of
from heraldlb.api.addresspool import AddressPool
from heraldlb.api.reasons import Reason
from heraldlb.api.services import parse_service
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.metrics import AllocationCollector
from tests.unit.allocation.build import pool, service


def pending(acting: Assignments) -> dict[str, float]:
    collector = AllocationCollector()
    collector.assignments = acting
    return {
        sample.labels["reason"]: sample.value
        for metric in collector.collect()
        for sample in metric.samples
        if sample.name == "heraldlb_allocation_pending_services"
    }


def acting_with(*pools: AddressPool) -> Assignments:
    made = Assignments()
    made.replace_pools(pools)
    return made


def test_every_reason_is_told_also_where_nobody_waits_for_it() -> None:
    counts = pending(acting_with())
    assert set(counts.values()) == {0}
    assert Reason.POOL_EXHAUSTED in counts
    assert Reason.ADDRESS_ASSIGNED not in counts


def test_services_are_pending_for_their_reason_until_they_are_served_or_go() -> None:
    requests = [request_of(parse_service(service(name)), {}) for name in ("a", "b", "c")]
    acting = acting_with()
    for request in requests:
        acting.decide(request)
    assert pending(acting)[Reason.NO_POOL] == 3
    acting.replace_pools([pool("lan", "10.0.0.1")])
    for request in requests:
        acting.decide(request)
    assert {reason: count for reason, count in pending(acting).items() if count} == {Reason.POOL_EXHAUSTED: 2}
    acting.forget(requests[2].service)
    assert pending(acting)[Reason.POOL_EXHAUSTED] == 1
