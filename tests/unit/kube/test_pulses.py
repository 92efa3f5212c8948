"""When a watch is silent, and when it is stalled."""

from __future__ import annotations

from heraldlb.kube.pulses import SILENCE, Pulses


def test_a_kind_that_is_heard_is_neither_silent_nor_stalled() -> None:
    pulses = Pulses(["pods"], 0.0)
    assert pulses.silent(SILENCE) == {}
    pulses.heard("pods", SILENCE)
    assert pulses.silent(2 * SILENCE) == pulses.stalled(2 * SILENCE) == {}


def test_a_kind_that_is_only_asked_for_is_silent_and_one_that_is_not_even_that_is_stalled() -> None:
    pulses = Pulses(["pods", "nodes"], 0.0)
    pulses.tried("pods", SILENCE)
    later = SILENCE + 1.0
    assert pulses.silent(later) == {"pods": later, "nodes": later}
    assert pulses.stalled(later) == {"nodes": later}


def test_before_anything_is_watched_nothing_is_missed() -> None:
    assert Pulses[str]().silent(1e9) == {}
