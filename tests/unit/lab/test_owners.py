"""Who answered when, from what a host heard."""

from __future__ import annotations

import pytest

from lab.owners import Answer, contested, moves, two_owners, unanswered


def _every(milliseconds: int, mac: str, begin: int, end: int) -> list[Answer]:
    return [Answer(at / 1000, mac) for at in range(begin, end + 1, milliseconds)]


def test_a_clean_handover_has_no_time_with_two_owners() -> None:
    answers = _every(5, "a", 0, 1000) + _every(5, "b", 1005, 2000)
    assert contested(answers) == []
    assert two_owners(answers) == 0.0


def test_the_time_in_which_two_answer_is_what_both_cover() -> None:
    answers = _every(5, "a", 0, 1000) + _every(5, "b", 940, 2000)
    assert two_owners(answers) == pytest.approx(0.06)


def test_two_that_take_turns_within_a_pause_both_own() -> None:
    answers = [Answer(at / 100, "ab"[at % 2]) for at in range(20)]
    assert two_owners(answers) == pytest.approx(0.17)


def test_a_return_to_an_earlier_owner_is_not_a_time_with_two() -> None:
    answers = _every(5, "a", 0, 500) + _every(5, "b", 505, 1000) + _every(5, "a", 1005, 1500)
    assert two_owners(answers) == 0.0
    assert moves(answers) == 2


def test_silence_is_what_lies_between_two_answers_whoever_gave_them() -> None:
    answers = _every(5, "a", 0, 100) + _every(5, "b", 400, 500)
    assert max(each.seconds for each in unanswered(answers)) == pytest.approx(0.3)
