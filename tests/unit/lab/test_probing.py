"""What the prober makes of its attempts."""

from __future__ import annotations

import pytest

from lab.probing import Attempt, Failures, failures_since, longest_silence


def _attempts(*told: tuple[float, bool]) -> list[Attempt]:
    return [Attempt(begun, begun + 0.001, answered) for begun, answered in told]


def test_the_longest_time_between_two_answers_is_the_silence() -> None:
    silence = longest_silence(_attempts((0.0, True), (0.01, False), (0.5, True), (0.51, True)))
    assert silence is not None
    assert silence.seconds == pytest.approx(0.5)
    assert silence.begun == pytest.approx(0.001)


def test_failures_are_counted_from_a_moment_on() -> None:
    told = [(0.0, True), (0.1, False), (1.0, True), (1.1, False), (1.2, True), (1.3, False), (1.4, True)]
    assert failures_since(_attempts(*told), 1.0) == Failures(failed=2, begun=5, last=1.3)


def test_without_failures_there_is_no_last_one() -> None:
    assert failures_since(_attempts((0.0, False), (0.1, True)), 0.05) == Failures(failed=0, begun=1, last=None)


def test_order_of_ending_does_not_matter() -> None:
    attempts = _attempts((0.0, True), (0.2, True), (0.1, True))
    silence = longest_silence(attempts)
    assert silence is not None
    assert silence.seconds == pytest.approx(0.1)


@pytest.mark.parametrize("told", [[], [(0.0, True)], [(0.0, True), (1.0, False)]], ids=["none", "one", "one good"])
def test_without_two_answers_there_is_no_silence_to_speak_of(told: list[tuple[float, bool]]) -> None:
    assert longest_silence(_attempts(*told)) is None
