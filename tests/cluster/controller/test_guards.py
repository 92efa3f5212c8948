"""What keeps two replicas apart where their work meets: a write against a state that another has changed."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from heraldlb.allocation.allocator import holding_of
from heraldlb.allocation.requests import request_of
from heraldlb.api.objects import NamespacedName
from heraldlb.api.serviceaddress import ServiceAddress
from heraldlb.controller.assignments import Assignments
from heraldlb.controller.cluster import Cluster
from heraldlb.controller.reconciler import Reconciler
from heraldlb.controller.records import AddressTakenError, Records
from heraldlb.controller.settings import ControllerSettings
from heraldlb.controller.statuses import Statuses
from heraldlb.kube import client, credentials
from heraldlb.kube.mirror import Change
from heraldlb.kube.recorder import Recorder
from tests.cluster.controller.api import POOLS, RECORDS
from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Tenant


class Desk:
    """The writing half of a replica, in this process, with mirrors that see only what they are shown."""

    def __init__(self, api: client.Api, tenant: Tenant) -> None:
        self.api = api
        self.tenant = tenant
        self.cluster = Cluster()
        self.assignments = Assignments()
        self.found: list[Change[ServiceAddress]] = []
        self.records = Records(api, self.cluster, self.assignments, self.found.append)
        self.statuses = Statuses(api, self.cluster, self.assignments, busy=lambda: False)
        self.revisited: list[NamespacedName] = []
        self.reconciler = Reconciler(
            api,
            self.cluster,
            self.assignments,
            Recorder(api, "heraldlb.io/controller", "desk"),
            ControllerSettings(),
            revisit=self.revisited.extend,
            record_changed=self.found.append,
        )

    async def see_service(self, name: str) -> str:
        """Show the mirror the Service as it is now. Returns its uid."""
        raw = await self.api.get(client.SERVICES, name, self.tenant.namespace)
        self.cluster.services.observe("MODIFIED", raw)
        return str(raw["metadata"]["uid"])

    def see_pool(self, name: str, *entries: str) -> None:
        """Have a pool."""
        spec = {"addresses": list(entries)}
        raw = {"metadata": {"name": name, "resourceVersion": "1"}, "spec": spec}
        self.cluster.pools.observe("ADDED", raw)
        self.assignments.replace_pools(self.cluster.address_pools())

    def hold(self, name: str, address: str) -> None:
        """Enter that the Service holds the address."""
        service = self.cluster.services.get(NamespacedName(self.tenant.namespace, name))
        assert service is not None
        self.assignments.ledger.put(ipaddress.ip_address(address), "a", holding_of(request_of(service, {})))

    def record(self, address: str) -> dict[str, Any]:
        """The record as it is on the server."""
        return self.tenant.api.get(RECORDS, address)


@pytest.fixture
async def desk(replicas: Replicas, tenant: Tenant, controller_kubeconfig: Path) -> AsyncIterator[Desk]:
    replicas.kill_all()
    configuration = await credentials.load(str(controller_kubeconfig))
    async with client.Api(configuration) as api:
        yield Desk(api, tenant)


async def test_a_record_that_another_made_first_is_left_alone(desk: Desk, tenant: Tenant) -> None:
    address = tenant.ipv4(10)
    tenant.service("mine")
    tenant.service("theirs")
    tenant.write_record(address, "a", "theirs")
    await desk.see_service("mine")
    desk.hold("mine", address)
    with pytest.raises(AddressTakenError):
        await desk.records.write(ipaddress.ip_address(address))
    assert tenant.holders(address) == ["theirs"]


async def test_a_record_seen_only_after_the_decision_is_left_alone(desk: Desk, tenant: Tenant) -> None:
    address = tenant.ipv4(10)
    tenant.service("mine")
    tenant.service("theirs")
    await desk.see_service("mine")
    desk.hold("mine", address)
    tenant.write_record(address, "a", "theirs")
    desk.cluster.records.observe("ADDED", desk.record(address))
    with pytest.raises(AddressTakenError):
        await desk.records.write(ipaddress.ip_address(address))
    assert tenant.holders(address) == ["theirs"]


async def test_a_record_that_another_has_taken_over_meanwhile_is_not_deleted(desk: Desk, tenant: Tenant) -> None:
    address = tenant.ipv4(10)
    tenant.service("mine")
    tenant.service("theirs")
    uid = await desk.see_service("mine")
    desk.hold("mine", address)
    await desk.records.write(ipaddress.ip_address(address))
    tenant.api.delete(RECORDS, address)
    tenant.write_record(address, "a", "theirs")
    desk.records.let_go(ipaddress.ip_address(address), uid)
    desk.assignments.leave(uid, [ipaddress.ip_address(address)], time.time())
    with pytest.raises(AddressTakenError):
        await desk.records.write(ipaddress.ip_address(address))
    assert tenant.holders(address) == ["theirs"]


async def test_a_record_whose_status_an_agent_has_written_meanwhile_is_deleted(desk: Desk, tenant: Tenant) -> None:
    address = tenant.ipv4(10)
    tenant.service("mine")
    uid = await desk.see_service("mine")
    desk.hold("mine", address)
    await desk.records.write(ipaddress.ip_address(address))
    tenant.api.patch(RECORDS, address, {"status": {"node": "node-1"}}, "status")
    desk.records.let_go(ipaddress.ip_address(address), uid)
    desk.assignments.leave(uid, [ipaddress.ip_address(address)], time.time())
    await desk.records.write(ipaddress.ip_address(address))
    assert address not in tenant.recorded()


async def test_what_an_agent_has_told_meanwhile_is_news_when_a_write_meets_it(desk: Desk, tenant: Tenant) -> None:
    address = tenant.ipv4(10)
    tenant.service("mine")
    uid = await desk.see_service("mine")
    desk.hold("mine", address)
    await desk.records.write(ipaddress.ip_address(address))
    tenant.api.patch(RECORDS, address, {"status": {"node": "node-1"}}, "status")
    desk.assignments.ledger.drop(ipaddress.ip_address(address), uid)
    tenant.service("next")
    await desk.see_service("next")
    desk.hold("next", address)
    await desk.records.write(ipaddress.ip_address(address))
    assert [change.after.node for change in desk.found if change.after is not None] == ["node-1"]


async def test_an_edit_of_a_pool_while_its_status_is_written_is_still_news(desk: Desk, tenant: Tenant) -> None:
    name = tenant.pool("a", tenant.range4(10, 19), assignment="OnRequest")
    desk.cluster.pools.observe("ADDED", tenant.api.get(POOLS, name))
    desk.assignments.replace_pools(desk.cluster.address_pools())
    edited = tenant.edit_pool("a", assignment="Automatic")
    await desk.statuses.write()
    assert desk.cluster.pools.observe("MODIFIED", edited) is not None
    desk.assignments.replace_pools(desk.cluster.address_pools())
    await desk.statuses.write()
    assert tenant.pool_status("a")["observedGeneration"] == edited["metadata"]["generation"]


async def test_a_service_that_changed_since_it_was_read_is_decided_again(desk: Desk, tenant: Tenant) -> None:
    tenant.service("web")
    await desk.see_service("web")
    desk.see_pool("a", tenant.ipv4(10))
    tenant.annotate("web", changed="meanwhile")
    key = NamespacedName(tenant.namespace, "web")
    await desk.reconciler.visit(key)
    assert tenant.shown("web") == []
    assert key in desk.revisited
    await desk.reconciler.visit(key)
    assert tenant.shown("web") == [tenant.ipv4(10)]


async def test_two_that_decide_alike_do_not_give_one_address_twice(desk: Desk, tenant: Tenant) -> None:
    tenant.service("mine")
    tenant.service("theirs")
    await desk.see_service("mine")
    desk.see_pool("a", tenant.range4(10, 11))
    tenant.write_record(tenant.ipv4(10), "a", "theirs")
    key = NamespacedName(tenant.namespace, "mine")
    await desk.reconciler.visit(key)
    assert tenant.shown("mine") == []
    assert desk.revisited == [key]
    await desk.reconciler.visit(key)
    assert tenant.shown("mine") == [tenant.ipv4(11)]
    assert tenant.holders(tenant.ipv4(10)) == ["theirs"]
