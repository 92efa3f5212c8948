"""Of several replicas one acts; whoever comes after it goes on without giving any address twice."""

from __future__ import annotations

from lab.waiting import wait_for
from tests.cluster.controller.api import LEASES
from tests.cluster.controller.replicas import LEASE, Replica, Replicas
from tests.cluster.controller.tenant import Tenant
from tests.cluster.controller.timeline import doubles, unrecorded


def a_pair(replicas: Replicas) -> tuple[Replica, Replica]:
    """One that acts, and one that stands by."""
    acting = replicas.only()
    standing_by = replicas.start()
    replicas.await_standing_by(standing_by)
    return acting, standing_by


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
    since = tenant.api.now()
    replicas.end(acting)
    replicas.await_acting(standing_by)
    tenant.service("after")
    tenant.await_shown("after", tenant.ipv4(11))
    assert tenant.versions_of("before") == versions
    marker = {"metadata": {"name": "marker"}, "spec": {"holderIdentity": ""}}
    holders = [
        change.object["spec"]["holderIdentity"]
        for change in tenant.api.history(LEASES, since, marker)
        if change.name == LEASE
    ]
    assert "" in holders[: holders.index(standing_by.identity)], "it was left to run out"


def test_the_other_takes_over_from_one_that_was_killed(tenant: Tenant, replicas: Replicas) -> None:
    tenant.pool("a", tenant.range4(10, 19))
    acting, standing_by = a_pair(replicas)
    tenant.service("before")
    tenant.await_assigned("before")
    versions = tenant.versions_of("before")
    replicas.end(acting, gently=False)
    tenant.service("after")
    tenant.await_shown("after", tenant.ipv4(11))
    assert replicas.holder() == standing_by.identity
    assert tenant.versions_of("before") == versions


def test_one_that_hung_amid_a_burst_and_wakes_too_late_gives_no_address_twice(
    tenant: Tenant, replicas: Replicas
) -> None:
    names = [f"web-{number:03}" for number in range(150)]
    # As many addresses as Services: whoever goes by an old view meets what the other has given since.
    tenant.pool("a", tenant.range4(1, len(names)))
    since = tenant.api.now()
    acting, standing_by = a_pair(replicas)
    for name in names[:100]:
        tenant.service(name)
    acting.pause()
    for name in names[100:]:
        tenant.service(name)
    shown_before = {name: addresses for name, addresses in tenant.all_shown().items() if addresses}
    replicas.await_acting(standing_by)
    # Their addresses go to others while the first still takes them for held.
    gone = sorted(shown_before)[:20]
    for name in gone:
        tenant.delete(name)
    others = [f"other-{number:03}" for number in range(len(gone))]
    for name in others:
        tenant.service(name)
    left = [name for name in names if name not in gone] + others
    tenant.await_assigned(*left)

    acting.resume()
    replicas.await_standing_by(acting)
    replicas.end(acting)
    tenant.await_assigned(*left)
    shown = tenant.all_shown()
    kept = {name: addresses for name, addresses in shown_before.items() if name not in gone}
    assert {name: shown[name] for name in kept} == kept
    addresses = sorted(address for each in shown.values() for address in each)
    assert len(set(addresses)) == len(left)
    wait_for("what nobody holds to be cleaned up", lambda: sorted(tenant.recorded()) == addresses)
    services = tenant.service_history(since)
    assert doubles(services) == []
    assert unrecorded(services, tenant.record_history(since)) == []
