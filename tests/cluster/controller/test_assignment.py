"""What a Service that is served looks like, and what is recorded about it."""

from __future__ import annotations

import pytest

from lab.api_server import ApiServer
from lab.waiting import wait_for
from tests.cluster.controller.api import RECORDS, Body
from tests.cluster.controller.replicas import Replica
from tests.cluster.controller.tenant import Settle, Tenant
from tests.cluster.kubectl import Kubectl

pytestmark = pytest.mark.usefixtures("controller")


@pytest.mark.parametrize("families", [["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]], ids="-".join)
def test_a_service_shows_an_address_of_each_family_it_asks_for_in_its_order(
    tenant: Tenant, families: list[str]
) -> None:
    tenant.pool("a", tenant.range4(10, 19), tenant.range6(10, 19))
    tenant.service("web", families=families)
    tenant.await_assigned("web", count=len(families))
    expected = {"IPv4": tenant.ipv4(10), "IPv6": tenant.ipv6(10)}
    ingress = tenant.get("web")["status"]["loadBalancer"]["ingress"]
    assert ingress == [{"ip": expected[family], "ipMode": "VIP"} for family in families]


def test_an_address_is_recorded_under_its_own_name_with_who_holds_it_and_on_which_ports(tenant: Tenant) -> None:
    pool = tenant.pool("a", tenant.ipv6(10))
    web = tenant.service("web", families=["IPv6"], ports=[80, 443])
    tenant.await_shown("web", tenant.ipv6(10))
    record = tenant.api.get(RECORDS, f"fd77-{tenant.number:x}-0-0-0-0-0-a")
    holder = {
        "namespace": tenant.namespace,
        "name": "web",
        "uid": web["metadata"]["uid"],
        "ports": [{"port": 80, "protocol": "TCP"}, {"port": 443, "protocol": "TCP"}],
    }
    assert record["spec"] == {"address": tenant.ipv6(10), "addressPool": pool, "services": [holder]}


def test_the_record_follows_an_edit_of_the_ports(tenant: Tenant) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.service("web", ports=[80])
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.edit("web", ports=[{"name": "port-8443", "port": 8443}])

    def recorded() -> list[int]:
        record = tenant.record(tenant.ipv4(10))
        return [port["port"] for port in record["spec"]["services"][0]["ports"]] if record else []

    wait_for("the new port", lambda: recorded() == [8443])
    assert tenant.shown("web") == [tenant.ipv4(10)]


def test_condition_and_event_say_the_address_and_its_pool_in_the_same_words(tenant: Tenant) -> None:
    pool = tenant.pool("a", tenant.ipv4(10))
    tenant.service("web")
    condition = tenant.await_condition("web", "True", "AddressAssigned")
    assert condition["message"] == f'{tenant.ipv4(10)} from pool "{pool}"'
    event = tenant.await_event("web", "AddressAssigned")
    assert event["note"] == condition["message"]
    assert (event["type"], event["reportingController"]) == ("Normal", "heraldlb.io/controller")


def test_an_assignment_is_one_event(tenant: Tenant, settle: Settle) -> None:
    tenant.pool("a", tenant.ipv4(10))
    tenant.await_pool_seen("a")
    tenant.service("web")
    tenant.await_event("web", "AddressAssigned")
    settle()
    assert [(event["reason"], "series" in event) for event in tenant.events("web")] == [("AddressAssigned", False)]


def test_a_service_carries_nothing_of_ours_but_its_status(tenant: Tenant, settle: Settle) -> None:
    def written_by_the_user(service: Body) -> Body:
        fields = ("annotations", "labels", "finalizers", "ownerReferences")
        return {field: service["metadata"].get(field) for field in fields} | {"spec": service["spec"]}

    tenant.pool("a", tenant.ipv4(10))
    created = tenant.service("web", annotations={"example.com/own": "kept"})
    tenant.await_shown("web", tenant.ipv4(10))
    settle()
    served = tenant.get("web")
    assert written_by_the_user(served) == written_by_the_user(created)
    written = [entry for entry in served["metadata"]["managedFields"] if "heraldlb.io" in str(entry)]
    assert [entry["subresource"] for entry in written] == ["status"]


def test_a_pool_counts_what_it_has_given(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 13), tenant.range6(1, 3))
    tenant.service("dual", families=["IPv4", "IPv6"])
    tenant.service("single")
    wait_for("both to be counted", lambda: tenant.pool_status("a").get("assigned") == 3)
    status = tenant.pool_status("a")
    assert status["ipv4"] == {"capacity": 4, "assigned": 2, "available": 2}
    assert status["ipv6"] == {"capacity": 3, "assigned": 1, "available": 2}
    assert status["observedGeneration"] == 1
    assert {entry["type"]: entry["status"] for entry in status["conditions"]} == {
        "Ready": "True",
        "Overlapping": "False",
        "Exhausted": "False",
    }


def test_kubectl_get_tells_the_whole_story(tenant: Tenant, api_server: ApiServer) -> None:
    kubectl = Kubectl(api_server)
    pool = tenant.pool("a", tenant.range4(10, 13))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    wait_for("the pool to count it", lambda: tenant.pool_status("a").get("assigned") == 1)

    [service] = kubectl.columns("service", f"--namespace={tenant.namespace}")
    assert service["EXTERNAL-IP"] == tenant.ipv4(10)
    [row] = kubectl.columns("addresspool", pool)
    assert (row["READY"], row["ASSIGNMENT"], row["ASSIGNED"]) == ("True", "Automatic", "1")
    assert (row["FREE-IPV4"], row["FREE-IPV6"]) == ("3", "0")
    [record] = kubectl.columns("serviceaddress", tenant.ipv4(10))
    assert (record["NAME"], record["POOL"], record["SERVICE"]) == (tenant.ipv4(10), pool, "web")


def test_a_deleted_record_is_made_again_and_the_service_keeps_its_address(
    tenant: Tenant, controller: Replica
) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    before = tenant.api.get(RECORDS, tenant.ipv4(10))
    tenant.api.delete(RECORDS, tenant.ipv4(10))
    after = wait_for("the record", lambda: tenant.record(tenant.ipv4(10)))
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["spec"] == before["spec"]
    assert tenant.shown("web") == [tenant.ipv4(10)]
