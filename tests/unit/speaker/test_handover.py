"""Planned changes: the next owner announces before the last one stops, whatever each of them knows when."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import FULL_MESH_NODES, HANDOVER_LIMIT, LEAVE_LINGER, RECLAIM_AFTER
from heraldlb.speaker.handover import Handover, View
from heraldlb.speaker.messages import decode, encode
from heraldlb.speaker.ownership import Placement
from heraldlb.speaker.standing import Standing
from tests.unit.speaker.simulation import ADDRESSES, KEY, OVERLAP, Cluster, Snapshot

NAMES = ("a", "b", "c")
SETTLED = 2.0
ADDRESS = ADDRESSES[0]


def candidates(*names: str) -> Snapshot:
    return dict.fromkeys(ADDRESSES, frozenset(names))


@pytest.fixture
def cluster() -> Cluster:
    """Announces everything from node a, though others serve as well."""
    made = Cluster(NAMES, snapshot=candidates("a"))
    made.start()
    made.run(SETTLED)
    assert made.owners(ADDRESS) == ["a"]
    return made


def run_without_a_gap(cluster: Cluster, seconds: float, addresses: Iterable[IPAddress] = ADDRESSES) -> None:
    """Advance, and fail where nobody answers at any time, or two for longer than allowed."""
    watched = tuple(addresses)
    alone = dict.fromkeys(watched, cluster.now)
    for now in cluster.steps(seconds):
        for address in watched:
            owners = cluster.owners(address)
            assert owners, f"nobody answers for {address} at {now:.2f}"
            if len(owners) == 1:
                alone[address] = now
            assert now - alone[address] <= OVERLAP, (address, owners)


@pytest.mark.parametrize("first", ["owner", "heir"])
def test_an_edit_that_nodes_see_seconds_apart_moves_addresses_without_a_gap(cluster: Cluster, first: str) -> None:
    cluster.show(candidates("b"), "a" if first == "owner" else "b")
    run_without_a_gap(cluster, 3.0)
    cluster.show(candidates("b"))
    run_without_a_gap(cluster, 10.0)
    assert cluster.owners(ADDRESS) == ["b"]
    assert cluster.nodes["b"].announced.keys() == set(ADDRESSES)


def test_in_a_large_cluster_addresses_move_without_a_gap_between_nodes_that_exchange_no_heartbeats() -> None:
    names = tuple(f"node-{n}" for n in range(FULL_MESH_NODES + 2))
    cluster = Cluster(names, snapshot=candidates(names[0]))
    cluster.start()
    cluster.run(SETTLED)
    heirs = sorted(set(names[1:]) - cluster.nodes[names[0]].agreement.heard)
    assert heirs
    for heir in heirs[:2]:
        cluster.show(candidates(heir), *cluster.owners(ADDRESS))
        run_without_a_gap(cluster, 1.0)
        cluster.show(candidates(heir))
        run_without_a_gap(cluster, 1.0)
        assert cluster.owners(ADDRESS) == [heir]


def test_a_leaving_node_answers_until_each_address_is_claimed_and_no_longer(cluster: Cluster) -> None:
    cluster.show(candidates("a", "b"))
    cluster.leave("a")
    run_without_a_gap(cluster, 0.1)
    assert cluster.owners(ADDRESS) == ["b"]
    assert not cluster.nodes["a"].owned


def test_a_leaving_node_stops_when_nobody_claims_in_time(cluster: Cluster) -> None:
    cluster.leave("a")
    cluster.show(candidates("a", "b"), "a")
    cluster.run(LEAVE_LINGER + 0.1)
    assert cluster.owners(ADDRESS) == []


def test_an_address_that_nobody_asks_for_any_more_is_dropped_at_once(cluster: Cluster) -> None:
    cluster.show({})
    cluster.run(0.02)
    assert not any(cluster.owners(address) for address in ADDRESSES)


def test_an_address_is_dropped_at_once_where_nobody_may_announce_it(cluster: Cluster) -> None:
    cluster.show(candidates())
    cluster.run(0.02)
    assert not any(cluster.owners(address) for address in ADDRESSES)


def test_a_node_that_may_not_announce_stops_after_a_while_though_the_heir_never_claims(cluster: Cluster) -> None:
    cluster.show(candidates("b"), "a")
    run_without_a_gap(cluster, HANDOVER_LIMIT - 0.1)
    cluster.run(0.2)
    assert cluster.owners(ADDRESS) == []


def test_a_node_that_may_announce_goes_on_as_long_as_the_heir_does_not_claim(cluster: Cluster) -> None:
    cluster.show(candidates("a", "b", "c"), "a")
    run_without_a_gap(cluster, 1.5 * HANDOVER_LIMIT)
    assert cluster.nodes["a"].owned == set(ADDRESSES)


def test_nodes_of_different_minds_take_turns_ever_more_rarely(cluster: Cluster) -> None:
    cluster.show(candidates("b"), "b")
    moves = []
    last = ["a"]
    for now in cluster.steps(40.0):
        owners = cluster.owners(ADDRESS)
        assert owners
        if len(owners) == 1 and owners != last:
            moves.append(now)
            last = owners
    gaps = [later - earlier for earlier, later in pairwise(moves)]
    assert gaps[0] >= RECLAIM_AFTER
    assert gaps[-1] >= 8 * RECLAIM_AFTER
    assert len(moves) < 15


def test_the_claimants_death_ends_the_wait_of_who_yielded(cluster: Cluster) -> None:
    cluster.show(candidates("b"), "b")
    run_without_a_gap(cluster, 0.2)
    assert cluster.owners(ADDRESS) == ["b"]
    cluster.kill("b")
    cluster.run(0.5)
    assert cluster.owners(ADDRESS) == ["a"]


def test_a_lost_claim_is_asked_for_again(cluster: Cluster) -> None:
    cluster.show(candidates("a", "b", "c"))
    cluster.loss = 0.5
    cluster.run(0.1)
    cluster.loss = 0.0
    cluster.run(SETTLED)
    assert cluster.everything_owned_once()


def test_who_is_asked_for_what_it_has_just_yielded_announces_it_at_once() -> None:
    heir = Handover("b")
    here = Placement(2, "eth0", bytes(6))
    everything = View({ADDRESS: "b"}, {ADDRESS: here}, alive=frozenset("a"), heard=frozenset("a"))
    heir.elected(everything, 0.0)
    heir.announced([ADDRESS], 0.0)
    # The former owner has claimed it before it knew of the heir, and asks for it since.
    heir.claimed("a", {ADDRESS: 12}, 0.001)
    heir.ceded("a", {ADDRESS: 12}, 0.001)
    assert heir.answered == {ADDRESS: here}
    assert heir.again() == {ADDRESS}
    heir.announced([ADDRESS], 0.001)
    assert {ADDRESS: 13} in [letter.claims for letter in heir.letters(0.001) if letter.peer == "a"]


def test_after_a_heal_the_owner_announces_again_what_both_sides_answered_for() -> None:
    cluster = Cluster(("a", "b"))
    cluster.start()
    cluster.run(SETTLED)
    cluster.isolate("a")
    cluster.run(SETTLED)
    assert all(len(cluster.owners(address)) == 2 for address in ADDRESSES)
    healed = cluster.now
    with cluster.hardly_two_owners(SETTLED):
        cluster.heal()
    for address in ADDRESSES:
        (owner,) = cluster.owners(address)
        assert cluster.nodes[owner].announced[address] > healed


def test_recorded_claims_move_nothing_not_even_where_nobody_remembers_them(cluster: Cluster) -> None:
    for owner in ("b", "a", "b"):
        cluster.show(candidates(owner))
        cluster.run(0.2)
    recorded = [each for each in cluster.tapped if decode(each[1], [KEY]).claims]
    cluster.show(candidates("a"))
    cluster.start()
    cluster.run(SETTLED)
    for receiver, datagram in recorded:
        cluster.inject(receiver, datagram)
        cluster.run(0.01)
        assert cluster.owners(ADDRESS) == ["a"]


def test_claims_signed_with_another_key_move_nothing(cluster: Cluster) -> None:
    cluster.show(candidates("b"), "b")
    cluster.cut.add(("b", "a"))
    for _ in cluster.steps(0.2):
        for receiver, datagram in cluster.tapped[-6:]:
            if receiver == "a":
                cluster.inject("a", encode(decode(datagram, [KEY]), b"x" * 32))
    assert "a" in cluster.owners(ADDRESS)


def test_a_node_that_returns_takes_nothing_until_it_has_stayed_for_a_while() -> None:
    cluster = Cluster(NAMES)
    cluster.start()
    cluster.run(cluster.probation + SETTLED)
    share = set(cluster.nodes["a"].owned)
    cluster.kill("a")
    cluster.run(SETTLED)
    cluster.start("a")
    run_without_a_gap(cluster, cluster.probation)
    assert cluster.nodes["a"].agreement.standing is Standing.PROBATION
    assert not cluster.nodes["a"].owned
    run_without_a_gap(cluster, SETTLED)
    assert cluster.nodes["a"].owned == share


def test_a_node_on_probation_takes_over_what_nobody_else_can_announce() -> None:
    cluster = Cluster(("a", "b"))
    cluster.start()
    cluster.run(cluster.probation + SETTLED)
    cluster.kill("a")
    cluster.run(SETTLED)
    cluster.start("a")
    cluster.run(SETTLED)
    cluster.kill("b")
    cluster.run(SETTLED)
    assert cluster.nodes["a"].owned == set(ADDRESSES)


def test_a_node_that_is_cut_off_again_and_again_waits_longer_each_time() -> None:
    cluster = Cluster(NAMES)
    cluster.start()
    cluster.run(cluster.probation + SETTLED)
    waits = []
    for _ in range(3):
        cluster.isolate("a")
        cluster.run(1.0)
        cluster.heal()
        since = cluster.now
        while not cluster.nodes["a"].owned:
            cluster.run(0.5)
        waits.append(cluster.now - since)
    assert [round(wait / cluster.probation) for wait in waits] == [1, 2, 4]


edits = st.lists(
    st.tuples(
        st.lists(st.sets(st.sampled_from(NAMES), min_size=1), min_size=len(ADDRESSES), max_size=len(ADDRESSES)),
        st.lists(st.sampled_from([0.0, 0.05, 0.3, 1.0]), min_size=3, max_size=3),
        st.sampled_from([0.02, 0.3, 1.2]),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=10, deadline=None)
@given(edits)
def test_no_planned_change_leaves_a_moment_without_an_owner(
    changes: list[tuple[list[set[str]], list[float], float]],
) -> None:
    cluster = Cluster(NAMES)
    cluster.start()
    cluster.run(SETTLED)
    due: list[tuple[float, str, Snapshot]] = []
    alone = dict.fromkeys(ADDRESSES, cluster.now)

    def run(seconds: float) -> None:
        for now in cluster.steps(seconds):
            for at, name, snapshot in [each for each in due if each[0] <= now]:
                due.remove((at, name, snapshot))
                cluster.show(snapshot, name)
            for address in ADDRESSES:
                owners = cluster.owners(address)
                assert owners, f"nobody answers for {address} at {now:.2f}"
                if len(owners) == 1:
                    alone[address] = now
                assert now - alone[address] <= OVERLAP, (address, owners)

    for sets, delays, pause in changes:
        snapshot = dict(zip(ADDRESSES, map(frozenset, sets), strict=True))
        # An edit is never seen before the one that it changed.
        latest = {name: max((at for at, who, _ in due if who == name), default=cluster.now) for name in NAMES}
        for name, delay in zip(NAMES, delays, strict=True):
            due.append((max(latest[name], cluster.now + delay), name, snapshot))
        run(pause)
    run(4.0)
    for address in ADDRESSES:
        (owner,) = cluster.owners(address)
        assert owner in snapshot[address]
