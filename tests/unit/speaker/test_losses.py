"""Who counts as lost: peers that lived and fell silent, as far as this node can tell."""

from __future__ import annotations

import pytest

from heraldlb.speaker.losses import Losses, Outlook
from heraldlb.speaker.standing import Standing

PEERS = {"n2", "n3", "n4"}


def look(losses: Losses, *alive: str, standing: Standing = Standing.SERVING, departed: str = "") -> frozenset[str]:
    return losses.update(standing, PEERS, set(alive), {departed} - {""}).lost


def test_a_peer_that_lived_and_fell_silent_is_lost_until_it_is_back() -> None:
    losses = Losses()
    assert look(losses, "n2", "n3") == set()
    assert look(losses, "n2") == {"n3"}
    assert look(losses, "n2", "n3") == set()
    assert losses.count == 1


def test_a_peer_never_heard_is_not_lost() -> None:
    assert look(Losses(), "n2") == set()


def test_a_peer_that_said_goodbye_is_not_lost_but_is_once_it_came_back_and_fell_silent() -> None:
    losses = Losses()
    look(losses, "n2", "n3")
    assert look(losses, "n2", departed="n3") == set()
    look(losses, "n2", "n3")
    assert look(losses, "n2") == {"n3"}


@pytest.mark.parametrize("standing", [Standing.JOINING, Standing.ISOLATED])
def test_a_node_that_may_be_cut_off_itself_takes_nobody_for_lost(standing: Standing) -> None:
    losses = Losses()
    look(losses, "n2", "n3")
    assert look(losses, standing=standing) == set()
    assert look(losses, "n2") == {"n3"}, "what it heard before it was away is not forgotten"


def test_a_node_that_is_no_peer_any_more_is_not_lost() -> None:
    losses = Losses()
    look(losses, "n2", "n3")
    assert losses.update(Standing.SERVING, {"n2"}, {"n2"}, set()) == Outlook(frozenset({"n2"}))
