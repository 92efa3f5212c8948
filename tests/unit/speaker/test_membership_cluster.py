"""Whom many nodes think alive, through deaths, partitions, loss, replay and a change of key; in both modes."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heraldlb.speaker.constants import FAILURE_TIMEOUT, FULL_MESH_NODES, HEARTBEAT_INTERVAL, RING_STRETCH
from heraldlb.speaker.interfaces import Offer
from heraldlb.speaker.membership import Verdict
from heraldlb.speaker.standing import Standing
from tests.unit.speaker.memberships import KEY, SLOWEST, Network

MESH = 5
RING = 12
SIZES = (2, FULL_MESH_NODES, FULL_MESH_NODES + 1, RING)
DETECTION = FAILURE_TIMEOUT + HEARTBEAT_INTERVAL
PARTING = 2 * FAILURE_TIMEOUT
HEALING = FAILURE_TIMEOUT
FAULTS = ("kill", "start", "part", "heal", "goodbye", "cut")

either = pytest.mark.parametrize("size", [MESH, RING], ids=["full mesh", "ring"])


def named(size: int) -> tuple[str, ...]:
    return tuple(f"node-{number}" for number in range(size))


def agreeing(size: int, *, loss: float = 0.0, seed: int = 1, signed: bool = False) -> Network:
    """A network of nodes that all know each other, with nothing left over from their start."""
    network = Network(named(size), seed=seed, signed=signed)
    network.start()
    network.until_agreed(network.names, limit=1.0)
    network.run(2.0)
    network.loss = loss
    return network


def assert_nobody_is_missed(network: Network, seconds: float) -> None:
    versions: dict[str, int] = {}
    for _ in network.steps(seconds):
        name, membership = network.turned, network.nodes[network.turned].membership
        if versions.get(name) != membership.version:
            versions[name] = membership.version
            assert network.nodes[name].alive == set(network.names) - {name}


@pytest.mark.parametrize("size", SIZES)
def test_nodes_that_start_together_know_each_other_within_a_failure_timeout(size: int) -> None:
    network = Network(named(size))
    network.start()
    network.until_agreed(network.names, limit=FAILURE_TIMEOUT)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("loss", [0.0, 0.1], ids=["no loss", "one in ten lost"])
def test_a_dead_node_is_missed_by_all_within_the_timeout_and_an_interval(size: int, loss: float) -> None:
    network = agreeing(size)
    for name in network.names[: size // 2]:
        network.loss = loss
        network.kill(name)
        found = network.until_agreed(network.nodes, limit=1.0)
        # The word of a loss may be lost, too; it is repeated.
        assert found <= DETECTION + SLOWEST + (4 * HEARTBEAT_INTERVAL if loss else 0)
        network.loss = 0.0
        network.run(1.0)


@either
def test_a_node_that_restarts_before_anybody_missed_it_is_known_and_knows_all_at_once(size: int) -> None:
    for seed in range(5):
        network = agreeing(size, seed=seed)
        network.kill("node-0")
        network.run(0.01)
        network.start("node-0")
        network.until_agreed(network.names, limit=FAILURE_TIMEOUT)


@either
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_each_side_of_a_partition_finds_its_members_and_a_heal_brings_them_together(
    size: int, data: st.DataObject
) -> None:
    network = agreeing(size, seed=data.draw(st.integers(0, 9)))
    sides = [[name for name in network.names if data.draw(st.integers(0, 2)) == 0]]
    sides.append([name for name in network.names if name not in sides[0]])
    network.part(*sides)
    network.until_agreed(*sides, limit=PARTING)
    network.run(data.draw(st.sampled_from([0.0, 0.1, 1.0, 5.0])))
    network.heal()
    network.until_agreed(network.names, limit=HEALING)


@either
@settings(max_examples=12, deadline=None)
@given(faults=st.lists(st.sampled_from(FAULTS), max_size=8), data=st.data())
def test_after_any_faults_those_that_run_know_each_other_and_nobody_else(
    size: int, faults: list[str], data: st.DataObject
) -> None:
    network = agreeing(size)
    some = st.sampled_from(network.names)
    for fault in faults:
        name = data.draw(some)
        if fault == "start":
            network.start(name)
        elif fault == "part":
            side = {name, *data.draw(st.sets(some))}
            network.part(side, set(network.names) - side)
        elif fault == "heal":
            network.heal()
        elif fault == "cut":
            network.cut.add((name, data.draw(some)))
        elif name in network.nodes:
            getattr(network, fault)(name)
        network.run(data.draw(st.sampled_from([0.0, 0.05, 0.3, 1.0])))
    network.heal()
    network.until_agreed(network.nodes, limit=1.0)


def test_halves_of_a_larger_ring_unite_as_fast_as_a_small_one() -> None:
    network = agreeing(48)
    halves = network.names[::2], network.names[1::2]
    network.part(*halves)
    network.until_agreed(*halves, limit=PARTING)
    network.run(1.0)
    network.heal()
    network.until_agreed(network.names, limit=HEALING)


def test_however_many_die_at_once_the_survivors_on_a_ring_stay_linked() -> None:
    network = agreeing(60)
    survivors = random.Random(3).sample(network.names, 6)  # noqa: S311 - reproducible
    network.kill(*set(network.names) - set(survivors))
    network.until_agreed(survivors, limit=PARTING)


@either
def test_two_nodes_that_do_not_reach_each_other_live_for_each_other_through_the_rest(size: int) -> None:
    network = agreeing(size)
    for one in network.names[:2]:
        network.cut |= {(one, other) for other in network.names[2:4]}
    assert_nobody_is_missed(network, 3.0)


@pytest.mark.parametrize("size", [2, 3, RING])
def test_one_message_in_ten_lost_makes_nobody_dead(size: int) -> None:
    # Hours of it were simulated once; so much fits into a test.
    assert_nobody_is_missed(agreeing(size, loss=0.1, seed=7), 600.0 / size)


def test_a_goodbye_is_heard_by_all_at_once_and_breaks_nothing_on_a_ring() -> None:
    network = agreeing(RING)
    for name in network.names[:4]:
        network.leave(name)
    network.run(2 * SLOWEST)
    assert all(network.nodes[name].alive == {*network.names[4:]} - {name} for name in network.names[4:])
    network.kill(*network.names[:4])
    for _ in network.steps(1.0):
        assert all(network.nodes[name].alive == {*network.names[4:]} - {name} for name in network.names[4:])


@either
def test_what_a_node_says_of_itself_reaches_all_although_messages_are_lost(size: int) -> None:
    network = agreeing(size, loss=0.3)
    changed = network.nodes["node-0"]
    changed.offers, changed.standing = (Offer("eth9", bytes(6)),), Standing.ISOLATED

    def known() -> bool:
        others = (node.membership for name, node in network.nodes.items() if name != "node-0")
        views = [each.members().get("node-0") for each in others]
        return all(v is not None and (v.offers, v.standing) == (changed.offers, Standing.ISOLATED) for v in views)

    began = network.now
    while not known():
        network.run(HEARTBEAT_INTERVAL)
        assert network.now - began < 4 * FAILURE_TIMEOUT


@either
def test_recordings_neither_bring_a_dead_node_back_nor_undo_what_is_newer(size: int) -> None:
    network = agreeing(size)
    network.recorded = []
    network.run(0.2)
    network.nodes["node-1"].standing = Standing.ISOLATED
    network.run(0.5)
    recorded, network.recorded = network.recorded, None
    network.kill("node-0")
    network.until_agreed(network.nodes, limit=1.0)
    for receiver, message in recorded:
        network.hand(receiver, message)
    for _ in network.steps(1.0):
        assert network.agreed(network.nodes)
    members = network.nodes["node-2"].membership.members()
    assert members["node-1"].standing is Standing.ISOLATED


@either
def test_what_piled_up_while_a_node_was_stopped_tells_it_nothing(size: int) -> None:
    network = agreeing(size)
    network.part(["node-0"], network.names[1:])
    network.recorded = []
    network.nodes["node-1"].standing = Standing.ISOLATED
    network.run(0.5)
    piled_up = [message for receiver, message in network.recorded if receiver == "node-0"]
    membership = network.nodes["node-0"].membership
    membership.forget()
    assert "node-1" in {message.sender for message in piled_up}
    assert Verdict.ACCEPTED not in {membership.receive(message, network.now).verdict for message in piled_up}
    assert not membership.members()
    network.heal()
    network.until_agreed(network.names, limit=FAILURE_TIMEOUT)


def test_a_node_on_a_ring_exchanges_as_much_however_many_there_are() -> None:
    def a_second(size: int) -> tuple[float, float]:
        network = agreeing(size, signed=True)
        for counter in (network.sent, network.received, network.octets):
            counter.clear()
        network.run(1.0)
        return max((network.sent + network.received).values()), max(network.octets.values())

    assert a_second(10) == pytest.approx(a_second(40), rel=0.05)
    assert a_second(10) <= (110, 15_000)


def test_nodes_on_a_ring_beat_together_so_that_each_wakes_up_about_once_an_interval() -> None:
    network = agreeing(RING)
    handled, last, wakes = Counter[str](), dict.fromkeys(network.names, 0.0), Counter[str]()
    for now in network.steps(1.0):
        name = network.turned
        done = network.sent[name] + network.received[name]
        if done != handled[name]:
            wakes[name] += now - last[name] > 3 * SLOWEST
            handled[name], last[name] = done, now
    # But for those at the ends of the chain, who hear each other when the beat has gone all the way.
    often = [name for name, count in wakes.items() if count > 1.1 / (RING_STRETCH * HEARTBEAT_INTERVAL)]
    assert len(often) <= 2


@either
def test_a_new_key_is_brought_in_node_by_node_and_nobody_is_missed(size: int) -> None:
    old, new = KEY, b"n" * 32
    network = agreeing(size, signed=True)
    for keys in [(old, new), (new, old), (new,)]:
        for name in network.names:
            network.nodes[name].keys = keys
            assert_nobody_is_missed(network, 0.05)
    assert_nobody_is_missed(network, 1.0)
    assert not network.refused


@either
def test_a_key_that_others_do_not_accept_makes_a_node_dead(size: int) -> None:
    network = agreeing(size, signed=True)
    network.nodes["node-0"].keys = (b"x" * 32,)
    network.until_agreed(["node-0"], network.names[1:], limit=PARTING)
    assert network.refused


def test_on_a_ring_the_neighbours_and_no_others_are_expected_to_be_heard_also_one_that_is_cut_off() -> None:
    network = agreeing(RING)
    me = network.nodes["node-0"].membership

    def seen(trait: str) -> set[str]:
        return {each.name for each in me.seen(me.members()) if getattr(each, trait)}

    neighbours = seen("heard")
    assert len(neighbours) == 2
    assert seen("expected") == neighbours
    lost = min(neighbours)
    network.cut = {("node-0", lost), (lost, "node-0")}
    network.run(3.0)
    assert lost not in seen("heard")
    assert seen("expected") == seen("heard") | {lost}, "it lives, and others hear it"
