"""How an address comes back: when its Service is deleted or stops asking for one, watched or not."""

from __future__ import annotations

import pytest

from lab.waiting import wait_for
from tests.cluster.controller.api import NAMESPACES, services_of
from tests.cluster.controller.replicas import Replica, Replicas
from tests.cluster.controller.tenant import Tenant


def test_the_address_of_a_deleted_service_goes_to_one_that_waits(tenant: Tenant, controller: Replica) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.service("first")
    tenant.await_shown("first", tenant.ipv4(10))
    tenant.service("second")
    tenant.await_condition("second", "False", "PoolExhausted")
    tenant.delete("first")
    tenant.await_shown("second", tenant.ipv4(10))
    assert tenant.holders(tenant.ipv4(10)) == ["second"]


def test_a_service_that_becomes_a_cluster_ip_keeps_no_trace_of_us(tenant: Tenant, controller: Replica) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.edit("web", type="ClusterIP")
    tenant.await_no_record(tenant.ipv4(10))
    wait_for("the condition to go", lambda: not tenant.condition("web"))
    assert tenant.shown("web") == []
    event = tenant.await_event("web", "AddressReleased")
    assert tenant.ipv4(10) in event["note"]


def test_a_service_that_becomes_a_load_balancer_again_is_served_again(tenant: Tenant, controller: Replica) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.edit("web", type="ClusterIP")
    tenant.edit("web", type="LoadBalancer")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.await_condition("web", "True", "AddressAssigned")


def test_what_ended_while_no_controller_ran_gives_its_address_back(tenant: Tenant, replicas: Replicas) -> None:
    tenant.pool("a", tenant.range4(10, 12))
    replicas.only()
    for name in ("a-deleted", "b-cluster-ip", "c-made-anew"):
        tenant.service(name)
        tenant.await_assigned(name)
    replicas.end_all()
    tenant.delete("a-deleted")
    tenant.edit("b-cluster-ip", type="ClusterIP")
    tenant.delete("c-made-anew")
    tenant.service("c-made-anew", families=["IPv6"])
    tenant.service("d-waiting")

    replicas.only()
    [taken] = tenant.await_assigned("d-waiting")["d-waiting"]
    wait_for("the others' records to go", lambda: tenant.recorded() == [taken])
    wait_for("the condition to go", lambda: not tenant.condition("b-cluster-ip"))
    assert tenant.shown("b-cluster-ip") == []
    assert tenant.shown("c-made-anew") == []


def test_a_service_made_anew_under_its_name_is_another_one(tenant: Tenant, controller: Replica) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.delete("web")
    anew = tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    record = tenant.record(tenant.ipv4(10))
    assert record is not None
    assert [holder["uid"] for holder in record["spec"]["services"]] == [anew["metadata"]["uid"]]


@pytest.mark.parametrize("running", [True, False], ids=["controller running", "no controller"])
def test_a_namespace_with_served_services_can_be_deleted(tenant: Tenant, replicas: Replicas, running: bool) -> None:
    tenant.pool("a", tenant.range4(10, 12))
    replicas.only()
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    if not running:
        replicas.end_all()
    tenant.api.delete(NAMESPACES, tenant.namespace)
    wait_for("the namespace to go", lambda: tenant.api.find(NAMESPACES, tenant.namespace) is None, timeout=60)
    assert tenant.api.every(services_of(tenant.namespace)) == []
    replicas.only()
    tenant.await_no_record(tenant.ipv4(10))
