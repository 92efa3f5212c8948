"""Addresses that a host of the LAN answers for, as the agents report it, are given to nobody new."""

from __future__ import annotations

from typing import Any

import pytest

from lab.waiting import wait_for
from tests.cluster.controller.api import RECORDS
from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Settle, Tenant

MAC = "02:00:5e:00:53:01"
SEEN = "2026-01-02T03:04:05Z"


@pytest.fixture(autouse=True)
def _controller(replicas: Replicas) -> None:
    replicas.only()


def report(tenant: Tenant, address: str, *, contested: bool, announced: bool = True) -> None:
    """Write what the agent of the node writes that announces the address, or found it in use before."""

    def condition(kind: str, status: bool, reason: str) -> dict[str, str]:
        about = {"message": "As agents say it.", "lastTransitionTime": SEEN}
        return {"type": kind, "status": str(status), "reason": reason, **about}

    conditions = [
        condition("Announced", announced, "Announcing" if announced else "AddressConflict"),
        condition("Conflict", contested, "AddressConflict" if contested else "Announcing"),
    ]
    conflict = {"macAddress": MAC, "interface": "eth0"} if contested else None
    tenant.api.patch(RECORDS, address, {"status": {"conditions": conditions, "conflict": conflict}}, "status")


def contest(tenant: Tenant, *entries: str, **spec: Any) -> str:
    """A pool whose first address a Service `web` holds and a stranger answers for; the address."""
    tenant.pool("a", *entries, **spec)
    tenant.service("web")
    [address] = tenant.await_assigned("web")["web"]
    report(tenant, address, contested=True)
    wait_for("it to be quarantined", lambda: [each["address"] for each in quarantined(tenant)] == [address])
    return address


def quarantined(tenant: Tenant) -> list[dict[str, str]]:
    found: list[dict[str, str]] = tenant.pool_status("a").get("quarantined", [])
    return found


def named(address: str) -> dict[str, str]:
    return {"heraldlb.io/addresses": address}


def test_its_holder_keeps_it_and_nobody_may_join(tenant: Tenant, settle: Settle) -> None:
    tenant.pool("a", tenant.range4(10, 11))
    sharing = {"heraldlb.io/sharing-key": "one"}
    tenant.service("web", annotations=sharing)
    tenant.await_shown("web", tenant.ipv4(10))
    report(tenant, tenant.ipv4(10), contested=True)
    wait_for("it to be quarantined", lambda: quarantined(tenant))
    assert quarantined(tenant) == [{"address": tenant.ipv4(10), "macAddress": MAC, "since": SEEN}]
    tenant.service("joins", ports=[443], annotations=sharing)
    tenant.await_shown("joins", tenant.ipv4(11))
    settle()
    assert tenant.shown("web") == [tenant.ipv4(10)]
    assert tenant.condition("web")["status"] == "True"


def test_a_service_that_holds_an_address_which_was_never_announced_gets_another(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 11))
    tenant.service("web")
    tenant.await_shown("web", tenant.ipv4(10))
    report(tenant, tenant.ipv4(10), contested=True, announced=False)
    tenant.await_shown("web", tenant.ipv4(11))
    tenant.await_no_record(tenant.ipv4(10))
    wait_for("it to be quarantined", lambda: [each["address"] for each in quarantined(tenant)] == [tenant.ipv4(10)])
    assert quarantined(tenant)[0]["macAddress"] == MAC


def test_it_keeps_one_that_it_asks_for_by_name(tenant: Tenant, settle: Settle) -> None:
    tenant.pool("a", tenant.range4(10, 11))
    tenant.service("web", annotations=named(tenant.ipv4(10)))
    tenant.await_shown("web", tenant.ipv4(10))
    report(tenant, tenant.ipv4(10), contested=True, announced=False)
    wait_for("it to be quarantined", lambda: quarantined(tenant))
    settle()
    assert tenant.shown("web") == [tenant.ipv4(10)]


def test_it_is_refused_by_name_and_given_when_the_conflict_is_over(tenant: Tenant) -> None:
    tenant.pool("a", tenant.range4(10, 11))
    sharing = {"heraldlb.io/sharing-key": "one"}
    tenant.service("web", annotations=sharing)
    tenant.await_shown("web", tenant.ipv4(10))
    report(tenant, tenant.ipv4(10), contested=True)
    wait_for("it to be quarantined", lambda: quarantined(tenant))
    tenant.service("joins", ports=[443], annotations=sharing | named(tenant.ipv4(10)))
    condition = tenant.await_condition("joins", "False", "AddressQuarantined")
    assert f"{MAC} answers for it on the network since {SEEN}" in condition["message"]
    assert "take the address off that host" in condition["message"]
    report(tenant, tenant.ipv4(10), contested=False)
    tenant.await_shown("joins", tenant.ipv4(10))
    wait_for("the pool to list it no more", lambda: quarantined(tenant) == [])


def test_it_outlasts_its_release_and_a_restart(tenant: Tenant, replicas: Replicas, settle: Settle) -> None:
    address = contest(tenant, tenant.ipv4(10))
    tenant.delete("web")
    tenant.await_no_record(address)
    tenant.service("next")
    condition = tenant.await_condition("next", "False", "PoolExhausted")
    assert "none of 1 IPv4 addresses is free: 1 quarantined" in condition["message"]
    wait_for("the last sighting to be noted", lambda: "lastSeen" in quarantined(tenant)[0])
    settle()
    assert tenant.pool_status("a")["ipv4"] == {"capacity": 1, "assigned": 0, "available": 0}
    before = quarantined(tenant)
    replicas.end_all()
    tenant.service("later", annotations=named(address))
    replicas.only()
    tenant.await_condition("later", "False", "AddressQuarantined")
    settle()
    assert quarantined(tenant) == before
    assert tenant.shown("next") == []


def test_it_ends_some_time_after_nobody_looks_any_more(tenant: Tenant, replicas: Replicas) -> None:
    address = contest(tenant, tenant.ipv4(10))
    tenant.delete("web")
    tenant.await_no_record(address)
    wait_for("the last sighting to be noted", lambda: "lastSeen" in quarantined(tenant)[0])
    replicas.end_all()
    [entry] = quarantined(tenant)
    tenant.api.patch(
        "/apis/heraldlb.io/v1beta1/addresspools",
        tenant.pool_name("a"),
        {"status": {"quarantined": [entry | {"lastSeen": SEEN}]}},
        "status",
    )
    replicas.only()
    tenant.service("next")
    tenant.await_shown("next", address)
    wait_for("the pool to list it no more", lambda: quarantined(tenant) == [])
