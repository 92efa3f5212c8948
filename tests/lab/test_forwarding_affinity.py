"""Session affinity under real packets. What a client is remembered by survives everything but its backend's end.

Who is not remembered is hashed, which gives the same backend every time. So each test lets the same client get both
of two backends, which no hash can do.
"""

from __future__ import annotations

from typing import Any

import pytest

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.api.services import Protocol, Service
from heraldlb.forwarding.actual import Learned
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.readback import KernelReader
from tests.lab.forwarding_net import Net
from tests.unit.forwarding.cases import LOCAL, NODE_PORT, TARGET, address_of, case, pods, web

HOURS = 10_800


def affine(protocol: Protocol = "TCP", **fields: Any) -> Service:
    return web(protocol, session_affinity_seconds=HOURS, **fields)


async def forward(forwarder: Forwarder, subject: Service, *backends: str) -> None:
    applied = await forwarder.apply(case("affinity", subject, pods(*backends)).plan("node-1"))
    assert applied.quarantined == ()


async def reached(net: Net, source: str, family: Family, protocol: Protocol, *targets: tuple[str, int]) -> set[str]:
    return {
        (await net.ask(source, address_of(name, family), port, protocol)).backend
        for name, port in targets
        for _ in range(3)
    }


EVERYWHERE = (("vip", 80), ("cluster-ip", 80), ("external-ip", 80), ("node-1", NODE_PORT))


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_client_stays_with_its_backend_at_every_address_until_that_goes(net: Net, family: Family) -> None:
    protocols: tuple[Protocol, ...] = ("TCP", "UDP", "SCTP")
    for protocol in protocols:
        for pod in ("pod-1", "pod-2"):
            await net.serve(pod, family, protocol, TARGET)
    await net.serve("node-1", family, "TCP", TARGET)
    scenarios: list[tuple[str, str, str, Protocol]] = [("client", "pod-1", "pod-2", each) for each in protocols]
    scenarios += [("pod-1", "pod-1", "pod-2", "TCP"), ("node-1", "pod-1", "pod-2", "TCP")]
    # An endpoint in the node's own network is reached past another hook.
    scenarios.append(("client", "node-1", "pod-2", "TCP"))
    for source, one, other, protocol in scenarios:
        forwarder = net.forwarder("node-1")
        subject = affine(protocol)
        for backend, backends in ((one, [one]), (one, [one, other]), (other, [other]), (other, [one, other])):
            await forward(forwarder, subject, *backends)
            # Learned at one address, remembered at all.
            targets = EVERYWHERE[:1] if len(backends) == 1 else EVERYWHERE
            assert await reached(net, source, family, protocol, *targets) == {backend}, (source, one, protocol)
        await forwarder.remove()


@pytest.mark.parametrize("family", FAMILIES)
async def test_what_is_learned_at_a_cluster_ip_leads_nobody_past_a_local_policy(net: Net, family: Family) -> None:
    for pod in ("pod-1", "pod-2"):
        await net.serve(pod, family, "TCP", TARGET)
    forwarder, subject = net.forwarder("node-1"), affine(**LOCAL)
    await forward(forwarder, subject, "pod-2")
    assert await reached(net, "client", family, "TCP", ("cluster-ip", 80)) == {"pod-2"}
    await forward(forwarder, subject, "pod-1", "pod-2")
    assert await reached(net, "client", family, "TCP", ("vip", 80)) == {"pod-1"}
    assert await reached(net, "client", family, "TCP", ("cluster-ip", 80)) == {"pod-2"}


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_client_is_remembered_for_the_services_own_time_from_its_last_connection(
    net: Net, family: Family
) -> None:
    await net.serve("pod-1", family, "TCP", TARGET)
    forwarder, subject = net.forwarder("node-1"), affine()
    await forward(forwarder, subject, "pod-1")
    await reached(net, "client", family, "TCP", ("vip", 80))
    before = await learned(net, family)
    assert {element.timeout for element in before} == {HOURS * 1000}
    ip = "ip" if family == "IPv4" else "ip6"
    for element in before:
        name, key = element.key
        await net.nft("node-1").apply(
            f"delete element {ip} heraldlb {name} {{ {key} }}\n"
            f"add element {ip} heraldlb {name} {{ {key} timeout {HOURS}s expires 60s : {element.value} }}\n"
        )
    assert all(element.expires <= 60_000 for element in await learned(net, family))
    await reached(net, "client", family, "TCP", ("external-ip", 80))
    assert all(element.expires > 60_000 for element in await learned(net, family))
    assert len(await learned(net, family)) == len(before)


async def learned(net: Net, family: Family) -> tuple[Learned, ...]:
    return (await KernelReader(lambda: net.netlink("node-1")).learned())[family]
