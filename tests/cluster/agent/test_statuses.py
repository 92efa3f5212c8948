"""What agents tell of announcing, in objects of a real API server: on change only, and late rather than never."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from heraldlb.agent.cluster import Cluster
from heraldlb.agent.rulebook import Rulebook
from heraldlb.agent.settings import AgentSettings
from heraldlb.agent.statuses import AnnouncementStatuses
from heraldlb.kube import client, credentials
from heraldlb.kube.client import Api
from heraldlb.kube.recorder import Recorder
from heraldlb.speaker.changes import AddressChange, Announcing, NotEligible, Withdrawn
from heraldlb.speaker.election import Ineligible
from lab.api_server import ApiServer
from tests.cluster.kubectl import Kubectl

CRDS = Path(__file__).parents[3] / "crds"
PATIENCE = 30.0
MACS = {"n1": "02:00:00:00:00:01", "n2": "02:00:00:00:00:02"}

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def api_server() -> Iterator[ApiServer]:
    """A server apart: one of these tests stops it."""
    with ApiServer() as running:
        run = Kubectl(running)
        run("apply", "--server-side", f"--filename={CRDS}")
        run("wait", "--for=condition=Established", "--timeout=30s", f"--filename={CRDS}")
        yield running


@pytest.fixture
async def api(api_server: ApiServer) -> AsyncIterator[Api]:
    async with Api(await credentials.load(str(api_server.kubeconfig))) as opened:
        yield opened


@dataclass
class Address:
    """An address that a Service holds, with what is written about it."""

    api: Api
    name: str
    address: IPv4Address

    async def record(self) -> dict[str, Any]:
        return await self.api.get(client.SERVICE_ADDRESSES, str(self.address))

    async def status(self) -> dict[str, Any]:
        return dict((await self.record()).get("status", {}))

    async def announced(self) -> dict[str, Any]:
        conditions = (await self.status()).get("conditions", ())
        return next((each for each in conditions if each["type"] == "Announced"), {})

    async def events(self, reason: str) -> list[str]:
        listed, _ = await self.api.list(client.EVENTS, {})
        about = (self.name, reason)
        return [each["note"] for each in listed if (each["regarding"]["name"], each["reason"]) == about]

    def here(self, node: str) -> Announcing:
        """The node announces it."""
        return Announcing(self.address, "eth0", MACS[node], 1_700_000_000.0)


async def make_address(api: Api) -> Address:
    number = next(_numbers)
    made = Address(api, f"web-{number}", IPv4Address("10.0.0.0") + number)
    spec = {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80}]}
    service = await api.create(client.SERVICES, {"metadata": {"name": made.name}, "spec": spec}, "default")
    holder = {"namespace": "default", "name": made.name, "uid": service["metadata"]["uid"], "ports": []}
    record = {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "ServiceAddress",
        "metadata": {"name": str(made.address)},
        "spec": {"address": str(made.address), "addressPool": "lan", "services": [holder]},
    }
    await api.create(client.SERVICE_ADDRESSES, record)
    return made


@pytest.fixture
async def address(api: Api) -> Address:
    return await make_address(api)


@dataclass
class Teller:
    """The part of one node's agent that tells users, with mirrors that the test fills."""

    api: Api
    node: str
    cluster: Cluster = field(default_factory=Cluster)

    def __post_init__(self) -> None:
        self.rulebook = Rulebook(self.cluster, AgentSettings(self.node))
        self.recorder = Recorder(self.api, "heraldlb.io/agent", self.node)
        self.statuses = AnnouncementStatuses(self.api, self.cluster, self.recorder, self.rulebook, self.node)

    async def __aenter__(self) -> Teller:
        self._tasks = [asyncio.create_task(work()) for work in (self.statuses.run, self.recorder.run)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def see(self, *addresses: Address) -> None:
        """Mirror what there is."""
        for each in addresses:
            body = await self.api.get(client.SERVICES, each.name, "default")
            self.cluster.services.observe("MODIFIED", body)
            self.cluster.records.observe("MODIFIED", await each.record())

    def see_node(self, name: str, version: int, *, cordoned: bool = False) -> None:
        metadata = {"name": name, "namespace": "", "resourceVersion": str(version)}
        self.cluster.nodes.observe("MODIFIED", {"metadata": metadata, "spec": {"unschedulable": cordoned}})
        self.rulebook.forget()

    def take(self, *changes: AddressChange) -> None:
        for change in changes:
            self.statuses.take(change)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def until_announced_by(address: Address, node: str) -> None:
    async def so() -> bool:
        return (await address.status()).get("node") == node

    await until(so)


async def until_told(address: Address, reason: str, note: str) -> None:
    async def so() -> bool:
        return note in await address.events(reason)

    await until(so)


async def test_the_announcing_node_says_so_in_the_status_and_an_event(api: Api, address: Address) -> None:
    async with Teller(api, "n1") as teller:
        await teller.see(address)
        teller.take(address.here("n1"))
        await until_announced_by(address, "n1")
        status = await address.status()
        assert (status["interface"], status["macAddress"]) == ("eth0", MACS["n1"])
        assert (await address.announced())["status"] == "True"
        await until_told(address, "Announcing", f"{address.address} is announced by n1 on eth0")


@pytest.mark.parametrize("lost", [False, True], ids=["planned", "failover"])
async def test_who_takes_over_names_its_predecessor_and_whether_it_was_lost(
    api: Api, address: Address, lost: bool
) -> None:
    async with Teller(api, "n1") as first, Teller(api, "n2") as second:
        await first.see(address)
        first.take(address.here("n1"))
        await until_announced_by(address, "n1")
        await second.see(address)
        second.cluster.lost = frozenset({"n1"}) if lost else frozenset()
        first.take(Withdrawn(address.address, "n2"))
        second.take(address.here("n2"))
        await until_announced_by(address, "n2")
        why = ", whose agent is not heard any more" if lost else ""
        await until_told(
            address, "HandedOver", f"{address.address} is announced by n2 on eth0, taken over from n1{why}"
        )


async def test_what_is_told_already_is_not_written_again(api: Api) -> None:
    one, other = [await make_address(api) for _ in range(2)]
    async with Teller(api, "n1") as teller:
        await teller.see(one, other)
        teller.take(one.here("n1"))
        await until_announced_by(one, "n1")
        await until_told(one, "Announcing", f"{one.address} is announced by n1 on eth0")
        before = await one.record()
        # Worked on in this order.
        teller.take(one.here("n1"), other.here("n1"))
        await until_told(other, "Announcing", f"{other.address} is announced by n1 on eth0")
        assert await one.record() == before
        assert len(await one.events("Announcing")) == 1


async def test_where_nobody_is_eligible_one_agent_says_why_node_by_node_and_again_when_it_changes(
    api: Api, address: Address
) -> None:
    found = {"n1": Ineligible.NOT_CANDIDATE, "n2": Ineligible.NO_PREFIX}
    async with Teller(api, "n1") as first, Teller(api, "n2") as second:
        for teller, other in ((first, "n2"), (second, "n1")):
            await teller.see(address)
            teller.cluster.alive = frozenset({other})
            teller.see_node("n1", 1, cordoned=True)
            teller.see_node("n2", 1)
            teller.take(NotEligible(address.address, found))
        no_endpoint = "the Service has no ready endpoint"
        message = (
            f"no node can announce it (n1: cordoned, {no_endpoint};"
            f" n2: {no_endpoint}, no interface with a prefix that holds the address)"
        )
        await until_told(address, "NoEligibleNode", f"{address.address}: {message}")
        assert (await address.announced())["message"] == message
        assert (await address.announced())["reason"] == "NoEligibleNode"
        for teller in (first, second):
            teller.see_node("n1", 2)
            teller.statuses.reconsider([address.address])
        await until_told(address, "NoEligibleNode", f"{address.address}: {message.replace('cordoned, ', '')}")
        assert len(await address.events("NoEligibleNode")) == 2, "one agent tells, and each thing once"


async def test_what_happened_while_the_api_server_was_away_is_written_when_it_is_back(
    api_server: ApiServer, api: Api, address: Address
) -> None:
    async with Teller(api, "n1") as teller:
        await teller.see(address)
        await asyncio.to_thread(api_server.stop_api_server)
        try:
            teller.take(address.here("n1"))
        finally:
            await asyncio.to_thread(api_server.start_api_server)
        await until_announced_by(address, "n1")
