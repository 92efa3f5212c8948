"""Real controllers against a real API server, without nodes and packets."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lab.api_server import ApiServer
from lab.processes import Register
from lab.waiting import wait_for
from tests.cluster.controller.api import NAMESPACES, Api, ApiError
from tests.cluster.controller.replicas import Replica, Replicas
from tests.cluster.controller.tenant import Settle, Tenant

CHART = Path(__file__).parents[3] / "charts" / "heraldlb"
NAMESPACE = "kube-system"

_RIGHTS = {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}


@pytest.fixture(scope="session")
def controller_kubeconfig(api_server: ApiServer) -> Path:
    """Credentials of the controller's ServiceAccount, with the kinds and the rights that the chart ships."""
    rendered = api_server.render(CHART, {}, "heraldlb", NAMESPACE)
    crds = [body for body in rendered if body["kind"] == "CustomResourceDefinition"]
    api_server.apply(*crds, *(body for body in rendered if body["kind"] in _RIGHTS))
    for crd in crds:
        api_server.wait_until(f"crd/{crd['metadata']['name']}", "condition=Established")
    return api_server.service_account_kubeconfig(NAMESPACE, "heraldlb-controller")


@pytest.fixture(scope="session")
def api(api_server: ApiServer, controller_kubeconfig: Path) -> Iterator[Api]:
    """The administrator's connection, once the API server keeps the history of our kinds."""
    with closing(Api(api_server.kubeconfig)) as connection:
        anyone = Tenant(connection, NAMESPACE, 0)

        def has_history() -> bool:
            try:
                return anyone.record_history(connection.now()) == []
            except ApiError:
                return False

        wait_for("the history of ServiceAddresses", has_history)
        yield connection


@pytest.fixture(scope="session")
def all_replicas(api_server: ApiServer, api: Api, controller_kubeconfig: Path) -> Iterator[Replicas]:
    replicas = Replicas(api, controller_kubeconfig, Register(api_server.folder))
    try:
        yield replicas
    finally:
        replicas.kill_all()


@pytest.fixture
def replicas(all_replicas: Replicas) -> Replicas:
    """To start and stop controllers in a test; the next test finds what it needs whatever is left running."""
    return all_replicas


@pytest.fixture
def controller(replicas: Replicas) -> Replica:
    """The one controller, acting, with default settings."""
    return replicas.only()


@pytest.fixture(scope="session")
def new_tenant(api: Api) -> Callable[[], Tenant]:
    numbers = itertools.count(1)

    def create() -> Tenant:
        tenant = Tenant(api, f"tenant-{secrets.token_hex(4)}", next(numbers))
        api.create(NAMESPACES, {"metadata": {"name": tenant.namespace}})
        return tenant

    return create


@pytest.fixture
def tenant(new_tenant: Callable[[], Tenant]) -> Iterator[Tenant]:
    """The test's own part of the cluster."""
    made = new_tenant()
    yield made
    made.leave()


@pytest.fixture(scope="session")
def settle(new_tenant: Callable[[], Tenant]) -> Iterator[Settle]:
    """Return when the acting controller has worked off everything that was there to do before the call.

    A Service of another tenant comes, is served, is told so, is counted in its pool's status, and goes: it stood
    last in every queue, that of Events included.
    """
    other = new_tenant()
    other.pool("a", other.range4(1, 9))
    names = (f"last-{number}" for number in itertools.count())

    def work_off() -> None:
        name = next(names)
        other.service(name)
        [address] = other.await_assigned(name)[name]
        other.await_event(name, "AddressAssigned")
        wait_for("the pool to count it", lambda: other.pool_status("a").get("assigned") == 1)
        other.delete(name)
        other.await_no_record(address)
        wait_for("the pool to count it no more", lambda: other.pool_status("a").get("assigned") == 0)

    yield work_off
    other.leave()
