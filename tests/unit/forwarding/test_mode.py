"""Who forwards on a node, as evidence comes and goes."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldlb.forwarding.mode import GONE, STEADY, Mode, Stance, chosen, judge
from heraldlb.forwarding.proxies import Sighting

SERVES = Sighting("kube-proxy (nftables)", rules=True, alive=True)
STARTS = Sighting("kube-proxy", rules=False, alive=True)
PARTLY = Sighting("kube-proxy (nftables)", rules=True, alive=True, complete=False)
SILENT = Sighting("kube-proxy (nftables)", rules=True, alive=False)

History = Iterable[tuple[float, Sighting | None]]


def follow(history: History, *, ours: bool = False) -> list[Stance]:
    stance, stances = None, []
    for now, sighting in history:
        stance = judge(stance, [sighting] if sighting else [], now, ours=ours)
        stances.append(stance)
    return stances


def forwards(*history: tuple[float, Sighting | None], ours: bool = False) -> list[bool]:
    return [stance.forwards for stance in follow(history, ours=ours)]


def test_alone_on_a_node_we_forward_at_once() -> None:
    [stance] = follow([(0, None)])
    assert stance == Stance(True, "there is no other service proxy")


def test_beside_a_proxy_that_serves_we_never_begin() -> None:
    [stance] = follow([(0, SERVES)])
    assert stance == Stance(False, "kube-proxy (nftables) forwards them", "kube-proxy (nftables)")


def test_a_proxy_without_rules_is_not_waited_for() -> None:
    assert forwards((0, STARTS)) == [True]


def test_we_step_back_once_a_proxy_has_served_for_long_enough() -> None:
    assert forwards((0, None), (5, SERVES), (5 + STEADY - 1, SERVES), (5 + STEADY, SERVES)) == [True] * 3 + [False]


def test_after_a_restart_we_do_not_step_back_any_sooner() -> None:
    assert forwards((0, SERVES), (STEADY, SERVES), ours=True) == [True, False]


@pytest.mark.parametrize("lapse", [STARTS, PARTLY, SILENT, None])
def test_a_proxy_that_fails_meanwhile_starts_over(lapse: Sighting | None) -> None:
    assert all(forwards((0, None), (1, SERVES), (STEADY, lapse), (STEADY + 2, SERVES), (2 * STEADY, SERVES)))


def test_a_proxy_that_has_yet_to_program_everything_is_not_left_alone() -> None:
    assert all(forwards((0, None), (1, PARTLY), (10 * STEADY, PARTLY)))


def test_a_proxy_that_restarts_or_is_upgraded_is_waited_for() -> None:
    assert forwards((0, SERVES), (1, SILENT), (GONE, SILENT), (GONE + 0.5, SERVES)) == [False] * 4
    assert forwards((0, SERVES), (1, SILENT), (2, SERVES), (GONE, SILENT), (GONE + 2, SILENT)) == [False] * 5


def test_a_proxy_that_is_gone_for_good_leaves_nothing_unserved() -> None:
    assert forwards((0, SERVES), (1, SILENT), (GONE + 1, SILENT)) == [False, False, True]


def test_what_a_proxy_left_behind_before_we_came_is_overridden_after_a_while() -> None:
    assert forwards((0, SILENT), (GONE, SILENT), (2 * GONE, SILENT)) == [False, True, True]


@pytest.mark.parametrize("bare", [STARTS, None])
def test_where_rules_are_gone_we_step_in_at_once(bare: Sighting | None) -> None:
    assert forwards((0, SERVES), (1, bare)) == [False, True]


def test_one_proxy_that_serves_is_enough_among_others_that_do_not() -> None:
    assert not judge(None, [SILENT, Sighting("Cilium", rules=True, alive=True)], 0, ours=False).forwards


def test_what_is_said_names_the_proxy_and_what_it_lacks() -> None:
    assert follow([(0, None), (1, SILENT)])[-1].reason == "kube-proxy (nftables) does not answer"
    assert follow([(0, None), (1, STARTS)])[-1].reason == "kube-proxy has no rules"
    assert "will be left to it after 20 s" in follow([(0, None), (1, SERVES)])[-1].reason
    assert "though it does not answer" in follow([(0, SERVES), (1, SILENT)])[-1].reason


def test_other_modes_ask_for_no_evidence() -> None:
    assert chosen(Mode.FULL).forwards
    assert not chosen(Mode.OFF).forwards


@given(st.lists(st.tuples(st.floats(0.1, 30), st.sampled_from([SERVES, STARTS, PARTLY, SILENT, None]))))
def test_services_are_never_left_to_nobody(steps: list[tuple[float, Sighting | None]]) -> None:
    now, stance = 0.0, None
    for step, sighting in steps:
        now += step
        stance = judge(stance, [sighting] if sighting else [], now, ours=False)
        assert stance.forwards or (sighting is not None and sighting.rules)
        assert stance.review is None or stance.review > now
