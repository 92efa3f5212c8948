"""The tracer where the table of cases does not reach: what packets write, and rules that it does not know."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import Protocol
from heraldlb.forwarding import ruleset, tables, tracer
from heraldlb.forwarding.model import Backend
from heraldlb.forwarding.tracer import Packet
from tests.unit.forwarding.cases import LOCAL, NODE_ADDRESS, NODE_PORT, TARGET, address_of, case, pods, web

PROTOCOLS: tuple[Protocol, ...] = ("TCP", "UDP", "SCTP")
ADDRESSES = (("vip", 80), ("cluster-ip", 80), ("external-ip", 80), ("node-1", NODE_PORT))


def rules_of(protocol: Protocol = "TCP", **fields: Any) -> dict[str, tables.Table]:
    subject = web(protocol, session_affinity_seconds=60, **fields)
    plan = case("affinity", subject, pods("pod-1", "pod-2")).plan("node-1")
    return tables.read(ruleset.full(plan).text)


def packet(family: Family, target: str, port: int, protocol: Protocol = "TCP", source: str = "client") -> Packet:
    return Packet(ip_address(address_of(source, family)), ip_address(address_of(target, family)), protocol, port)


def reached(loaded: dict[str, tables.Table], sent: Packet) -> set[Backend | None]:
    node = {ip_address(addresses["node-1"]) for addresses in NODE_ADDRESS.values()}
    return {outcome.backend for outcome in tracer.trace(loaded, sent, node)}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("first", ADDRESSES)
def test_whichever_address_was_dialled_first_the_others_lead_to_the_same_backend(
    first: tuple[str, int], family: Family, protocol: Protocol
) -> None:
    loaded = rules_of(protocol)
    outcomes = tracer.trace(loaded, packet(family, *first, protocol), ())
    assert len(outcomes) == 2
    for outcome in outcomes:
        loaded = rules_of(protocol)
        tracer.remember(loaded, outcome)
        assert {each for target in ADDRESSES for each in reached(loaded, packet(family, *target, protocol))} == {
            outcome.backend
        }
        assert len(reached(loaded, packet(family, *first, protocol, source="pod-2"))) == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_an_outside_client_that_a_cluster_ip_led_elsewhere_is_kept_local_at_the_other_addresses(
    family: Family,
) -> None:
    loaded = rules_of(**LOCAL)
    remote = Backend(ip_address(address_of("pod-2", family)), TARGET)
    [outcome] = (
        outcome
        for outcome in tracer.trace(loaded, packet(family, "cluster-ip", 80), ())
        if outcome.backend == remote
    )
    tracer.remember(loaded, outcome)
    assert reached(loaded, packet(family, "cluster-ip", 80)) == {remote}
    assert reached(loaded, packet(family, "vip", 80)) == {Backend(ip_address(address_of("pod-1", family)), TARGET)}


def test_a_rule_that_is_not_understood_is_an_error_and_no_guess() -> None:
    loaded = rules_of()
    loaded["ip"].chains["dispatch"].rules.insert(0, "ip dscp cs1 drop")
    with pytest.raises(ValueError, match="not understood"):
        tracer.trace(loaded, packet("IPv4", "vip", 80), ())
