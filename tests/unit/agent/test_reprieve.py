"""Who of the lost is taken for dead, and for how long."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from heraldlb.agent.reprieve import GRACE, Reprieves

LOST = frozenset({"n2", "n3"})
EVERYBODY = frozenset({"n1", "n2", "n3"})
NOT_N3 = EVERYBODY - {"n3"}


def dead(
    reprieves: Reprieves,
    *times: float,
    lost: AbstractSet[str] = LOST,
    ready: AbstractSet[str] = EVERYBODY,
    answered: bool | None = True,
) -> AbstractSet[str]:
    """After looks at these times, at the last of them."""
    return [reprieves.dead(now, lost, ready, answered=answered) for now in times][-1]


def test_a_node_is_taken_for_dead_as_soon_as_it_is_lost() -> None:
    assert dead(Reprieves(), 0.0, answered=None) == LOST


def test_a_node_that_stays_ready_for_long_has_lost_its_agent_alone() -> None:
    reprieves = Reprieves()
    assert dead(reprieves, 0.0, GRACE / 2) == LOST
    assert dead(reprieves, GRACE) == set()


def test_a_node_that_is_not_ready_stays_dead() -> None:
    assert dead(Reprieves(), 0.0, GRACE, ready=NOT_N3) == {"n3"}


def test_a_server_that_does_not_answer_vouches_for_nobody_and_begins_anew() -> None:
    reprieves = Reprieves()
    dead(reprieves, 0.0)
    dead(reprieves, GRACE / 2, answered=False)
    assert dead(reprieves, GRACE * 0.6, GRACE * 1.5) == LOST
    assert dead(reprieves, GRACE * 1.6) == set()


def test_looks_between_two_questions_to_the_server_change_nothing() -> None:
    reprieves = Reprieves()
    dead(reprieves, 0.0)
    dead(reprieves, GRACE / 2, answered=None)
    assert dead(reprieves, GRACE, answered=None) == set()


def test_who_is_believed_is_believed_while_the_server_is_away_but_not_once_it_says_otherwise() -> None:
    reprieves = Reprieves()
    dead(reprieves, 0.0, GRACE)
    assert dead(reprieves, GRACE + 1, answered=False) == set()
    assert dead(reprieves, GRACE + 2, ready=NOT_N3, answered=None) == {"n3"}
    assert dead(reprieves, GRACE + 3) == {"n3"}, "it begins anew"


def test_a_node_that_was_back_and_is_lost_again_begins_anew() -> None:
    reprieves = Reprieves()
    dead(reprieves, 0.0, GRACE)
    dead(reprieves, GRACE + 1, lost={"n3"}, answered=None)
    assert dead(reprieves, GRACE + 2) == {"n2"}
