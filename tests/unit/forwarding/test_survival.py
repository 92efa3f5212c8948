"""Rings of nodes that may know a connection, and the tables that make them: by steps and by the tracer."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from itertools import permutations
from typing import Final

import pytest

from heraldlb.api.ranges import Family
from heraldlb.forwarding import survivaltables, tables, tracer
from heraldlb.forwarding.actual import Names
from heraldlb.forwarding.detour import Hop
from heraldlb.forwarding.model import Backend, Candidate, Frontend, IPNetwork
from heraldlb.forwarding.ranking import seats
from heraldlb.forwarding.survival import Peer, Survival, Survivor
from heraldlb.forwarding.tracer import Fate, Packet

VIP = ip_address("172.16.0.1")
DNS = Frontend(VIP, "UDP", 53)
CLIENT = ip_address("192.168.77.100")
NODES: Final = ("node-1", "node-2", "node-3", "node-4")
SLOTS: Final = 30


def candidates(*numbers: int, **fields: object) -> tuple[Candidate, ...]:
    """An endpoint on each of these nodes."""
    return tuple(
        replace(Candidate(Backend(ip_address(f"10.244.{each}.5"), 53), f"node-{each}"), **fields)  # type: ignore[arg-type]
        for each in numbers
    )


def peer(node: str, *, index: int = 2) -> Peer:
    return Peer({"IPv4": Hop(ip_address(f"192.168.77.{node[-1]}"), index)}, frozenset({station(node)}))


def station(node: str) -> str:
    return f"02:00:00:00:00:0{node[-1]}"


def survival(node: str, endpoints: tuple[Candidate, ...], **fields: object) -> Survival:
    made = Survival(
        node,
        {DNS: Survivor(endpoints)},
        {each: peer(each) for each in NODES if each != node},
        pod_cidrs=(ip_network(f"10.244.{node[-1]}.0/24"),),
        seed=7,
        slots=SLOTS,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def loaded(state: Survival) -> tables.Table:
    return tables.read("".join(step.text for step in survivaltables.full(state)))["ip"]


def walk(rules: dict[str, tables.Table], start: str, slot: int) -> tuple[list[str], tracer.Outcome]:
    """The nodes that a datagram of a flow that nobody knows passes, and how it ends."""
    path, sent = [start], Packet(CLIENT, VIP, "UDP", 53, slot=slot)
    while True:
        [outcome] = tracer.trace({"ip": rules[path[-1]]}, sent, ())
        if outcome.gateway is None:
            return path, outcome
        assert outcome.hops is not None
        sent = replace(sent, station=station(path[-1]), hops=outcome.hops - 1)
        path.append(f"node-{str(outcome.gateway)[-1]}")
        assert len(path) <= 6, path


@pytest.mark.parametrize("start", NODES)
@pytest.mark.parametrize("numbers", [(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)])
def test_a_new_flow_is_asked_about_at_all_of_its_ring_and_ends_at_the_first(
    numbers: tuple[int, ...], start: str
) -> None:
    endpoints = candidates(*numbers)
    rules = {node: loaded(survival(node, endpoints)) for node in NODES}
    for slot, (backend, ring) in enumerate(seats(endpoints, SLOTS)):
        path, outcome = walk(rules, start, slot)
        assert (outcome.fate, outcome.backend, outcome.masqueraded) == (Fate.FORWARDED, backend, False)
        assert path[-1] == ring[0]
        assert {start, *ring} == set(path)
        assert len(path) <= len(ring) + 2


@pytest.mark.parametrize("start", NODES[:3])
def test_a_third_that_has_not_heard_of_a_change_of_places_is_not_taken_for_the_last_that_was_asked(
    start: str,
) -> None:
    ready = candidates(1, 2, 3)
    for comer in set(NODES[:3]) - {start}:
        before = tuple(replace(each, eligible=each.node != comer) for each in ready)
        rules = {node: loaded(survival(node, ready if node == comer else before)) for node in NODES}
        for slot, (was, becomes) in enumerate(zip(seats(before, SLOTS), seats(ready, SLOTS), strict=True)):
            if was.ring[0] != becomes.ring[0]:
                path, _ = walk(rules, start, slot)
                assert was.ring[0] in path


@pytest.mark.parametrize(("start", "lost"), [*permutations(NODES[:3], 2)])
def test_a_lost_node_is_not_asked_about_datagrams(start: str, lost: str) -> None:
    endpoints = candidates(1, 2, 3)
    endpoints = tuple(replace(each, eligible=each.node != lost) for each in endpoints)
    rules = {node: loaded(survival(node, endpoints, lost=frozenset({lost}))) for node in NODES}
    for slot, (backend, ring) in enumerate(seats(endpoints, SLOTS)):
        path, outcome = walk(rules, start, slot)
        assert (outcome.backend, path[-1]) == (backend, ring[0])
        assert set(path) == {start, *ring} - {lost}


def test_what_is_meant_for_a_node_that_cannot_be_reached_is_left_to_the_ordinary_table() -> None:
    state = survival("node-4", candidates(1), peers={})
    assert walk({"node-4": loaded(state)}, "node-4", 0)[1].fate is Fate.UNTOUCHED


def test_what_comes_from_the_nodes_own_pods_is_left_to_the_ordinary_table() -> None:
    rules = loaded(survival("node-1", candidates(1, 2)))
    for slot in range(SLOTS):
        sent = Packet(ip_address("10.244.1.9"), VIP, "UDP", 53, slot=slot)
        assert {each.fate for each in tracer.trace({"ip": rules}, sent, ())} == {Fate.UNTOUCHED}


def test_sources_that_may_not_connect_are_dropped_where_the_connection_would_be_made() -> None:
    sources: tuple[IPNetwork, ...] = (ip_network("198.51.100.0/24"),)
    endpoints = candidates(1, 2)
    states = [survival(node, endpoints, frontends={DNS: Survivor(endpoints, sources)}) for node in NODES]
    rules = {state.node: loaded(state) for state in states}
    assert {walk(rules, "node-3", slot)[1].fate for slot in range(SLOTS)} == {Fate.DROPPED}


OTHER = Frontend(VIP, "TCP", 80)
SIX = Frontend(ip_address("fd00::1"), "TCP", 80)
BASE = survival("node-1", candidates(1, 2, 3))
STATES = (
    BASE,
    survival("node-1", candidates(1, 2)),
    survival("node-1", (*candidates(1, 2), *candidates(3, eligible=False, terminating=True))),
    survival("node-1", candidates(2, 3, 4), lost=frozenset({"node-3"})),
    replace(BASE, peers={"node-2": peer("node-2", index=5)}),
    replace(BASE, frontends={}),
    replace(BASE, frontends={DNS: Survivor(candidates(1)), OTHER: Survivor(candidates(1, 2, 3))}),
    replace(BASE, frontends={DNS: Survivor(candidates(1, 2), (ip_network("10.0.0.0/8"),))}),
    replace(BASE, pod_cidrs=(ip_network("10.9.0.0/16"),)),
    replace(BASE, seed=8),
)


@pytest.mark.parametrize(("old", "new"), [*permutations(range(len(STATES)), 2)])
def test_steps_lead_to_what_would_be_made_anew(old: int, new: int) -> None:
    steps = [*survivaltables.full(STATES[old]), *survivaltables.diff(STATES[old], STATES[new])]
    made = tables.read("".join(step.text for step in steps))
    assert made == tables.read("".join(step.text for step in survivaltables.full(STATES[new])))


def test_nothing_is_written_where_nothing_changed() -> None:
    assert list(survivaltables.diff(BASE, replace(BASE))) == []


def test_what_a_predecessor_left_is_taken_over_and_what_is_nobodys_has_no_effect() -> None:
    left, wanted = STATES[6], STATES[1]
    steps = [*survivaltables.full(left), *survivaltables.full(wanted)]
    made = tables.read("".join(step.text for step in steps))["ip"]
    expected = loaded(wanted)
    assert {name: made.maps[name] for name in expected.maps} == expected.maps
    assert {name: made.chains[name] for name in expected.chains} == expected.chains


@pytest.mark.parametrize(("left", "kept"), [*permutations(range(len(STATES)), 2)])
def test_what_a_predecessor_left_is_swept_away_and_nothing_else(left: int, kept: int) -> None:
    wanted = STATES[kept]
    steps = [*survivaltables.full(STATES[left]), *survivaltables.full(wanted)]
    texts = [step.text for step in steps]
    texts.append(survivaltables.leftovers(_names(tables.read("".join(texts))), wanted))
    made = tables.read("".join(texts))
    assert made == tables.read("".join(step.text for step in survivaltables.full(wanted)))
    assert survivaltables.leftovers(_names(made), wanted) == ""


def _names(made: dict[str, tables.Table]) -> dict[Family, Names]:
    """As the kernel would tell them. nft tells maps, which have values, from sets."""
    found: dict[Family, Names] = {}
    for family, ip in (("IPv4", "ip"), ("IPv6", "ip6")):
        sets = {name for name in made[ip].maps if name == "pods" or name.startswith(("node-", "sources-"))}
        found[family] = Names(frozenset(made[ip].chains), frozenset(made[ip].maps.keys() - sets), frozenset(sets))  # type: ignore[index]
    return found


def test_a_lost_node_changes_a_few_rules_and_no_slots() -> None:
    [step] = survivaltables.diff(BASE, replace(BASE, lost=frozenset({"node-2"})))
    assert " element " not in step.text
    assert step.text.count("add rule") < 40


def test_no_other_table_is_ever_named_and_nothing_of_a_nodes_name() -> None:
    odd = tuple(replace(each, node=each.node.replace("node", "odd;name")) for each in candidates(1, 2, 3))
    texts = [step.text for step in survivaltables.full(survival("node-1", odd))]
    for line in "".join(texts).splitlines():
        assert "odd" not in line
        if line.startswith(("add", "delete", "flush")):
            assert line.split()[2:4] in (["ip", survivaltables.TABLE], ["ip6", survivaltables.TABLE])
