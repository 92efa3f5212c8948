"""The rights of both processes, verb by verb: to widen them is to change this file."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.conftest import NAMESPACE, Objects

READ = ("get", "list", "watch")

CONTROLLER = {
    ("", "services"): READ,
    ("", "namespaces"): READ,
    ("", "nodes"): READ,
    ("", "services/status"): ("patch",),
    ("heraldlb.io", "addresspools"): READ,
    ("heraldlb.io", "l2announcements"): READ,
    ("heraldlb.io", "addresspools/status"): ("update", "patch"),
    ("heraldlb.io", "l2announcements/status"): ("update", "patch"),
    ("heraldlb.io", "serviceaddresses"): (*READ, "create", "update", "patch", "delete"),
    ("events.k8s.io", "events"): ("create", "patch"),
}
AGENT = {
    ("", "services"): READ,
    ("", "nodes"): READ,
    ("networking.k8s.io", "servicecidrs"): READ,
    ("discovery.k8s.io", "endpointslices"): READ,
    ("heraldlb.io", "addresspools"): READ,
    ("heraldlb.io", "l2announcements"): READ,
    ("heraldlb.io", "serviceaddresses"): READ,
    ("heraldlb.io", "serviceaddresses/status"): ("patch",),
    ("events.k8s.io", "events"): ("create", "patch"),
}
AGENT_ROLES = {
    "heraldlb-agent": (
        NAMESPACE,
        [
            {
                "apiGroups": ["apps"],
                "resources": ["daemonsets"],
                "resourceNames": ["heraldlb-agent"],
                "verbs": ["get", "watch"],
            }
        ],
    ),
    "heraldlb-agent-cilium": (
        "kube-system",
        [
            {
                "apiGroups": [""],
                "resources": ["configmaps"],
                "resourceNames": ["cilium-config"],
                "verbs": ["get"],
            }
        ],
    ),
}
LEASE = [
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": ["heraldlb-controller"],
        "verbs": ["get", "update", "patch"],
    },
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
]


def rights(role: dict[str, Any]) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for rule in role["rules"]:
        assert set(rule) == {"apiGroups", "resources", "verbs"}
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                assert (group, resource) not in found, "a right is given in one place"
                found[group, resource] = tuple(rule["verbs"])
    return found


def test_the_controller_may_do_this_and_no_more(defaults: Objects) -> None:
    assert rights(defaults["ClusterRole", "heraldlb-controller"]) == CONTROLLER


def test_the_agent_may_do_this_and_no_more(defaults: Objects) -> None:
    assert rights(defaults["ClusterRole", "heraldlb-agent"]) == AGENT


def test_the_controller_has_its_own_lease_and_no_other(defaults: Objects) -> None:
    role = defaults["Role", "heraldlb-controller"]
    assert role["metadata"]["namespace"] == NAMESPACE
    assert role["rules"] == LEASE


@pytest.mark.parametrize("name", AGENT_ROLES)
def test_the_agent_reads_its_own_daemonset_and_cilium_s_settings(defaults: Objects, name: str) -> None:
    role = defaults["Role", name]
    assert (role["metadata"]["namespace"], role["rules"]) == AGENT_ROLES[name]
    assert defaults["RoleBinding", name]["metadata"]["namespace"] == role["metadata"]["namespace"]


def test_the_daemonset_in_the_role_is_the_one_that_is_watched(defaults: Objects) -> None:
    (container,) = defaults["DaemonSet", "heraldlb-agent"]["spec"]["template"]["spec"]["containers"]
    (watched,) = [entry["value"] for entry in container["env"] if entry["name"] == "HERALD_DAEMON_SET"]
    assert watched == f"{NAMESPACE}/heraldlb-agent"


def test_roles_are_bound_to_the_chart_s_own_accounts_only(defaults: Objects) -> None:
    bindings = {key: manifest for key, manifest in defaults.items() if key[0].endswith("Binding")}
    assert set(bindings) == {
        ("ClusterRoleBinding", "heraldlb-controller"),
        ("ClusterRoleBinding", "heraldlb-agent"),
        ("RoleBinding", "heraldlb-controller"),
        ("RoleBinding", "heraldlb-agent"),
        ("RoleBinding", "heraldlb-agent-cilium"),
    }
    for (kind, name), binding in bindings.items():
        assert binding["roleRef"]["kind"] == kind.removesuffix("Binding")
        assert binding["roleRef"]["name"] == name, "never a role of the cluster's, cluster-admin least of all"
        account = name.removesuffix("-cilium")
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}]
        assert ("ServiceAccount", account) in defaults


def test_there_are_no_other_roles(defaults: Objects) -> None:
    assert {key for key in defaults if key[0].endswith("Role")} == {
        ("ClusterRole", "heraldlb-controller"),
        ("ClusterRole", "heraldlb-agent"),
        ("ClusterRole", "heraldlb-view"),
        ("Role", "heraldlb-controller"),
        ("Role", "heraldlb-agent"),
        ("Role", "heraldlb-agent-cilium"),
    }


def test_who_may_view_the_cluster_may_read_herald_s_objects_and_write_none(defaults: Objects) -> None:
    role = defaults["ClusterRole", "heraldlb-view"]
    aggregated = {key for key in role["metadata"]["labels"] if key.startswith("rbac.authorization.k8s.io/")}
    assert aggregated == {"rbac.authorization.k8s.io/aggregate-to-view"}, "edit and admin contain view"
    assert rights(role) == {
        ("heraldlb.io", kind): READ for kind in ("addresspools", "l2announcements", "serviceaddresses")
    }


def test_the_lease_in_the_role_is_the_lease_that_is_used(defaults: Objects) -> None:
    (container,) = defaults["Deployment", "heraldlb-controller"]["spec"]["template"]["spec"]["containers"]
    (used,) = [entry["value"] for entry in container["env"] if entry["name"] == "HERALD_LEASE_NAME"]
    assert [used] == LEASE[0]["resourceNames"]
