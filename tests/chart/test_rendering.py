"""The chart as a whole: what Helm accepts, what it refuses, and what it tells the user."""

from __future__ import annotations

import pytest

from tests.chart.conftest import CHART, Objects, Render, helm, rendered, template


def test_helm_finds_no_fault_with_the_chart() -> None:
    done = helm("lint", "--strict", "--kube-version", "v1.31.0", str(CHART))
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


def test_two_workloads_and_what_they_need(defaults: Objects) -> None:
    assert set(defaults) == {
        ("Deployment", "heraldlb-controller"),
        ("DaemonSet", "heraldlb-agent"),
        ("Secret", "heraldlb-membership"),
        *((kind, "heraldlb-controller") for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding")),
        *((kind, "heraldlb-agent") for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding")),
        ("ClusterRole", "heraldlb-view"),
        ("Role", "heraldlb-controller"),
        ("RoleBinding", "heraldlb-controller"),
        ("Role", "heraldlb-agent"),
        ("RoleBinding", "heraldlb-agent"),
        ("Role", "heraldlb-agent-cilium"),
        ("RoleBinding", "heraldlb-agent-cilium"),
    }


def test_addresses_make_a_pool_of_the_same_release(render: Render) -> None:
    objects = render("pool.addresses={192.168.1.240-192.168.1.250, fd00:1::/120}")
    assert objects["AddressPool", "default"]["spec"] == {
        "addresses": ["192.168.1.240-192.168.1.250", "fd00:1::/120"]
    }
    assert ("AddressPool", "lan") in render("pool.addresses={10.0.0.1}", "pool.name=lan")


def test_a_release_of_another_name_has_names_of_its_own(render: Render) -> None:
    names = {name for _, name in render("fullnameOverride=second")}
    assert names == {
        "second-controller",
        "second-agent",
        "second-agent-cilium",
        "second-membership",
        "second-view",
    }


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        pytest.param("pools.addresses={10.0.0.1}", "'pools' not allowed", id="unknown-section"),
        pytest.param(
            "agent.role=speaker", "at '/agent': additional properties 'role' not allowed", id="unknown-key"
        ),
        pytest.param(
            "agent.roles={proxy}", "'/agent/roles/0': value must be one of 'speaker', 'forwarder'", id="role"
        ),
        pytest.param("agent.forwarding.mode=on", "'/agent/forwarding/mode': value must be one of", id="mode"),
        pytest.param("agent.heartbeatInterval=100", "at '/agent/heartbeatInterval'", id="duration-without-unit"),
        pytest.param("logging.level=verbose", "at '/logging/level': value must be one of", id="log-level"),
        pytest.param("loadBalancerClass=a/b/c", "at '/loadBalancerClass': 'a/b/c' does not match", id="class"),
        pytest.param("controller.replicas=0", "at '/controller/replicas': minimum", id="no-replicas"),
        pytest.param("monitoring.podMonitor.label.a=b", "properties 'label' not allowed", id="deep-unknown-key"),
        pytest.param("agent.updateStrategy.maxSurge=1", "properties 'maxSurge' not allowed", id="kubernetes-type"),
        pytest.param("agent.tolerations[0].effects=x", "properties 'effects' not allowed", id="kubernetes-list"),
        pytest.param("pool.addresses={192.168.1.1–5}", "at '/pool/addresses/0'", id="typographical-dash"),
        pytest.param("agent.membership.port=70000", "at '/agent/membership/port': maximum", id="port"),
    ],
)
def test_a_wrong_value_is_refused_by_its_path(setting: str, complaint: str) -> None:
    done = template(setting)
    assert done.returncode != 0
    assert complaint in done.stderr


@pytest.mark.parametrize("minor", range(31, 37))
def test_every_supported_kubernetes_gets_the_same(minor: int, defaults: Objects) -> None:
    objects, _ = rendered(kubernetes=f"v1.{minor}.0")
    secret = ("Secret", "heraldlb-membership")
    assert len(objects.pop(secret)["data"]["key"]) >= 64
    assert objects == {key: manifest for key, manifest in defaults.items() if key != secret}


def test_an_older_kubernetes_is_refused_with_the_version_needed() -> None:
    done = helm("template", "heraldlb", str(CHART), "--kube-version", "v1.30.9")
    assert done.returncode != 0
    assert ">=1.31.0-0" in done.stderr
