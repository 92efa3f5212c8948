"""Which Services are ours: by `spec.loadBalancerClass`."""

from __future__ import annotations

from tests.cluster.controller.api import version_of
from tests.cluster.controller.replicas import Replica, Replicas
from tests.cluster.controller.tenant import Settle, Tenant

OURS = "heraldlb.io/herald"
ANOTHER = "example.com/another"


def test_a_service_of_another_class_is_never_touched(
    tenant: Tenant, controller: Replica, replicas: Replicas, settle: Settle
) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("untouched", loadBalancerClass=ANOTHER)
    tenant.service("served-by-another", loadBalancerClass=ANOTHER)
    tenant.set_status("served-by-another", tenant.ipv4(10))
    before = tenant.versions()
    settle()
    tenant.edit_pool("a", priority=1)
    replicas.end(controller)
    replicas.only()
    settle()
    for name in ("untouched", "served-by-another"):
        service = tenant.get(name)
        assert version_of(service) == before[service["metadata"]["uid"]]
        assert tenant.events(name) == []
    assert tenant.recorded() == []


def test_a_service_of_our_class_is_served(tenant: Tenant, controller: Replica) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web", loadBalancerClass=OURS)
    tenant.await_shown("web", tenant.ipv4(10))


def test_without_the_default_class_only_services_of_our_class_are_served(
    tenant: Tenant, replicas: Replicas
) -> None:
    replicas.only("--no-default-class")
    tenant.pool("a", tenant.range4(10, 19))
    unclassed = tenant.service("a-unclassed")
    tenant.service("web", loadBalancerClass=OURS)
    tenant.await_shown("web", tenant.ipv4(10))
    tenant.service("last", loadBalancerClass=OURS)
    tenant.await_shown("last", tenant.ipv4(11))
    assert version_of(tenant.get("a-unclassed")) == version_of(unclassed)
    assert tenant.events("a-unclassed") == []


def test_another_class_can_be_made_ours(tenant: Tenant, replicas: Replicas) -> None:
    replicas.only(f"--load-balancer-class={ANOTHER}")
    tenant.pool("a", tenant.range4(10, 19))
    former = tenant.service("a-former", loadBalancerClass=OURS)
    tenant.service("web", loadBalancerClass=ANOTHER)
    tenant.await_shown("web", tenant.ipv4(10))
    assert version_of(tenant.get("a-former")) == version_of(former)
