"""What is done about somebody else's claim to an address that is announced."""

from __future__ import annotations

from ipaddress import IPv4Address

from heraldlb.speaker.constants import CLAIM_DOUBT, CONFLICT_QUIET, DEFEND_INTERVAL, RIVAL_INTERVAL
from heraldlb.speaker.defence import Defences

THEIRS = bytes.fromhex("020000000099")
ADDRESS = IPv4Address("10.0.0.9")
NOBODY: frozenset[bytes] = frozenset()


def test_a_stranger_is_answered_once_in_a_defence_interval() -> None:
    defences = Defences()
    announced = [defences.claimed(ADDRESS, THEIRS, by_agent=False, now=n * DEFEND_INTERVAL / 10) for n in range(11)]
    assert announced == [True, *[False] * 9, True]


def test_a_stranger_is_told_of_once_within_a_second() -> None:
    defences = Defences()
    told = []
    for tenth in range(100):
        defences.claimed(ADDRESS, THEIRS, by_agent=False, now=tenth / 10)
        told += [(tenth / 10, *each) for each in defences.strangers(tenth / 10, NOBODY)]
    [(when, *what)] = told
    assert when < 1
    assert what == [ADDRESS, THEIRS]


def test_who_turns_out_to_be_an_agent_is_not_told_of() -> None:
    defences = Defences()
    defences.claimed(ADDRESS, THEIRS, by_agent=False, now=0.0)
    assert defences.strangers(CLAIM_DOUBT - 0.01, NOBODY) == []
    assert defences.strangers(CLAIM_DOUBT, {THEIRS}) == []
    assert defences.strangers(9.0, NOBODY) == []
    assert defences.over(1e9, NOBODY) == []


def test_a_conflict_is_over_when_who_was_told_of_turns_out_to_be_an_agent() -> None:
    defences = Defences()
    defences.claimed(ADDRESS, THEIRS, by_agent=False, now=0.0)
    assert defences.strangers(1.0, NOBODY) == [(ADDRESS, THEIRS)]
    assert defences.over(1.0, NOBODY) == []
    assert defences.over(1.0, {THEIRS}) == [ADDRESS]


def test_strangers_that_take_turns_are_not_told_of_at_every_frame() -> None:
    defences = Defences()
    told = []
    for n in range(9_000):
        defences.claimed(ADDRESS, bytes((2, 0, 0, 0, 0, n % 200)), by_agent=False, now=n / 1_000)
        told += defences.strangers(n / 1_000, NOBODY)
    assert len(told) == 1


def test_another_agent_is_no_stranger_but_is_reminded() -> None:
    defences = Defences()
    assert defences.claimed(ADDRESS, THEIRS, by_agent=True, now=1.0)
    assert not defences.claimed(ADDRESS, THEIRS, by_agent=True, now=1.1)
    assert defences.claimed(ADDRESS, THEIRS, by_agent=True, now=1.0 + RIVAL_INTERVAL)
    assert defences.strangers(9.0, NOBODY) == []
    assert defences.over(1e9, NOBODY) == []


def test_a_conflict_is_over_when_the_stranger_has_been_silent_and_can_come_again() -> None:
    defences = Defences()
    for now in (0.0, 5.0):
        defences.claimed(ADDRESS, THEIRS, by_agent=False, now=now)
    assert defences.strangers(5.0, NOBODY) == [(ADDRESS, THEIRS)]
    assert defences.over(5.0 + CONFLICT_QUIET - 0.1, NOBODY) == []
    assert defences.over(5.0 + CONFLICT_QUIET, NOBODY) == [ADDRESS]
    defences.claimed(ADDRESS, THEIRS, by_agent=False, now=98.0)
    assert defences.strangers(99.0, NOBODY) == [(ADDRESS, THEIRS)]


def test_a_conflict_over_an_address_given_up_is_over() -> None:
    defences = Defences()
    defences.claimed(ADDRESS, THEIRS, by_agent=False, now=0.0)
    defences.strangers(1.0, NOBODY)
    assert defences.released(ADDRESS)
    assert not defences.released(ADDRESS)
