"""The forwarding role over mirrors and a model of the kernel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from prometheus_client import CollectorRegistry

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.forwarding import ForwardingRole
from heraldlb.agent.settings import AgentSettings
from heraldlb.api.objects import NamespacedName
from heraldlb.api.reasons import Reason
from heraldlb.api.services import Service, parse_service
from heraldlb.api.times import written_finely
from heraldlb.forwarding.forwarder import Forwarder
from heraldlb.forwarding.localaddresses import read
from heraldlb.forwarding.node import ForwardingSettings
from heraldlb.forwarding.watch import TableWatch
from heraldlb.kube.mirror import Mirror
from tests.unit.agent.clusters import Listening, cluster_of, endpoint_slice, node, service
from tests.unit.forwarding.kernel import Kernel


class Noticing(Kernel):
    """Says when a transaction was applied. As it never suspends, the role goes on to where it waits for a change
    before whoever waits for this does."""

    def __init__(self) -> None:
        super().__init__()
        self.noticed = asyncio.Event()

    def load(self, text: str) -> None:
        super().load(text)
        self.noticed.set()


@dataclass
class Running:
    """A role at work."""

    role: ForwardingRole
    kernel: Noticing
    cluster: Cluster
    recorder: Listening

    def services(self) -> dict[str, str]:
        return self.kernel.elements().get(("ip", "services"), {})

    async def change(self, mirror: Mirror[Any], raw: dict[str, Any], service_name: str) -> None:
        """The object changes, and the kernel is told."""
        change = mirror.observe("MODIFIED", raw)
        assert change is not None
        if mirror is self.cluster.slices:
            self.cluster.slice_changed(change)
            self.role.slice_changed(change)
        self.kernel.noticed.clear()
        self.role.touch([NamespacedName("default", service_name)])
        await self.kernel.noticed.wait()

    def sample(self, name: str, **labels: str) -> float:
        registry = CollectorRegistry()
        registry.register(self.role.metrics)
        value = registry.get_sample_value(f"heraldlb_forwarder_{name}", labels)
        assert value is not None, name
        return value


@asynccontextmanager
async def running(cluster: Cluster, settings: ForwardingSettings | None = None) -> AsyncIterator[Running]:
    kernel, recorder = Noticing(), Listening()
    watch = TableWatch(lambda _: True)
    chosen = AgentSettings("node-1", forwarding=settings or ForwardingSettings())
    role = ForwardingRole(cluster, chosen, recorder, Forwarder(kernel, kernel), watch)
    task = asyncio.create_task(role.run())
    await role.applied.wait()
    yield Running(role, kernel, cluster, recorder)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def two_services() -> Cluster:
    return cluster_of(
        [node("node-1")],
        [service("good", "10.96.0.1"), service("odd", "10.96.0.2")],
        [endpoint_slice("good", "10.244.1.5"), endpoint_slice("odd", "10.244.1.6")],
    )


def failing(cluster: Cluster, *, at_port: int) -> None:
    """Has the planner fail at Services with that port, as an error in it would."""

    def parse(raw: Any) -> Service:
        parsed = parse_service(raw)
        return replace(parsed, ports=(None,)) if parsed.ports[0].port == at_port else parsed  # type: ignore[arg-type]

    objects = [service("good", "10.96.0.1"), service("odd", "10.96.0.2", port=at_port)]
    cluster.services = Mirror(parse)
    cluster.services.replace(objects, 0)


async def test_a_service_that_cannot_be_planned_goes_without_and_alone_and_is_named_in_an_event() -> None:
    cluster = two_services()
    failing(cluster, at_port=666)
    async with running(cluster) as agent:
        assert set(agent.services()) == {"10.96.0.1 . tcp . 80"}
        [event] = agent.recorder.heard
        assert (event.reason, event.subject.id.name) == (Reason.FORWARDING_FAILED, "odd")
        assert "Not forwarded until the Service changes" in event.note
        assert agent.sample("services_refused") == 1
        await agent.change(cluster.services, service("odd", "10.96.0.2"), "odd")
        assert set(agent.services()) == {"10.96.0.1 . tcp . 80", "10.96.0.2 . tcp . 80"}
        assert agent.sample("services_refused") == 0


async def test_a_service_that_can_no_longer_be_planned_stays_as_it_was() -> None:
    cluster = cluster_of([node("node-1")], [], [])
    failing(cluster, at_port=666)
    cluster.services.replace([service("good", "10.96.0.1"), service("odd", "10.96.0.2")], 0)
    async with running(cluster) as agent:
        before = agent.services()
        cluster.services.observe("MODIFIED", service("odd", "10.96.0.2", port=666))
        agent.role.touch([NamespacedName("default", "odd")])
        await agent.change(cluster.services, service("good", "10.96.0.1", port=81), "good")
        assert set(agent.services()) == set(before) - {"10.96.0.1 . tcp . 80"} | {"10.96.0.1 . tcp . 81"}
        assert "as before its last change" in agent.recorder.heard[0].note


async def test_what_is_measured_follows_what_is_done() -> None:
    async with running(two_services()) as agent:
        slice_ = endpoint_slice("good", "10.244.1.7", triggered=written_finely(time.time()))
        await agent.change(agent.cluster.slices, slice_, "good")
        assert agent.sample("services") == 2
        assert agent.sample("network_programming_duration_seconds_count") == 1
        assert agent.sample("sync_duration_seconds_count", kind="full") == 1
        assert agent.sample("sync_duration_seconds_count", kind="partial") >= 1
        assert agent.sample("network_programming_duration_seconds_sum") < 60
        assert agent.sample("last_sync_timestamp_seconds") >= agent.sample("last_queued_timestamp_seconds")
        assert agent.sample("changes_pending") == 0


async def test_what_changed_before_the_agent_started_is_not_measured() -> None:
    async with running(two_services()) as agent:
        slice_ = endpoint_slice("good", "10.244.1.7", triggered="2026-01-01T00:00:00Z")
        await agent.change(agent.cluster.slices, slice_, "good")
        assert agent.sample("network_programming_duration_seconds_count") == 0


async def test_node_ports_are_served_on_every_own_address_within_the_cidrs() -> None:
    exposed = service("good", "10.96.0.1")
    exposed["spec"] |= {"type": "NodePort", "ports": [{**exposed["spec"]["ports"][0], "nodePort": 30080}]}
    cluster = cluster_of([node("node-1")], [exposed], [endpoint_slice("good", "10.244.1.5")])
    own = [
        each
        for each in await asyncio.to_thread(read)
        if each.version == 4 and not (each.is_loopback or each.is_link_local)
    ]
    async with running(cluster, ForwardingSettings(node_port_addresses=("0.0.0.0/0",))) as agent:
        assert set(agent.services()) == {"10.96.0.1 . tcp . 80", *(f"{each} . tcp . 30080" for each in own)}
