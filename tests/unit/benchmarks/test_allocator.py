"""The benchmark of the allocator by itself: that what it measures is what it says."""

from __future__ import annotations

import pytest

from benchmarks.allocator import assignments_of, decide, requests_of, undo


def test_measured_decisions_are_undone_so_that_as_many_stay_assigned() -> None:
    assignments = assignments_of("10.200.0.0/24")
    decide(assignments, requests_of(10, "IPv4", "present"))
    before = set(assignments.ledger)
    for _ in range(3):
        further = requests_of(5, "IPv4", "further")
        decide(assignments, further)
        assert len(assignments.ledger) == 15
        undo(assignments, further)
        assert set(assignments.ledger) == before


def test_a_refusal_is_not_measured_as_a_decision() -> None:
    with pytest.raises(ValueError, match="no IPv4 address"):
        decide(assignments_of("10.200.0.0/30"), requests_of(5, "IPv4", "one-too-many"))


@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_requests_ask_for_their_family_and_differ(family: str) -> None:
    made = requests_of(3, family, "some")  # type: ignore[arg-type]
    assert {request.families for request in made} == {(family,)}
    assert len({request.uid for request in made}) == 3
