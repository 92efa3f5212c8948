"""The table of cases, answered by the tracer from the rules as they are rendered."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.forwarding import ruleset, tables, tracer
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
)

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
