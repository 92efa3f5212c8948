"""The control plane without nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.api_server import ApiServer
from lab.cluster import Cluster, KubectlError

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def api_server() -> Iterator[ApiServer]:
    with ApiServer() as running:
        yield running


def _as_account(cluster: Cluster, namespace: str, name: str, *arguments: str) -> str:
    kubeconfig = cluster.service_account_kubeconfig(namespace, name)
    return cluster.kubectl(f"--kubeconfig={kubeconfig}", *arguments)


def test_a_service_account_may_do_what_its_role_says_and_no_more(api_server: ApiServer) -> None:
    api_server.create_namespace("roles")
    api_server.kubectl("create", "serviceaccount", "reader", "-n", "roles")
    api_server.kubectl("create", "role", "reader", "-n", "roles", "--verb=list", "--resource=services")
    api_server.kubectl(
        "create", "rolebinding", "reader", "-n", "roles", "--role=reader", "--serviceaccount=roles:reader"
    )
    who = _as_account(api_server, "roles", "reader", "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
    assert who == "system:serviceaccount:roles:reader"
    _as_account(api_server, "roles", "reader", "get", "services", "-n", "roles")
    with pytest.raises(KubectlError, match="cannot list resource"):
        _as_account(api_server, "roles", "reader", "get", "secrets", "-n", "roles")
    api_server.kubectl("delete", "namespace", "roles")


def test_state_survives_the_api_server(api_server: ApiServer) -> None:
    api_server.kubectl("create", "configmap", "kept", "--from-literal=a=1")
    api_server.stop_api_server()
    with pytest.raises(KubectlError):
        api_server.get("configmap", "kept")
    api_server.start_api_server()
    assert api_server.get("configmap", "kept")["data"] == {"a": "1"}
    api_server.kubectl("delete", "configmap", "kept")


def test_services_get_addresses_of_both_families(api_server: ApiServer) -> None:
    api_server.kubectl("create", "service", "clusterip", "dual", "--tcp=80")
    api_server.kubectl("patch", "service", "dual", "-p", '{"spec": {"ipFamilyPolicy": "RequireDualStack"}}')
    addresses = api_server.get("service", "dual")["spec"]["clusterIPs"]
    api_server.kubectl("delete", "service", "dual")
    assert [":" in address for address in addresses] == [False, True]
