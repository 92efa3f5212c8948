"""Whom a node hears on the ring."""

from __future__ import annotations

import pytest

from heraldlb.speaker.constants import SEEK_DEAD, TURNOVER
from heraldlb.speaker.ring import Choice, Ring, Side

ORDER = tuple("abcdefghijklmnopqrstuvwxyz")


def choose(side: Side, alive: str, answering: str, dead: int = 0) -> Choice:
    return side.choose(alive, lambda name: name in answering, dead)


def test_the_nearest_that_answers_is_the_neighbour_and_nobody_else_is_asked() -> None:
    assert choose(Side(ORDER), "abcdef", "abc") == Choice("a", ())


def test_behind_a_silent_neighbour_more_are_asked_in_every_round_until_one_answers() -> None:
    side = Side(ORDER)
    asked = [len(choose(side, "".join(ORDER), "").asked) for _ in range(3)]
    assert asked == [2, 8, len(ORDER)]
    assert choose(side, "".join(ORDER), "e") == Choice("e", tuple("abcd"))
    assert choose(side, "".join(ORDER), "a") == Choice("a", ())
    assert len(choose(side, "".join(ORDER), "").asked) == 2, "the next silence begins anew"


def test_the_dead_before_the_neighbour_are_asked_in_turn_and_none_behind_it() -> None:
    side = Side(ORDER)
    asked = {choose(side, "dz", "d", dead=1).asked for _ in range(3)}
    assert asked == {("a",), ("b",), ("c",)}


def test_neighbours_are_the_nearest_on_either_side_and_the_same_ring_is_seen_by_all() -> None:
    neighbours: dict[str, set[str]] = {}
    for me in ORDER:
        ring = Ring()
        ring.arrange(me, ORDER)
        ring.choose(0.0, ORDER, lambda _: True)
        neighbours[me] = set(ring.neighbours)
    assert all(len(each) == 2 for each in neighbours.values())
    assert all(me in neighbours[other] for me, each in neighbours.items() for other in each)


def test_time_is_handed_down_one_chain_from_one_node_through_all_that_answer() -> None:
    answering = set(ORDER[::2])
    pacemakers: dict[str, str | None] = {}
    for me in answering:
        ring = Ring()
        ring.arrange(me, ORDER)
        ring.choose(0.0, answering, answering.__contains__)
        pacemakers[me] = ring.pacemaker
        ring.give_up(str(ring.pacemaker))
        assert ring.pacemaker is None
    (me,) = (each for each in answering if pacemakers[each] is None)
    followers = {pacemaker: each for each, pacemaker in pacemakers.items()}
    chain = [me]
    while chain[-1] in followers:
        chain.append(followers[chain[-1]])
    assert set(chain) == answering


def test_a_neighbour_that_is_no_longer_the_nearest_is_heard_for_a_while_unless_it_is_given_up() -> None:
    ring = Ring()
    ring.arrange("me", ORDER)
    ring.choose(0.0, ORDER, lambda _: True)
    former = next(iter(ring.neighbours))
    ring.choose(0.1, ORDER, lambda name: name != former)
    assert former in ring.neighbours
    ring.choose(TURNOVER, ORDER, lambda name: name != former)
    assert former not in ring.neighbours
    latter = next(iter(ring.neighbours))
    ring.give_up(latter)
    assert latter not in ring.neighbours


@pytest.mark.parametrize("rounds", [1, 10])
def test_a_node_that_hears_nobody_asks_a_few_of_the_dead_in_each_round_and_all_in_time(rounds: int) -> None:
    ring = Ring()
    ring.arrange("me", ORDER)
    asked: set[str] = set()
    for number in range(rounds):
        ring.choose(number / 10, (), lambda _: False)
        assert 0 < len(ring.asked) <= 2 * SEEK_DEAD
        asked |= ring.asked
    assert rounds == 1 or asked == set(ORDER)
