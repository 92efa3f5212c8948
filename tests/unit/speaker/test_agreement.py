"""Who owns what through death, leave, partition, stop, restart and forgery, on a simulated clock and network."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import FAILURE_TIMEOUT, HANDOVER_LIMIT, HEARTBEAT_INTERVAL
from heraldlb.speaker.election import Ineligible
from heraldlb.speaker.membership import Verdict
from heraldlb.speaker.messages import Message, decode, encode
from heraldlb.speaker.standing import Standing
from tests.unit.speaker.simulation import ADDRESSES, KEY, OVERLAP, STEP, Cluster, Snapshot, link, settled

NAMES = ("a", "b", "c")
SETTLED = 2.0
FOUR = ("a", "b", "c", "d")
FAULTS = ("kill", "start", "stop", "resume", "leave", "isolate", "heal", "cut", "lose", "edit")


@pytest.fixture
def cluster() -> Cluster:
    return settled(*NAMES, seconds=SETTLED)


def an_owner(cluster: Cluster) -> str:
    (owner,) = cluster.owners(ADDRESSES[0])
    return owner


def rest(*names: str) -> list[str]:
    return [each for each in NAMES if each not in names]


def test_a_starting_node_owns_nothing_before_it_has_listened() -> None:
    cluster = Cluster(NAMES)
    cluster.start("a", witness=lambda: 0.0)
    cluster.run(FAILURE_TIMEOUT)
    assert cluster.nodes["a"].agreement.standing is Standing.JOINING
    assert not cluster.nodes["a"].owned
    cluster.run(SETTLED)
    assert cluster.nodes["a"].owned == set(ADDRESSES)


def test_a_starting_node_that_hears_all_its_peers_does_not_wait_out_the_grace() -> None:
    cluster = Cluster(NAMES)
    cluster.start()
    cluster.run(3 * HEARTBEAT_INTERVAL)
    assert cluster.everything_owned_once()


def test_addresses_of_a_dead_node_move_within_the_timeout_and_no_others_do(cluster: Cluster) -> None:
    dead = an_owner(cluster)
    before = {name: set(node.owned) for name, node in cluster.nodes.items()}
    cluster.kill(dead)
    cluster.run(FAILURE_TIMEOUT + HEARTBEAT_INTERVAL + 0.05)
    assert cluster.everything_owned_once()
    assert all(before[name] <= cluster.nodes[name].owned for name in rest(dead))


def test_addresses_of_a_leaving_node_move_at_once(cluster: Cluster) -> None:
    leaver = an_owner(cluster)
    cluster.leave(leaver)
    for _ in cluster.steps(0.1):
        assert all(cluster.owners(address) for address in ADDRESSES), "it goes on answering until others do"
    assert cluster.everything_owned_once(rest(leaver))
    assert not cluster.nodes[leaver].owned


def test_late_heartbeats_of_a_node_that_left_do_not_bring_it_back(cluster: Cluster) -> None:
    leaver = an_owner(cluster)
    late = [each for each in cluster.tapped if decode(each[1], [KEY]).sender == leaver]
    cluster.leave(leaver)
    cluster.run(0.05)
    cluster.kill(leaver)
    for receiver, datagram in late[-6:]:
        cluster.inject(receiver, datagram)
    cluster.run(0.05)
    assert cluster.everything_owned_once()


def test_a_restarted_node_takes_back_its_share_without_a_quarrel(cluster: Cluster) -> None:
    owner = an_owner(cluster)
    before = set(cluster.nodes[owner].owned)
    cluster.kill(owner)
    cluster.run(SETTLED)
    with cluster.hardly_two_owners(SETTLED):
        cluster.start(owner)
    assert cluster.everything_owned_once()
    assert cluster.nodes[owner].owned == before


def test_a_node_that_restarts_within_the_timeout_is_served_for_or_serves_again_at_once(cluster: Cluster) -> None:
    owner = an_owner(cluster)
    with cluster.hardly_two_owners(HEARTBEAT_INTERVAL):
        cluster.start(owner)
    assert cluster.everything_owned_once()


def test_a_node_that_restarts_with_its_clock_set_back_is_taken_in(cluster: Cluster) -> None:
    owner = an_owner(cluster)
    cluster.kill(owner)
    cluster.start(owner, incarnation=1, clock_offset=-500.0)
    cluster.run(SETTLED)
    assert cluster.everything_owned_once()
    assert cluster.nodes[owner].owned


def test_clocks_that_disagree_by_years_do_not_matter() -> None:
    cluster = Cluster(NAMES)
    for name, offset in zip(NAMES, (0.0, 1e8, -900.0), strict=True):
        cluster.start(name, clock_offset=offset)
    cluster.run(SETTLED)
    assert cluster.everything_owned_once()
    assert all(node.owned for node in cluster.nodes.values())


@pytest.mark.parametrize("both_ways", [True, False], ids=["both ways", "one way"])
def test_two_nodes_that_cannot_hear_each_other_stay_agreed_through_a_third(
    cluster: Cluster, both_ways: bool
) -> None:
    before = {name: set(node.owned) for name, node in cluster.nodes.items()}
    with cluster.hardly_two_owners(3.0):
        cluster.cut |= {("a", "b"), ("b", "a")} if both_ways else {("a", "b")}
    assert {name: node.owned for name, node in cluster.nodes.items()} == before


def test_a_node_started_behind_a_cut_learns_of_the_far_node_through_a_third() -> None:
    cluster = Cluster(NAMES)
    cluster.cut |= {("a", "b"), ("b", "a")}
    cluster.start()
    cluster.run(SETTLED)
    assert cluster.everything_owned_once()
    assert all(node.owned for node in cluster.nodes.values())


def test_a_death_is_noticed_across_a_cut(cluster: Cluster) -> None:
    cluster.cut |= {("a", "b"), ("b", "a")}
    cluster.run(SETTLED)
    cluster.kill("b")
    cluster.run(2 * FAILURE_TIMEOUT)
    assert cluster.everything_owned_once()


def test_an_isolated_node_falls_silent_and_the_others_serve_everything(cluster: Cluster) -> None:
    lonely = an_owner(cluster)
    cluster.isolate(lonely)
    cluster.run(SETTLED)
    assert not cluster.nodes[lonely].owned
    assert cluster.everything_owned_once(rest(lonely))


def test_when_a_partition_heals_no_two_nodes_go_on_answering_for_one_address(cluster: Cluster) -> None:
    lonely = an_owner(cluster)
    before = set(cluster.nodes[lonely].owned)
    cluster.isolate(lonely)
    cluster.run(SETTLED)
    with cluster.hardly_two_owners(SETTLED):
        cluster.heal()
    assert cluster.everything_owned_once()
    assert cluster.nodes[lonely].owned == before


def test_a_node_that_hears_no_peer_but_has_a_witness_goes_on() -> None:
    cluster = Cluster(NAMES)
    age = 1.0
    cluster.start("a", witness=lambda: age)
    cluster.start("b", "c")
    cluster.run(SETTLED)
    cluster.isolate("a")
    cluster.run(SETTLED)
    assert cluster.nodes["a"].owned == set(ADDRESSES)
    age = 60.0
    cluster.run(0.1)
    assert not cluster.nodes["a"].owned


def test_of_two_nodes_each_goes_on_alone_and_they_agree_again_within_two_heartbeats() -> None:
    cluster = Cluster(("a", "b"))
    cluster.start()
    cluster.run(SETTLED)
    cluster.isolate("a")
    cluster.run(SETTLED)
    assert all(node.owned == set(ADDRESSES) for node in cluster.nodes.values())
    cluster.heal()
    cluster.run(2 * HEARTBEAT_INTERVAL)
    assert cluster.everything_owned_once()


def test_a_node_that_was_stopped_answers_nothing_on_waking_although_heartbeats_piled_up(cluster: Cluster) -> None:
    hung = an_owner(cluster)
    cluster.stop(hung)
    cluster.run(SETTLED)
    assert cluster.everything_owned_once(rest(hung))
    assert cluster.nodes[hung].inbox
    with cluster.hardly_two_owners(SETTLED):
        cluster.resume(hung)
    assert cluster.everything_owned_once()


def test_of_two_nodes_the_one_that_was_stopped_owns_nothing_from_the_first_moment_it_wakes() -> None:
    cluster = Cluster(("a", "b"))
    cluster.start()
    cluster.run(SETTLED)
    cluster.stop("a")
    cluster.run(SETTLED)
    cluster.resume("a")
    cluster.run(STEP)
    assert not cluster.nodes["a"].owned
    cluster.run(SETTLED)
    assert cluster.everything_owned_once()


def test_a_short_stop_costs_nothing(cluster: Cluster) -> None:
    hung = an_owner(cluster)
    before = set(cluster.nodes[hung].owned)
    cluster.stop(hung)
    cluster.run(2 * HEARTBEAT_INTERVAL)
    with cluster.hardly_two_owners(1.0):
        cluster.resume(hung)
        assert cluster.nodes[hung].owned == before
    assert cluster.nodes[hung].owned == before


def test_a_stopped_node_gives_up_before_its_peers_take_over(cluster: Cluster) -> None:
    hung = an_owner(cluster)
    agreement = cluster.nodes[hung].agreement
    cluster.stop(hung)
    for now in cluster.steps(1.0):
        if any(cluster.owners(address, rest(hung)) for address in agreement.assignment.owned):
            assert now >= agreement.answer_until
            return
    pytest.fail("nobody took over")


def test_one_heartbeat_in_ten_lost_moves_nothing(cluster: Cluster) -> None:
    before = {name: set(node.owned) for name, node in cluster.nodes.items()}
    cluster.loss = 0.1
    for _ in cluster.steps(60.0):
        assert {name: node.owned for name, node in cluster.nodes.items()} == before


def test_an_interface_without_carrier_hands_its_addresses_over_and_everybody_knows_why(cluster: Cluster) -> None:
    owner = an_owner(cluster)
    cluster.nodes[owner].agreement.use([link(9, carrier=False)])
    cluster.run(0.1)
    assert not cluster.nodes[owner].owned
    assert cluster.everything_owned_once(rest(owner))
    for name in rest(owner):
        cluster.nodes[name].agreement.use([link(9, carrier=False)])
    cluster.run(0.1)
    ineligible = cluster.nodes[owner].agreement.assignment.ineligible[ADDRESSES[0]]
    assert ineligible == dict.fromkeys(NAMES, Ineligible.NO_INTERFACE)


def test_a_node_with_another_key_is_dead_to_the_others() -> None:
    cluster = Cluster(NAMES)
    cluster.start("a", "b")
    cluster.start("c", key=b"x" * 32)
    cluster.run(SETTLED)
    assert cluster.everything_owned_once(["a", "b"])
    assert not cluster.nodes["c"].owned
    assert cluster.dropped > 0


def test_a_recording_does_not_make_a_dead_node_live(cluster: Cluster) -> None:
    dead = an_owner(cluster)
    recorded = [each for each in cluster.tapped if decode(each[1], [KEY]).sender == dead]
    cluster.kill(dead)
    cluster.run(SETTLED)
    for (receiver, datagram), _ in zip(recorded[::-1], cluster.steps(1.0), strict=False):
        cluster.inject(receiver, datagram)
        assert cluster.everything_owned_once()
    verdicts = {receipt.verdict for name in rest(dead) for receipt in cluster.nodes[name].receipts}
    assert Verdict.REPLAYED in verdicts


def test_a_recording_does_not_fool_a_restarted_node_either(cluster: Cluster) -> None:
    dead = an_owner(cluster)
    recorded = [each for each in cluster.tapped if decode(each[1], [KEY]).sender == dead]
    cluster.kill(dead)
    cluster.start(*rest(dead))
    for (receiver, datagram), _ in zip(recorded, cluster.steps(SETTLED), strict=False):
        cluster.inject(receiver, datagram)
    cluster.run(FAILURE_TIMEOUT)
    assert cluster.everything_owned_once()


def test_a_recorded_goodbye_moves_nothing(cluster: Cluster) -> None:
    owner = an_owner(cluster)
    cluster.leave(owner)
    goodbyes = [each for each in cluster.tapped if decode(each[1], [KEY]).standing is Standing.LEAVING]
    cluster.kill(owner)
    cluster.run(SETTLED)
    cluster.start(owner)
    cluster.run(SETTLED)
    before = set(cluster.nodes[owner].owned)
    for receiver, datagram in goodbyes:
        cluster.inject(receiver, datagram)
    cluster.run(0.1)
    assert goodbyes
    assert cluster.nodes[owner].owned == before
    assert cluster.everything_owned_once()


def test_a_signed_message_of_a_node_that_no_object_names_is_dropped(cluster: Cluster) -> None:
    for _ in cluster.steps(0.5):
        cluster.inject("a", encode(Message("stranger", 1, 1, Standing.SERVING), KEY))
    assert cluster.everything_owned_once()
    assert Verdict.UNKNOWN_SENDER in {receipt.verdict for receipt in cluster.nodes["a"].receipts}


candidates = st.lists(
    st.sets(st.sampled_from(FOUR), min_size=1), min_size=len(ADDRESSES), max_size=len(ADDRESSES)
).map(lambda sets: dict(zip(ADDRESSES, map(frozenset, sets), strict=True)))


class Watch:
    """Holds after every step that nobody answers who must not, nor two for long that hear each other."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._both: dict[tuple[str, str], dict[IPAddress, float]] = {}
        self._forbidden: dict[str, dict[IPAddress, float]] = {}
        self.seen: dict[str, Snapshot] = dict.fromkeys(FOUR, dict.fromkeys(ADDRESSES, frozenset(FOUR)))
        self.lossless = 0.0

    def run(self, seconds: float) -> None:
        for now in self._cluster.steps(seconds):
            if self._cluster.loss:
                self.lossless = now + 1.0
            answering = self._cluster.answering()
            for name, owned in answering.items():
                standing = self._cluster.nodes[name].agreement.standing
                assert not owned or standing not in (Standing.JOINING, Standing.ISOLATED)
                self._check_candidates(name, owned, now)
            for pair in combinations(answering, 2):
                hear = now >= self.lossless and self._cluster.hear_each_other(*pair)
                self._check_pair(pair, answering[pair[0]] & answering[pair[1]] if hear else set(), now)

    def _check_candidates(self, name: str, owned: set[IPAddress], now: float) -> None:
        since = self._forbidden.get(name, {})
        forbidden = [address for address in owned if name not in self.seen[name][address]]
        self._forbidden[name] = {address: since.get(address, now - STEP) for address in forbidden}
        assert all(now - began <= HANDOVER_LIMIT + STEP for began in self._forbidden[name].values())

    def _check_pair(self, pair: tuple[str, str], shared: set[IPAddress], now: float) -> None:
        since = self._both.get(pair, {})
        self._both[pair] = {address: since.get(address, now - STEP) for address in shared}
        assert all(now - began <= OVERLAP for began in self._both[pair].values()), (pair, self._both[pair])


@settings(max_examples=10, deadline=None)
@given(st.lists(st.sampled_from(FAULTS), max_size=8), st.data())
def test_whatever_happens_each_side_settles_on_one_owner_and_nobody_answers_who_must_not(
    faults: list[str], data: st.DataObject
) -> None:
    cluster = Cluster(FOUR, probation=0.7)
    watch = Watch(cluster)
    cluster.start()
    watch.run(0.5)
    latest = watch.seen["a"]
    for fault in faults:
        name = data.draw(st.sampled_from(FOUR))
        if fault == "start":
            watch.seen[name] = latest
            cluster.snapshot = latest
            cluster.start(name)
        elif fault == "heal":
            cluster.heal()
        elif fault == "lose":
            cluster.loss = data.draw(st.sampled_from([0.0, 0.1, 0.4]))
        elif fault == "cut":
            cluster.cut.add((name, data.draw(st.sampled_from([each for each in FOUR if each != name]))))
        elif fault == "isolate":
            cluster.isolate(*{name, data.draw(st.sampled_from(FOUR))})
        elif fault == "edit":
            latest = data.draw(candidates)
            for one in data.draw(st.sets(st.sampled_from(FOUR))):
                watch.seen[one] = latest
                cluster.show(latest, one)
        elif name in cluster.nodes:
            getattr(cluster, fault)(name)
        watch.run(data.draw(st.sampled_from([0.05, 0.3, 1.0])))
    cluster.loss = 0.0
    watch.seen = dict.fromkeys(FOUR, latest)
    cluster.show(latest, *FOUR)
    for name in cluster.nodes:
        cluster.resume(name)
    for settle in (sides, lambda cluster: cluster.heal() or sides(cluster)):
        found = settle(cluster)
        watch.run(SETTLED + 1.0)
        for side in found:
            left = {each for each in side if cluster.nodes[each].agreement.standing is not Standing.LEAVING}
            for address, allowed in latest.items():
                # Of four, one alone takes itself to be cut off.
                expected = 1 if len(left) > 1 and allowed & left else 0
                assert len(cluster.owners(address, side)) == expected, (address, side)


def sides(cluster: Cluster) -> list[set[str]]:
    """The nodes that are connected, or nothing where some hear others one way only."""
    if any((other, one) not in cluster.cut for one, other in cluster.cut if one != other):
        return []
    left, found = set(cluster.nodes), []
    while left:
        side, waiting = set(), [min(left)]
        while waiting:
            one = waiting.pop()
            side.add(one)
            waiting += [each for each in left - side if (one, each) not in cluster.cut]
        left -= side
        found.append(side)
    return found
