"""While the API server is away nothing is lost, and what is changed afterwards is served."""

from __future__ import annotations

import pytest

from lab.api_server import ApiServer
from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Settle, Tenant

NAMES = tuple(f"web-{number}" for number in range(10))


@pytest.fixture
def served(tenant: Tenant, replicas: Replicas) -> Tenant:
    """A tenant whose Services NAMES are served from the beginning of a pool of twenty."""
    replicas.only()
    tenant.pool("a", tenant.range4(10, 29))
    for name in NAMES:
        tenant.service(name)
        tenant.await_assigned(name)
    return tenant


def test_nothing_changes_over_an_outage_and_what_comes_afterwards_is_served(
    served: Tenant, replicas: Replicas, api_server: ApiServer, settle: Settle
) -> None:
    acting = replicas.only()
    settle()
    before = served.versions()
    api_server.stop_api_server()
    api_server.start_api_server()
    replicas.await_acting(acting)
    settle()
    assert served.versions() == before
    served.service("late")
    served.await_shown("late", served.ipv4(20))
    served.delete("late")
    served.await_no_record(served.ipv4(20))


def test_deletions_while_it_could_not_watch_are_noticed(
    served: Tenant, replicas: Replicas, api_server: ApiServer
) -> None:
    acting = replicas.only()
    api_server.stop_api_server()
    # It must not find the API server before the deletions are done, and so can see none of them happen.
    acting.pause()
    try:
        api_server.start_api_server()
        served.delete(NAMES[0])
        served.edit(NAMES[1], type="ClusterIP")
        served.delete(NAMES[2])
        served.service(NAMES[2], families=["IPv6"])
    finally:
        acting.resume()
    for host in (10, 11, 12):
        served.await_no_record(served.ipv4(host))
    assert not served.condition(NAMES[1])
    assert served.shown(NAMES[3]) == [served.ipv4(13)]
