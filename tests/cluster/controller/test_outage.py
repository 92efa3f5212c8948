"""While the API server is away nothing is lost, and what is changed afterwards is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lab import pki
from lab.api_server import ApiServer
from lab.waiting import wait_for
from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Settle, Tenant
from tests.cluster.controller.wire import Wire

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


@pytest.fixture
def wire(api_server: ApiServer) -> Iterator[Wire]:
    """A way to the API server."""
    port = urlsplit(api_server.url).port
    assert port is not None
    with closing(Wire(port)) as laid:
        yield laid


@pytest.fixture
def kubeconfig_by_wire(api_server: ApiServer, controller_kubeconfig: Path, wire: Wire) -> Path:
    """The controller's credentials, to be used over the wire."""
    url = f"https://127.0.0.1:{wire.port}"
    content = controller_kubeconfig.read_text().replace(api_server.url, url)
    return pki.write_private(api_server.folder / f"wire-{wire.port}.kubeconfig", content)


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


def test_deletions_while_its_watches_were_cut_are_noticed_without_a_new_term(
    tenant: Tenant, replicas: Replicas, wire: Wire, kubeconfig_by_wire: Path
) -> None:
    replicas.only(f"--kubeconfig={kubeconfig_by_wire}")
    tenant.pool("a", tenant.range4(10, 29))
    tenant.service("stays")
    tenant.await_shown("stays", tenant.ipv4(10))
    # Twice: what the lists at a term's beginning may find in the first round, they cannot find in the second.
    for round_number in (1, 2):
        deleted, edited = f"deleted-{round_number}", f"edited-{round_number}"
        tenant.service(deleted)
        tenant.service(edited)
        tenant.await_assigned(deleted, edited)
        wire.cut()
        tenant.delete(deleted)
        tenant.edit(edited, type="ClusterIP")
        wire.heal()
        wait_for("their records to go", lambda: tenant.recorded() == [tenant.ipv4(10)])
        assert not tenant.condition(edited)
    assert tenant.shown("stays") == [tenant.ipv4(10)]


def test_what_was_told_is_not_told_again_when_everything_is_listed_anew(
    tenant: Tenant, replicas: Replicas, wire: Wire, kubeconfig_by_wire: Path, settle: Settle
) -> None:
    replicas.only(f"--kubeconfig={kubeconfig_by_wire}")
    tenant.pool("a", tenant.range4(10, 10), tenant.range6(10, 19))
    settle()
    tenant.service("served")
    tenant.await_shown("served", tenant.ipv4(10))
    tenant.service("in-vain")
    tenant.service("half", families=["IPv6", "IPv4"], ipFamilyPolicy="PreferDualStack")
    tenant.await_refused("in-vain", "PoolExhausted")
    tenant.await_event("half", "AddressAssigned")
    tenant.annotate("served", addresses=tenant.ipv4(99))
    tenant.await_event("served", "AddressNotInAnyPool")
    settle()
    told, versions = tenant.told(), tenant.versions()
    for _ in range(2):
        wire.cut()
        wire.heal()
        settle()
    assert tenant.told() == told
    assert len(told) == 4
    assert tenant.versions() == versions
