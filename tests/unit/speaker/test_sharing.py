"""Whose client is whose, through death, leave, partition, restart and edits seen apart, on a simulated clock and
network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.changes import ClientsShared
from heraldlb.speaker.constants import (
    CLAIM_COPIES_AFTER,
    FAILURE_TIMEOUT,
    FULL_MESH_NODES,
    SHARE_LINGER,
    SHARES_REFRESH,
)
from heraldlb.speaker.messages import decode
from heraldlb.speaker.ownership import NOTHING_ASSIGNED, Assignment, Placement, Share, changes
from heraldlb.speaker.sharing import Sharing, Standpoint
from heraldlb.speaker.standing import Standing
from tests.unit.speaker.simulation import ADDRESSES, KEY, OVERLAP, Cluster, Snapshot

NAMES = ("a", "b", "c")
SETTLED = 1.0
ADDRESS = ADDRESSES[0]
STATIONS = tuple(bytes((2, 0, 0, 0, 1, number)) for number in range(30))


def candidates(*names: str) -> Snapshot:
    return dict.fromkeys(ADDRESSES, frozenset(names))


def owners(cluster: Cluster) -> dict[bytes, str]:
    """The one node that answers each client."""
    found = {station: cluster.answering_client(ADDRESS, station) for station in STATIONS}
    assert all(len(names) == 1 for names in found.values()), found
    return {station: name for station, (name,) in found.items()}


def run_gently(cluster: Cluster, seconds: float, *, gap: float = 0.0) -> None:
    """Advance, and fail where a client is answered by nobody for longer than `gap`, or by two for longer than
    allowed."""
    alone = dict.fromkeys(STATIONS, cluster.now)
    answered = dict(alone)
    for now in cluster.steps(seconds):
        for station in STATIONS:
            names = cluster.answering_client(ADDRESS, station)
            if len(names) <= 1:
                alone[station] = now
            if names:
                answered[station] = now
            assert now - alone[station] <= OVERLAP, (station, names)
            assert now - answered[station] <= gap + 1e-6, f"nobody answers {station!r} at {now:.2f}"


@pytest.fixture
def cluster() -> Cluster:
    made = Cluster(NAMES, per_client=True)
    made.start()
    made.run(SETTLED)
    return made


def share(*sharers: str, me: str = "a", address: int = 0) -> Share:
    return Share(ADDRESSES[address], me, frozenset(sharers), Placement(2, "eth0", b"\x02" * 6))


def stations(count: int) -> list[bytes]:
    return [b"\x02\x00" + number.to_bytes(4) for number in range(count)]


def test_clients_spread_evenly() -> None:
    found = Counter(map(share("a", "b", "c").owner, stations(3_000)))
    assert found.keys() == set(NAMES)
    assert all(900 <= count <= 1_100 for count in found.values())


def test_clients_are_spread_otherwise_for_another_address() -> None:
    one, other = (share("a", "b", "c", address=number) for number in range(2))
    assert 50 < sum(one.owner(each) == other.owner(each) for each in stations(300)) < 150


@given(st.sets(st.sampled_from("abcdefgh"), min_size=2), st.binary(min_size=6, max_size=6), st.data())
def test_a_client_moves_only_from_a_node_that_goes_or_to_one_that_comes(
    sharers: set[str], station: bytes, data: st.DataObject
) -> None:
    changed = data.draw(st.sampled_from(sorted(sharers)))
    before, after = share(*sharers).owner(station), share(*sharers - {changed}).owner(station)
    assert before in sharers
    assert after == before or before == changed


@given(
    st.sets(st.sampled_from("abcdefgh")), st.sets(st.sampled_from("abcdefgh")), st.binary(min_size=6, max_size=6)
)
def test_two_nodes_that_know_of_each_other_never_both_answer_whoever_else_they_know(
    one: set[str], other: set[str], station: bytes
) -> None:
    both = (share("x", "y", *one, me="x"), share("x", "y", *other, me="y"))
    assert not all(each.answers(station) for each in both)


def test_every_client_is_answered_by_one_node_and_no_node_has_none(cluster: Cluster) -> None:
    found = Counter(owners(cluster).values())
    assert found.keys() == set(NAMES)
    assert max(found.values()) <= 0.6 * len(STATIONS)


def test_there_is_one_owner_besides_who_leads(cluster: Cluster) -> None:
    for address in ADDRESSES:
        [owner] = cluster.owners(address)
        leads = {name: node.agreement.assignment.shares[address].lead for name, node in cluster.nodes.items()}
        assert leads == {name: name == owner for name in NAMES}
        assert cluster.nodes[owner].agreement.assignment.sharers(address) == set(NAMES)


def test_the_lead_tells_who_shares_an_address_and_nobody_else_does(cluster: Cluster) -> None:
    [lead] = cluster.owners(ADDRESS)
    gone, *_ = others = [name for name in NAMES if name != lead]

    def told(name: str, before: Assignment) -> list[tuple[str, ...]]:
        news = changes(before, cluster.nodes[name].agreement.assignment, 0.0)
        return [each.nodes for each in news if isinstance(each, ClientsShared) and each.address == ADDRESS]

    assert told(lead, NOTHING_ASSIGNED) == [NAMES]
    assert not any(told(name, NOTHING_ASSIGNED) for name in others)
    shared = cluster.nodes[lead].agreement.assignment
    cluster.kill(gone)
    cluster.run(SETTLED)
    assert told(lead, shared) == [tuple(name for name in NAMES if name != gone)]
    cluster.per_client = False
    cluster.show(candidates(*NAMES))
    cluster.run(SETTLED)
    assert told(lead, shared) == [()]


@pytest.mark.parametrize("dead", NAMES)
def test_a_death_moves_the_clients_of_the_dead_node_and_no_others(cluster: Cluster, dead: str) -> None:
    before = owners(cluster)
    cluster.kill(dead)
    kept = {station: name for station, name in before.items() if name != dead}
    for _ in cluster.steps(FAILURE_TIMEOUT + 0.1):
        for station, name in kept.items():
            assert cluster.answering_client(ADDRESS, station) == [name]
    after = owners(cluster)
    assert dead not in after.values()
    assert set(after.values()) == set(NAMES) - {dead}


def test_a_node_that_hangs_answers_none_of_its_clients_when_it_goes_on(cluster: Cluster) -> None:
    cluster.run(cluster.probation)
    before = owners(cluster)
    cluster.stop("a")
    cluster.run(1.0)
    taken = owners(cluster)
    cluster.resume("a")
    for _ in cluster.steps(0.2):
        assert all(cluster.answering_client(ADDRESS, station) == [taken[station]] for station in STATIONS)
    run_gently(cluster, cluster.probation * 2 + SETTLED, gap=0.02)
    assert owners(cluster) == before


@pytest.mark.parametrize("leaver", NAMES)
def test_a_leaving_nodes_clients_are_answered_all_the_time(cluster: Cluster, leaver: str) -> None:
    before = owners(cluster)
    cluster.leave(leaver)
    run_gently(cluster, SHARE_LINGER + 0.05)
    assert not cluster.nodes[leaver].agreement.assignment.shares
    assert not cluster.nodes[leaver].owned
    after = owners(cluster)
    assert all(after[station] == name for station, name in before.items() if name != leaver)


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("gone", NAMES)
def test_an_edit_that_nodes_see_seconds_apart_moves_clients_without_a_gap(
    cluster: Cluster, gone: str, first: str
) -> None:
    before = owners(cluster)
    rest = [name for name in NAMES if name != gone]
    cluster.show(candidates(*rest), first)
    run_gently(cluster, 1.5)
    cluster.show(candidates(*rest))
    run_gently(cluster, 1.5)
    after = owners(cluster)
    assert set(after.values()) == set(rest)
    assert all(after[station] == name for station, name in before.items() if name != gone)


def test_a_node_that_never_sees_the_edit_goes_on_with_its_own_clients_alone(cluster: Cluster) -> None:
    before = owners(cluster)
    cluster.show(candidates("b", "c"), "b", "c")
    run_gently(cluster, 20.0)
    assert owners(cluster) == before


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("to", [True, False], ids=["to-shared", "to-single"])
def test_how_an_address_is_served_changes_without_a_gap_whoever_sees_it_first(first: str, to: bool) -> None:
    cluster = Cluster(NAMES, per_client=not to)
    cluster.start()
    cluster.run(SETTLED)
    [lead] = cluster.owners(ADDRESS)
    cluster.per_client = to
    cluster.show(candidates(*NAMES), first)
    run_gently(cluster, 1.5)
    cluster.show(candidates(*NAMES))
    run_gently(cluster, 1.5)
    assert cluster.owners(ADDRESS) == [lead]
    assert set(owners(cluster).values()) == (set(NAMES) if to else {lead})


def test_a_node_that_comes_takes_its_share_once_it_has_stayed_for_a_while(cluster: Cluster) -> None:
    cluster.run(cluster.probation)
    before = owners(cluster)
    cluster.kill("a")
    cluster.run(SETTLED)
    cluster.start("a")
    run_gently(cluster, cluster.probation)
    assert cluster.nodes["a"].agreement.standing is Standing.PROBATION
    assert not cluster.nodes["a"].agreement.assignment.shares
    run_gently(cluster, SETTLED, gap=0.02)
    assert owners(cluster) == before


def test_each_side_of_a_partition_answers_everybody_and_after_the_heal_one_answers_each(cluster: Cluster) -> None:
    cluster.run(cluster.probation)
    before = owners(cluster)
    cluster.isolate("a")
    cluster.run(SETTLED)
    assert {*map(len, (cluster.answering_client(ADDRESS, each) for each in STATIONS))} == {1}, (
        "a alone stays silent"
    )
    cluster.heal()
    run_gently(cluster, cluster.probation + SETTLED, gap=0.02)
    assert owners(cluster) == before


def standpoint(*, proven: bool = True, alive: Iterable[str] = ("b", "c")) -> Standpoint:
    """Of node a, which should share an address that b owns with b and c."""
    elected = Assignment(
        {ADDRESS: "b"},
        electorates={ADDRESS: frozenset(NAMES)},
        shareable={ADDRESS: Placement(2, "eth0", b"\x02" * 6)},
    )
    peers = frozenset(alive)
    return Standpoint(elected, alive=peers, serving=peers, reached=peers, proven=lambda _: proven)


def letters(sharing: Sharing) -> dict[str, Mapping[IPAddress, int]]:
    return dict(sharing.letters(0.0))


def test_nobody_shares_an_address_before_it_is_known_that_no_other_host_has_it() -> None:
    sharing = Sharing("a")
    sharing.update(standpoint(proven=False), 0.0)
    assert not sharing.shares
    sharing.update(standpoint(), 0.0)
    assert sharing.shares[ADDRESS].sharers == {"a", "b"}


def test_who_shares_an_address_proves_that_no_other_host_has_it() -> None:
    sharing = Sharing("a")
    sharing.update(standpoint(proven=False), 0.0)
    sharing.told("c", 1, {ADDRESS: 1})
    sharing.update(standpoint(proven=False), 0.0)
    assert sharing.shares[ADDRESS].sharers == {"a", "b", "c"}


def test_an_address_that_is_probed_before_is_shared_once_it_was_announced() -> None:
    cluster = Cluster(NAMES, per_client=True, probe=True)
    cluster.start()
    cluster.run(SETTLED)
    assert set(owners(cluster).values()) == set(NAMES)


def test_what_a_peer_said_before_it_started_anew_counts_no_more() -> None:
    sharing = Sharing("a")
    sharing.update(standpoint(), 0.0)
    sharing.told("c", 1, {ADDRESS: 1})
    sharing.update(standpoint(), 0.0)
    assert sharing.shares[ADDRESS].sharers == {"a", "b", "c"}
    assert not sharing.heard("c", 1)
    assert sharing.heard("c", 2)
    sharing.update(standpoint(), 0.0)
    assert sharing.shares[ADDRESS].sharers == {"a", "b"}


def test_who_says_something_new_is_told_in_return_and_who_repeats_it_is_not() -> None:
    sharing = Sharing("a")
    sharing.update(standpoint(), 0.0)
    assert letters(sharing).keys() == {"b", "c"}
    sharing.told("c", 1, {ADDRESS: 1})
    assert letters(sharing) == {"c": {ADDRESS: 1}}
    sharing.told("c", 1, {ADDRESS: 1})
    assert letters(sharing) == {}


def test_who_shares_an_address_that_this_node_does_not_know_need_not_wait_for_it() -> None:
    sharing = Sharing("a")
    sharing.told("c", 1, {ADDRESS: 1})
    assert letters(sharing) == {"c": {ADDRESS: 0}}
    sharing.told("c", 1, {ADDRESS: 0})
    assert letters(sharing) == {}


def test_nodes_that_missed_all_copies_of_the_news_learn_it_a_little_later(cluster: Cluster) -> None:
    [lead] = cluster.owners(ADDRESS)
    gone, *_ = rest = [name for name in NAMES if name != lead]
    staying = set(NAMES) - {gone}
    cluster.show(candidates(*staying))
    cluster.loss = 1.0
    cluster.run(CLAIM_COPIES_AFTER[-1] + 0.02)
    assert all(cluster.nodes[name].agreement.assignment.shares[ADDRESS].sharers == set(NAMES) for name in staying)
    cluster.loss = 0.0
    cluster.run(len(rest) * SHARES_REFRESH + 0.1)
    assert set(owners(cluster).values()) == staying


def test_in_a_large_cluster_clients_are_shared_by_nodes_that_exchange_no_heartbeats() -> None:
    names = tuple(f"node-{n}" for n in range(FULL_MESH_NODES + 2))
    cluster = Cluster(names, per_client=True)
    cluster.start()
    cluster.run(SETTLED)
    before = owners(cluster)
    [dead, *_] = before.values()
    cluster.kill(dead)
    cluster.run(SETTLED)
    after = owners(cluster)
    assert all(after[station] == name for station, name in before.items() if name != dead)


def test_where_no_address_is_shared_nothing_is_said_of_shares() -> None:
    cluster = Cluster(NAMES)
    cluster.start()
    cluster.run(SETTLED)
    assert not any(decode(datagram, [KEY]).shares for _, datagram in cluster.tapped)


faults = st.lists(
    st.tuples(
        st.sampled_from(("kill", "start", "stop", "resume", "leave", "isolate", "heal", "edit", "balancing")),
        st.sampled_from(NAMES),
        st.sampled_from((0.03, 0.3, 1.5)),
    ),
    max_size=8,
)


class Watch:
    """Fails where two nodes that hear each other both answer one client for longer than allowed."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._apart: dict[tuple[str, str, bytes], float] = {}

    def run(self, seconds: float) -> None:
        for now in self._cluster.steps(seconds):
            for station in STATIONS[:8]:
                names = self._cluster.answering_client(ADDRESS, station)
                for pair in combinations(NAMES, 2):
                    both = set(pair) <= set(names) and self._cluster.hear_each_other(*pair)
                    if not both or self._cluster.loss:
                        self._apart[*pair, station] = now
                    assert now - self._apart[*pair, station] <= OVERLAP, (pair, station)


@settings(max_examples=8, deadline=None)
@given(faults, st.sampled_from((0.0, 0.1)))
def test_whatever_happens_each_client_has_one_owner_among_the_sharers(
    history: Iterable[tuple[str, str, float]], loss: float
) -> None:
    cluster = Cluster(NAMES, per_client=True, loss=loss, probation=1.0)
    cluster.start()
    watch = Watch(cluster)
    allowed: set[str] = set(NAMES)
    for fault, name, pause in history:
        running = name in cluster.nodes and cluster.nodes[name].running
        match fault:
            case "kill" if name in cluster.nodes:
                cluster.kill(name)
            case "start":
                cluster.start(name)
            case "stop" if running:
                cluster.stop(name)
            case "resume" if name in cluster.nodes:
                cluster.resume(name)
            case "leave" if running and cluster.nodes[name].agreement.standing is not Standing.LEAVING:
                cluster.leave(name)
            case "isolate":
                cluster.isolate(name)
            case "heal":
                cluster.heal()
            case "edit":
                allowed = allowed ^ {name} or {name}
                cluster.show(candidates(*allowed))
            case "balancing":
                cluster.per_client = not cluster.per_client
                cluster.show(candidates(*allowed))
        watch.run(pause)
    cluster.loss = 0.0
    cluster.heal()
    for name in NAMES:
        if name in cluster.nodes and cluster.nodes[name].agreement.standing is Standing.LEAVING:
            cluster.kill(name)
        if name not in cluster.nodes:
            cluster.start(name)
        cluster.resume(name)
    cluster.run(5.0)
    found = owners(cluster)
    assert set(found.values()) <= allowed
    _assert_known_by_all(cluster, found)


def _assert_known_by_all(cluster: Cluster, found: Mapping[bytes, str]) -> None:
    for node in cluster.nodes.values():
        if (share := node.agreement.assignment.shares.get(ADDRESS)) is not None:
            assert {station: share.owner(station) for station in STATIONS} == found
