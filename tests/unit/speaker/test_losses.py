"""Who counts as lost: peers that lived and fell silent, as far as this node can tell."""

from __future__ import annotations

import pytest

from heraldlb.speaker.constants import FAILURE_TIMEOUT
from heraldlb.speaker.losses import Losses, Outlook
from heraldlb.speaker.standing import Standing
from tests.unit.speaker.simulation import Cluster

PEERS = {"n2", "n3", "n4"}
SETTLED = 2.0


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


# In a whole cluster, on a simulated clock and network.

NAMES = ("a", "b", "c")


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(NAMES)
    made.start()
    made.run(SETTLED)
    return made


def lost(cluster: Cluster, *names: str) -> list[frozenset[str]]:
    return [cluster.nodes[name].agreement.outlook.lost for name in names]


def test_a_node_that_dies_is_lost_to_all_others_until_it_is_back(cluster: Cluster) -> None:
    assert lost(cluster, *NAMES) == [frozenset()] * 3
    cluster.kill("a")
    cluster.run(2 * FAILURE_TIMEOUT)
    assert lost(cluster, "b", "c") == [frozenset("a")] * 2
    cluster.start("a")
    cluster.run(SETTLED)
    assert lost(cluster, *NAMES) == [frozenset()] * 3


def test_an_agent_that_is_stopped_in_good_order_is_not_lost(cluster: Cluster) -> None:
    cluster.leave("a")
    cluster.run(SETTLED)
    cluster.kill("a")
    cluster.run(SETTLED)
    assert lost(cluster, "b", "c") == [frozenset()] * 2


def test_who_is_cut_off_takes_nobody_for_lost_and_the_others_only_the_one_that_is(cluster: Cluster) -> None:
    cluster.isolate("a")
    cluster.run(SETTLED)
    assert lost(cluster, *NAMES) == [frozenset(), frozenset("a"), frozenset("a")]


def test_a_node_that_never_lived_is_not_lost() -> None:
    cluster = Cluster(NAMES)
    cluster.start("a", "b")
    cluster.run(SETTLED)
    assert lost(cluster, "a", "b") == [frozenset()] * 2
