"""Addresses shared out among nodes: evenly, alike everywhere, and with little movement."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker import rendezvous
from heraldlb.speaker.constants import LOAD_BOUND

nodes = st.sets(st.text("abcdefgh-0123456789", min_size=1, max_size=12), min_size=1, max_size=8)
addresses = st.lists(
    st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address),
    min_size=1,
    max_size=80,
    unique=True,
)


def share_out(shared: Iterable[IPAddress], names: Iterable[str]) -> Mapping[IPAddress, str]:
    return rendezvous.share_out(tuple(shared), frozenset(names))


def bound(count: int, among: int) -> int:
    most, least = LOAD_BOUND
    return -(-most * count // (least * among))


@given(addresses, nodes)
def test_every_address_has_one_node_and_no_node_more_than_the_bound(
    shared: list[IPAddress], names: set[str]
) -> None:
    owners = share_out(shared, names)
    assert owners.keys() == set(shared)
    assert set(owners.values()) <= names
    assert max(Counter(owners.values()).values()) <= bound(len(shared), len(names))


@given(st.lists(addresses.filter(lambda each: len(each) >= 60), min_size=1, max_size=1), st.data())
@settings(max_examples=20)
def test_sixty_addresses_on_three_nodes_are_within_three_tenths_of_the_mean(
    found: list[list[IPAddress]], data: st.DataObject
) -> None:
    names = data.draw(st.sets(st.text(min_size=1, max_size=20), min_size=3, max_size=3))
    shares = Counter(share_out(found[0][:60], names).values())
    assert max(shares.values()) <= 1.3 * 20


@given(addresses, nodes, st.randoms(use_true_random=False))
def test_no_order_matters(shared: list[IPAddress], names: set[str], chance: random.Random) -> None:
    other = list(shared)
    chance.shuffle(other)
    assert share_out(shared, names) == share_out(other, names)


@given(addresses, nodes.filter(lambda each: len(each) > 1), st.data())
def test_a_death_moves_what_the_dead_had_and_as_few_others_as_were_pushed_aside(
    shared: list[IPAddress], names: set[str], data: st.DataObject
) -> None:
    dead = data.draw(st.sampled_from(sorted(names)))
    before, after = share_out(shared, names), share_out(shared, names - {dead})
    moved = {each for each in shared if before[each] != after[each] and before[each] != dead}
    # Only who was not where it would be with room for all, before or after, may move between survivors.
    survivors = names - {dead}
    pushed = {each for each in shared if before[each] != _alone(each, names)}
    pushed |= {each for each in shared if after[each] != _alone(each, survivors)}
    assert moved <= pushed


@given(addresses, st.lists(nodes, min_size=2, max_size=4))
def test_the_past_does_not_matter(shared: list[IPAddress], history: list[set[str]]) -> None:
    for names in history:
        share_out(shared, names)
    remembered = share_out(shared, history[-1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendezvous, "_favourites", rendezvous._Favourites())
        rendezvous.share_out.cache_clear()
        assert share_out(shared, history[-1]) == remembered


def test_a_death_moves_hardly_anything_between_survivors() -> None:
    names = {"node-1", "node-2", "node-3"}
    for first in range(0, 50_000, 1_000):
        shared: list[IPAddress] = [IPv4Address("10.0.0.0") + first + n for n in range(60)]
        before = share_out(shared, names)
        for dead in names:
            after = share_out(shared, names - {dead})
            moved = [each for each in shared if before[each] != dead and before[each] != after[each]]
            assert len(moved) <= 8


def test_a_new_node_takes_addresses_from_others_and_moves_none_between_them_where_nobody_is_full() -> None:
    shared: list[IPAddress] = [IPv4Address("10.0.0.0") + n for n in range(3_000)]
    before, after = share_out(shared, {"a", "b"}), share_out(shared, {"a", "b", "c"})
    assert {after[each] for each in shared if before[each] != after[each]} == {"c"}
    assert 800 < Counter(after.values())["c"] < 1_200


def _alone(address: IPAddress, names: set[str]) -> str:
    """Where an address belongs that is shared out by itself."""
    return share_out([address], names)[address]
