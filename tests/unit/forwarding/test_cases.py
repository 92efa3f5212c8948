"""The table of cases, answered by the tracer from the rules as they are rendered."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.forwarding import ruleset, survivaltables, tables, tracer
from heraldlb.forwarding.detour import Hop
from heraldlb.forwarding.model import Plan
from heraldlb.forwarding.survival import Peer, Survival, survivors_in
from heraldlb.forwarding.tracer import Fate, Outcome, Packet
from tests.unit.forwarding.cases import (
    BRIDGE,
    CASES,
    NODE_ADDRESS,
    NODES,
    POD,
    TARGET,
    Case,
    Dial,
    End,
    To,
    address_of,
    surviving,
)

SLOTS = 7
"""Enough for two endpoints to have some each."""
FATES = {Fate.REJECTED: End.REJECTED, Fate.DROPPED: End.DROPPED, Fate.UNTOUCHED: End.GATEWAY}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("subject", CASES, ids=lambda subject: subject.name)
def test_the_rules_do_as_kubernetes_promises(subject: Case, family: Family) -> None:
    dials = [dial for dial in subject.dials if family in dial.families]
    loaded = {node: tables.read(ruleset.full(subject.plan(node)).text) for node in NODES}
    ends = {}
    for dial in dials:
        node = entry(dial)
        source, destination = (ip_address(address_of(name, family)) for name in (dial.source, dial.target))
        packet = Packet(source, destination, dial.protocol, dial.port)
        ends[dial] = end_of(tracer.trace(loaded[node], packet, own_addresses(node, family)), family, dial, node)
    assert ends == {dial: dial.end for dial in dials}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("subject", [*map(surviving, CASES)], ids=lambda subject: subject.name)
def test_they_do_so_where_connections_survive(subject: Case, family: Family) -> None:
    """From node to node, until one forwards the packet or drops it."""
    loaded = {node: surviving_rules(subject.plan(node), node) for node in NODES}
    ends = {}
    for dial in (dial for dial in subject.dials if family in dial.families):
        source, destination = (ip_address(address_of(name, family)) for name in (dial.source, dial.target))
        outcomes: set[Outcome] = set()
        for slot in range(SLOTS):
            packet = Packet(source, destination, dial.protocol, dial.port, slot=slot)
            outcomes |= followed(loaded, packet, entry(dial), family)
        ends[dial] = end_of(frozenset(outcomes), family, dial, entry(dial))
    expected = {dial: dial.end for dial in subject.dials if family in dial.families}
    assert ends == expected


def surviving_rules(plan: Plan, node: str) -> dict[str, tables.Table]:
    """Both of that node's tables in one."""
    survival = Survival(node, survivors_in(plan), peers_of(node), frozenset(), plan.frame.pod_cidrs, 7, SLOTS)
    ordinary = tables.read(ruleset.full(plan).text)
    apart = tables.read("".join(step.text for step in survivaltables.full(survival)))
    return {family: table.beside(apart[family]) for family, table in ordinary.items()}


def peers_of(node: str) -> dict[str, Peer]:
    return {
        other: Peer(
            {family: Hop(ip_address(NODE_ADDRESS[family][other]), 2) for family in FAMILIES},
            frozenset({station(other)}),
        )
        for other in NODES
        if other != node
    }


def station(node: str) -> str:
    return f"02:00:00:00:00:0{node[-1]}"


def followed(
    loaded: dict[str, dict[str, tables.Table]], packet: Packet, node: str, family: Family, hops: int = 4
) -> frozenset[Outcome]:
    """Where it ends, after no more than so many hops."""
    names = {ip_address(address): name for name, address in NODE_ADDRESS[family].items()}
    ends: set[Outcome] = set()
    for outcome in tracer.trace(loaded[node], packet, own_addresses(node, family)):
        if outcome.gateway is None:
            ends.add(outcome)
        else:
            assert hops, f"{packet} wanders"
            passed = replace(packet, station=station(node))
            ends |= followed(loaded, passed, names[outcome.gateway], family, hops - 1)
    return frozenset(ends)


def entry(dial: Dial) -> str:
    """The first node that the packet passes; the client sends everything else to the first one."""
    if dial.source == "client":
        return dial.target if dial.target in NODES else "node-1"
    return dial.source.replace("pod", "node")


def own_addresses(node: str, family: Family) -> set[object]:
    return {ip_address(NODE_ADDRESS[family][node]), ip_address(BRIDGE[family][node])}


def end_of(outcomes: frozenset[Outcome], family: Family, dial: Dial, node: str) -> To | End:
    if all(outcome.fate is Fate.FORWARDED for outcome in outcomes):
        hosts = {ip_address(address): name for name, address in (POD[family] | NODE_ADDRESS[family]).items()}
        backends = {
            hosts[backend.address] + (f":{backend.port}" if backend.port != TARGET else "")
            for outcome in outcomes
            if (backend := outcome.backend) is not None
        }
        # Whether the node's own traffic is masqueraded makes no difference unless it leaves the node.
        [kept] = {not outcome.masqueraded for outcome in outcomes}
        return To(frozenset(backends), kept)
    [outcome] = outcomes
    return FATES[outcome.fate]
