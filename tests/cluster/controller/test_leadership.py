"""Of several replicas one acts; whoever comes after it goes on without giving any address twice."""

from __future__ import annotations

import datetime

from lab.waiting import wait_for
from tests.cluster.controller.api import LEASES
from tests.cluster.controller.replicas import LEASE, Replica, Replicas
from tests.cluster.controller.tenant import Tenant
from tests.cluster.controller.timeline import doubles, unrecorded

TAKEOVER = 5.0
"""Seconds from a crash until another replica acts, which we promise."""

AT_ONCE = 3.0
"""Seconds that are well below what it takes for a Lease to run out that was not given back."""


def a_pair(replicas: Replicas) -> tuple[Replica, Replica]:
    """One that acts, and one that stands by."""
    acting = replicas.only()
    standing_by = replicas.start()
    replicas.await_standing_by(standing_by)
    return acting, standing_by


def seconds_since(moment: datetime.datetime, tenant: Tenant) -> float:
    """Seconds from then until the present holder acquired the Lease, by its own word: what a test takes to notice
    does not count."""
    acquired = tenant.api.get(LEASES, LEASE)["spec"]["acquireTime"]
    return (datetime.datetime.fromisoformat(acquired) - moment).total_seconds()


def test_one_acts_and_the_other_stands_by(tenant: Tenant, replicas: Replicas) -> None:
    acting, _ = a_pair(replicas)
    tenant.pool("a", tenant.range4(10, 19))
    tenant.service("web")
    tenant.await_assigned("web")
    assert tenant.await_event("web", "AddressAssigned")["reportingInstance"] == acting.identity
    assert replicas.holder() == acting.identity


def test_a_stopped_one_gives_the_lease_back_and_the_other_takes_over(tenant: Tenant, replicas: Replicas) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    acting, standing_by = a_pair(replicas)
    tenant.service("before")
    tenant.await_assigned("before")
    versions = tenant.versions_of("before")
    version, moment = tenant.api.now(), datetime.datetime.now(datetime.UTC)
    replicas.end(acting)
    replicas.await_acting(standing_by)
    assert seconds_since(moment, tenant) < AT_ONCE
    tenant.service("after")
    tenant.await_shown("after", tenant.ipv4(11))
    assert tenant.versions_of("before") == versions
    marker = {"metadata": {"name": "marker"}, "spec": {"holderIdentity": ""}}
    holders = [
        change.object["spec"]["holderIdentity"]
        for change in tenant.api.history(LEASES, version, marker)
        if change.name == LEASE
    ]
    assert "" in holders[: holders.index(standing_by.identity)], "it was left to run out"


def test_the_other_takes_over_from_one_that_was_killed(tenant: Tenant, replicas: Replicas) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    acting, standing_by = a_pair(replicas)
    tenant.service("before")
    tenant.await_assigned("before")
    versions = tenant.versions_of("before")
    moment = datetime.datetime.now(datetime.UTC)
    replicas.end(acting, gently=False)
    tenant.service("after")
    tenant.await_shown("after", tenant.ipv4(11))
    assert seconds_since(moment, tenant) < TAKEOVER
    assert replicas.holder() == standing_by.identity
    assert tenant.versions_of("before") == versions


def test_one_that_hung_amid_a_burst_and_wakes_too_late_gives_no_address_twice(
    tenant: Tenant, replicas: Replicas
) -> None:
    names = [f"web-{number:03}" for number in range(160)]
    for name in names:
        tenant.service(name)
    acting, standing_by = a_pair(replicas)
    tenant.await_condition(names[-1], "False", tenant.condition(names[0])["reason"])
    since = tenant.api.now()
    # All wait; now all are served at once, and the first hangs while most stand in its queue.
    tenant.pool("a", tenant.range4(1, 200))
    wait_for("some to be served", lambda: any(tenant.all_shown().values()))
    acting.pause()
    served = [name for name, addresses in tenant.all_shown().items() if addresses]
    assert len(served) < len(names), "it was through before it could be stopped"
    # The other, without these, goes through the queue with other results than the first has in mind.
    waiting = [name for name in names if name not in served]
    gone = {*served[:5], *waiting[:20]}
    for name in gone:
        tenant.delete(name)
    before = {name: tenant.shown(name) for name in served if name not in gone}
    replicas.await_acting(standing_by)
    left = [name for name in names if name not in gone]
    tenant.await_assigned(*left)

    acting.resume()
    replicas.await_standing_by(acting)
    assert "not sent, since another replica may act by now" in acting.log.read_text()
    replicas.end(acting)
    shown = tenant.await_assigned(*left)
    assert {name: shown[name] for name in before} == before
    addresses = sorted(address for each in shown.values() for address in each)
    assert len(set(addresses)) == len(left)
    wait_for("what nobody holds to be cleaned up", lambda: sorted(tenant.recorded()) == addresses)
    services = tenant.service_history(since)
    assert doubles(services) == []
    assert unrecorded(services, tenant.record_history(since)) == []
