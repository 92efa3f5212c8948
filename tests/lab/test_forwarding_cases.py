"""The table of cases, with real packets: what the tracer says of the rules is what the kernel does with them."""

from __future__ import annotations

import asyncio

import pytest

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import Protocol
from tests.lab.forwarding_net import GATEWAY as GATEWAY_HOST
from tests.lab.forwarding_net import Answer, Net
from tests.lab.surviving_net import Site
from tests.unit.forwarding.cases import (
    BRIDGE,
    CASES,
    DROPPED,
    GATEWAY,
    NODE_ADDRESS,
    NODE_PORT,
    NODES,
    OTHER_TARGET,
    REJECTED,
    TARGET,
    Case,
    Dial,
    End,
    To,
    address_of,
    surviving,
)


@pytest.mark.parametrize("family", FAMILIES)
async def test_the_kernel_does_as_kubernetes_promises(net: Net, family: Family) -> None:
    await serve(net, family)
    forwarders = {node: net.forwarder(node) for node in NODES}
    wrong = {}
    for subject in CASES:
        for node, forwarder in forwarders.items():
            applied = await forwarder.apply(subject.plan(node))
            assert applied.quarantined == ()
        wrong.update(await differences(net, subject, family))
    assert not wrong


@pytest.mark.parametrize("family", FAMILIES)
async def test_it_does_so_where_connections_survive(net: Net, family: Family) -> None:
    await serve(net, family)
    site = Site(net, slots=31)
    wrong = {}
    for subject in map(surviving, CASES):
        for node in NODES:
            await site.apply(node, subject.plan(node))
        wrong.update(await differences(net, subject, family))
    assert not wrong


async def serve(net: Net, family: Family) -> None:
    protocols: tuple[Protocol, ...] = ("TCP", "UDP", "SCTP")
    for pod in ("pod-1", "pod-2"):
        for protocol in protocols:
            await net.serve(pod, family, protocol, TARGET)
        await net.serve(pod, family, "TCP", OTHER_TARGET, name=f"{pod}:{OTHER_TARGET}")
    for node in NODES:
        await net.serve(node, family, "TCP", TARGET)
        await net.serve(node, family, "TCP", NODE_PORT, name="gateway")
    net.open_gateway()
    for port in (80, 81):
        await net.serve(GATEWAY_HOST, family, "TCP", port, name="gateway")


async def differences(net: Net, subject: Case, family: Family) -> dict[str, To | End]:
    dials = [dial for dial in subject.dials if family in dial.families]
    ends = await asyncio.gather(*(end_of(net, dial, family) for dial in dials))
    return {f"{subject.name}: {dial}": end for dial, end in zip(dials, ends, strict=True) if end != dial.end}


async def end_of(net: Net, dial: Dial, family: Family) -> To | End:
    address = address_of(dial.target, family)
    if dial.end is DROPPED and await net.is_silent(dial.source, address, dial.port):
        return DROPPED
    # Of two equal backends both are seen, but for one case in 5 * 10^11.
    times = 40 if isinstance(dial.end, To) and len(dial.end.backends) > 1 else 2
    answers: set[Answer] = set()
    try:
        for _ in range(times):
            answers.add(await net.ask(dial.source, address, dial.port, dial.protocol))
    except (ConnectionRefusedError, PermissionError):
        # A datagram that the node itself sends is refused by sendto() already, before the ICMP message arrives.
        return REJECTED
    except TimeoutError:
        return DROPPED
    names = frozenset(answer.backend for answer in answers)
    if names == {"gateway"}:
        return GATEWAY
    return To(names, is_kept(dial, family, {answer.seen for answer in answers}))


def is_kept(dial: Dial, family: Family, seen: set[str]) -> bool:
    """Whether backends saw the client's own address; else it must have been the node's that it came through."""
    if dial.source in NODES:
        assert seen <= {NODE_ADDRESS[family][dial.source], BRIDGE[family][dial.source]}
        return isinstance(dial.end, To) and dial.end.kept
    if seen == {address_of(dial.source, family)}:
        return True
    node = dial.target if dial.target in NODES else dial.source.replace("pod", "node").replace("client", "node-1")
    assert seen <= {NODE_ADDRESS[family][node], BRIDGE[family][node]}
    return False
