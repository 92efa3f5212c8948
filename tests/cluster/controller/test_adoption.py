"""Addresses that Services show already are theirs, before anything new is given to anyone."""

from __future__ import annotations

import pytest

from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Tenant, next_second


@pytest.fixture
def replicas(replicas: Replicas) -> Replicas:
    """None is running when the test begins."""
    replicas.end_all()
    return replicas


def test_services_keep_the_addresses_they_show_and_the_older_pending_one_gets_another(
    tenant: Tenant, replicas: Replicas
) -> None:
    tenant.pool("a", tenant.range4(10, 12), tenant.range6(10, 12))
    tenant.service("a-pending")
    tenant.service("b-shows")
    tenant.set_status("b-shows", tenant.ipv4(10))
    tenant.service("c-shows", families=["IPv6", "IPv4"])
    tenant.set_status("c-shows", tenant.ipv6(11), tenant.ipv4(12))
    since = tenant.api.now()
    replicas.only()
    tenant.await_shown("a-pending", tenant.ipv4(11))
    tenant.await_condition("b-shows", "True", "AddressAssigned")
    tenant.await_condition("c-shows", "True", "AddressAssigned")
    assert tenant.shown("b-shows") == [tenant.ipv4(10)]
    assert tenant.shown("c-shows") == [tenant.ipv6(11), tenant.ipv4(12)]
    kept = [change.object["status"]["loadBalancer"] for change in tenant.service_history(since)]
    assert all(each.get("ingress") for each in kept), "it was taken away in between"
    assert tenant.holders(tenant.ipv4(10)) == ["b-shows"]
    assert tenant.holders(tenant.ipv4(12)) == tenant.holders(tenant.ipv6(11)) == ["c-shows"]


def test_an_address_shown_by_two_stays_with_the_older(tenant: Tenant, replicas: Replicas) -> None:
    tenant.pool("a", tenant.range4(10, 12))
    older = tenant.service("z-older")
    next_second(older)
    tenant.service("a-newer")
    tenant.set_status("z-older", tenant.ipv4(12))
    tenant.set_status("a-newer", tenant.ipv4(12))
    replicas.only()
    tenant.await_shown("a-newer", tenant.ipv4(10))
    assert tenant.shown("z-older") == [tenant.ipv4(12)]
    assert tenant.holders(tenant.ipv4(12)) == ["z-older"]


def test_a_record_counts_for_more_than_what_a_service_shows(tenant: Tenant, replicas: Replicas) -> None:
    tenant.pool("a", tenant.range4(10, 12))
    tenant.service("a-shows")
    tenant.service("z-recorded")
    tenant.set_status("a-shows", tenant.ipv4(12))
    tenant.write_record(tenant.ipv4(12), "a", "z-recorded")
    replicas.only()
    tenant.await_shown("z-recorded", tenant.ipv4(12))
    tenant.await_shown("a-shows", tenant.ipv4(10))
    assert tenant.holders(tenant.ipv4(12)) == ["z-recorded"]


def test_an_address_of_no_pool_is_not_adopted(tenant: Tenant, replicas: Replicas) -> None:
    tenant.pool("a", tenant.range4(10, 12))
    tenant.service("web")
    tenant.set_status("web", tenant.ipv4(99))
    replicas.only()
    tenant.await_shown("web", tenant.ipv4(10))
    assert tenant.recorded() == [tenant.ipv4(10)]
