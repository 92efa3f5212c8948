"""One owner for each address, evenly, with least movement; and why there is none."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from heraldlb.api.announcements import InterfaceFilter
from heraldlb.speaker import election
from heraldlb.speaker.changes import Announcing, NotEligible, NotEligibleOver, Withdrawn
from heraldlb.speaker.desired import Announceable, Desired, Peer
from heraldlb.speaker.election import Ineligible, Member, explain
from heraldlb.speaker.interfaces import Link, Offer
from heraldlb.speaker.ownership import NOTHING_ASSIGNED, Assignment, assign, changes
from heraldlb.speaker.standing import Standing

ADDRESS = IPv4Address("10.0.0.9")
OFFER = Offer("eth0", b"\x02\0\0\0\0\x01", (ip_network("10.0.0.0/24"), ip_network("fd00::/64")))
LINK = Link(2, OFFER.name, OFFER.mac, OFFER.prefixes)
names = st.sets(st.sampled_from([f"node-{n}" for n in range(12)]), min_size=1)
addresses = st.integers(1, 254).map(lambda n: IPv4Address("10.0.0.0") + n) | st.integers(1, 254).map(
    lambda n: IPv6Address("fd00::") + n
)


def elect(wanted: Announceable, known: dict[str, Member]) -> str | None:
    return election.elect({wanted.address: wanted}, known)[wanted.address]


def members(*nodes: str) -> dict[str, Member]:
    return {name: Member(name, Standing.SERVING, (OFFER,)) for name in nodes}


@given(names, addresses)
def test_the_owner_does_not_depend_on_the_order_of_anything(nodes: set[str], address: IPv4Address) -> None:
    forwards, backwards = members(*sorted(nodes)), members(*sorted(nodes, reverse=True))
    wanted = Announceable(address, candidates=frozenset(nodes))
    assert elect(wanted, forwards) == elect(wanted, backwards) is not None


@given(names, addresses, st.data())
def test_the_loss_of_a_node_moves_only_what_it_owned(
    nodes: set[str], address: IPv4Address, data: st.DataObject
) -> None:
    wanted = Announceable(address, candidates=frozenset(nodes))
    lost = data.draw(st.sampled_from(sorted(nodes)))
    before, after = elect(wanted, members(*nodes)), elect(wanted, members(*nodes - {lost}))
    assert after == before if before != lost else after != lost


@given(names, addresses)
def test_a_new_candidate_takes_addresses_from_others_but_moves_none_between_them(
    nodes: set[str], address: IPv4Address
) -> None:
    before = elect(Announceable(address, candidates=frozenset(nodes)), members(*nodes))
    grown = nodes | {"new"}
    assert elect(Announceable(address, candidates=frozenset(grown)), members(*grown)) in (before, "new")


def test_addresses_spread_over_the_nodes() -> None:
    nodes = frozenset(f"node-{n}" for n in range(3))
    wanted = [Announceable(IPv4Address("10.0.0.0") + n, candidates=nodes) for n in range(200)]
    wanted += [Announceable(IPv6Address("fd00::") + n, candidates=nodes) for n in range(100)]
    owners = election.elect({each.address: each for each in wanted}, members(*nodes))
    assert max(Counter(owners.values()).values()) <= 1.2 * 100


def test_of_the_candidates_the_heaviest_own_whatever_the_hash_says_and_the_next_when_they_are_gone() -> None:
    nodes = ("a", "b", "c")
    weights = {"a": 10, "b": 10}
    wanted = {
        address: Announceable(address, candidates=frozenset(nodes), weights=weights)
        for address in (IPv4Address("10.0.0.1") + n for n in range(20))
    }
    assert set(election.elect(wanted, members(*nodes)).values()) == {"a", "b"}
    assert set(election.elect(wanted, members("b", "c")).values()) == {"b"}
    assert set(election.elect(wanted, members("c")).values()) == {"c"}


def test_a_node_on_probation_owns_only_what_no_other_can_announce() -> None:
    known = members("old") | {"new": Member("new", Standing.PROBATION, (OFFER,))}
    assert elect(Announceable(ADDRESS, candidates=frozenset({"old", "new"}), weights={"new": 9}), known) == "old"
    assert elect(Announceable(ADDRESS, candidates=frozenset({"new"})), known) == "new"


def test_nodes_that_reach_different_prefixes_share_only_what_they_both_reach() -> None:
    other = Offer("eth1", b"\x02\0\0\0\0\x02", (ip_network("10.0.0.0/24"), ip_network("10.9.0.0/24")))
    known = members("a") | {"b": Member("b", Standing.SERVING, (other,))}
    inside = [IPv4Address("10.0.0.0") + n for n in range(20)]
    outside = [IPv4Address("10.9.0.0") + n for n in range(20)]
    wanted = {each: Announceable(each, candidates=frozenset({"a", "b"})) for each in inside + outside}
    owners = election.elect(wanted, known)
    assert {owners[each] for each in inside} == {"a", "b"}
    assert {owners[each] for each in outside} == {"b"}


def test_only_candidates_that_live_serve_and_have_an_interface_are_elected() -> None:
    elsewhere = Offer("eth0", b"\x02\0\0\0\0\x02", (ip_network("10.9.0.0/24"),))
    known = {
        "joining": Member("joining", Standing.JOINING, (OFFER,)),
        "elsewhere": Member("elsewhere", Standing.SERVING, (elsewhere,)),
        "refused": Member("refused", Standing.SERVING, (OFFER,)),
    }
    wanted = Announceable(ADDRESS, candidates=frozenset({"joining", "elsewhere", "dead"}))
    assert elect(wanted, known) is None
    assert explain(wanted, known, [*known, "dead"]) == {
        "joining": Ineligible.NOT_SERVING,
        "elsewhere": Ineligible.NO_PREFIX,
        "refused": Ineligible.NOT_CANDIDATE,
        "dead": Ineligible.NOT_ALIVE,
    }


def test_a_node_whose_interfaces_are_unknown_is_taken_to_have_one() -> None:
    known = {"far": Member("far", Standing.SERVING, None)}
    assert elect(Announceable(ADDRESS, candidates=frozenset({"far"})), known) == "far"


def test_a_filter_that_excludes_the_only_interface_leaves_no_owner() -> None:
    wanted = Announceable(ADDRESS, InterfaceFilter(exclude=("eth*",)), frozenset({"a"}))
    assert elect(wanted, members("a")) is None


def desired(*nodes: str) -> Desired:
    wanted = Announceable(ADDRESS, candidates=frozenset(nodes))
    return Desired({ADDRESS: wanted}, {name: Peer(name) for name in nodes if name != "a"})


def test_taking_an_address_is_told_with_interface_and_hardware_address() -> None:
    after = assign(desired("a"), members("a"), "a", [LINK])
    assert list(changes(NOTHING_ASSIGNED, after, 12.5)) == [Announcing(ADDRESS, "eth0", "02:00:00:00:00:01", 12.5)]
    assert list(changes(after, after, 13.0)) == []


def test_a_new_hardware_address_is_told_again() -> None:
    before = assign(desired("a"), members("a"), "a", [LINK])
    other = Link(2, "eth0", b"\x02\0\0\0\0\x77", LINK.prefixes)
    after = assign(desired("a"), members("a"), "a", [other])
    assert [type(each) for each in changes(before, after, 0.0)] == [Announcing]


def test_losing_an_address_is_told_with_its_new_owner() -> None:
    before = assign(desired("a"), members("a"), "a", [LINK])
    after = Assignment(owners={ADDRESS: "b"})
    assert list(changes(before, after, 0.0)) == [Withdrawn(ADDRESS, "b")]
    assert list(changes(before, NOTHING_ASSIGNED, 0.0)) == [Withdrawn(ADDRESS, None)]


def test_an_address_nobody_can_announce_is_told_with_the_reason_of_every_node_once() -> None:
    known = {"a": Member("a", Standing.SERVING, ())}
    after = assign(desired("a", "b"), known, "a", [])
    reasons = {"a": Ineligible.NO_INTERFACE, "b": Ineligible.NOT_ALIVE}
    assert list(changes(NOTHING_ASSIGNED, after, 0.0)) == [NotEligible(ADDRESS, reasons)]


def test_that_no_node_is_eligible_is_taken_back_when_one_is() -> None:
    before = Assignment({ADDRESS: None}, ineligible={ADDRESS: {"node-1": Ineligible.NOT_CANDIDATE}})
    after = Assignment({ADDRESS: "node-2"})
    assert list(changes(before, after, 0.0)) == [NotEligibleOver(ADDRESS)]
    assert list(changes(after, after, 0.0)) == []


def test_a_node_that_does_not_serve_accuses_nobody() -> None:
    known = {"a": Member("a", Standing.ISOLATED, (OFFER,))}
    assert assign(desired("a", "b"), known, "a", [LINK]).ineligible == {}
