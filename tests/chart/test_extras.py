"""What is off by default, and what each switch makes."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.chart.conftest import CHART, NAMESPACE, Objects, Render
from tests.chart.test_pods import AGENT, CONTROLLER, container_of

OF_CONTROLLER = {
    "app.kubernetes.io/name": "heraldlb",
    "app.kubernetes.io/instance": "heraldlb",
    "app.kubernetes.io/component": "controller",
}


def added(render: Render, defaults: Objects, *settings: str) -> Objects:
    """What is there that is not without these settings; nothing of that is changed."""
    objects = render(*settings)
    for key, manifest in defaults.items():
        # The key is made anew at every rendering.
        assert key[0] == "Secret" or objects[key] == manifest
    return {key: manifest for key, manifest in objects.items() if key not in defaults}


@pytest.mark.parametrize("kind", ["PodMonitor", "ServiceMonitor"])
def test_monitors_scrape_both_processes_and_know_their_nodes(kind: str, render: Render, defaults: Objects) -> None:
    value = f"monitoring.{kind[0].lower()}{kind[1:]}"
    settings = [f"{value}.enabled=true", f"{value}.interval=15s", f"{value}.labels.release=prometheus"]
    objects = added(render, defaults, *settings)
    monitors = {name: manifest for (found, name), manifest in objects.items() if found == kind}
    assert set(monitors) == {"heraldlb-controller", "heraldlb-agent"}
    for key in (CONTROLLER, AGENT):
        monitor = monitors[key[1]]
        assert monitor["metadata"]["labels"]["release"] == "prometheus"
        (endpoint,) = monitor["spec"].get("podMetricsEndpoints") or monitor["spec"]["endpoints"]
        assert (endpoint["port"], endpoint["interval"]) == ("metrics", "15s")
        assert endpoint["relabelings"][0]["targetLabel"] == "node"
        pod = defaults[key]["spec"]["template"]["metadata"]["labels"]
        selected = pod
        if kind == "ServiceMonitor":
            service = objects["Service", f"{key[1]}-metrics"]
            assert service["spec"]["clusterIP"] == "None"
            assert service["spec"]["selector"].items() <= pod.items()
            (port,) = service["spec"]["ports"]
            assert (port["name"], port["targetPort"]) == ("metrics", "metrics")
            selected = service["metadata"]["labels"]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= selected.items()
    assert len(objects) == (2 if kind == "PodMonitor" else 4)


def test_links_to_runbooks_lead_to_where_the_documentation_is(render: Render) -> None:
    settings = (
        "monitoring.prometheusRule.enabled=true",
        "monitoring.prometheusRule.docsUrl=https://docs.example.org/herald/",
    )
    rule = render(*settings)["PrometheusRule", "heraldlb"]
    links = [each["annotations"]["runbook_url"] for group in rule["spec"]["groups"] for each in group["rules"]]
    assert links
    assert all(link.startswith("https://docs.example.org/herald/monitoring.md#herald") for link in links)


def test_the_alerts_are_those_of_the_file(render: Render, defaults: Objects) -> None:
    settings = ("monitoring.prometheusRule.enabled=true", "monitoring.prometheusRule.labels.role=alerts")
    ((key, rule),) = added(render, defaults, *settings).items()
    assert key == ("PrometheusRule", "heraldlb")
    assert rule["metadata"]["labels"]["role"] == "alerts"
    assert rule["spec"] == yaml.safe_load((CHART / "files" / "alerts.yaml").read_text())


def test_the_dashboard_is_the_file_to_the_byte(render: Render, defaults: Objects) -> None:
    settings = ("monitoring.dashboard.enabled=true", "monitoring.dashboard.annotations.folder=LAN")
    ((key, shown),) = added(render, defaults, *settings).items()
    assert key == ("ConfigMap", "heraldlb-dashboard")
    assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert shown["metadata"]["annotations"] == {"folder": "LAN"}
    assert shown["data"] == {"heraldlb.json": (CHART / "dashboards" / "heraldlb.json").read_text()}


def test_a_disruption_budget_never_holds_up_the_drain_of_the_only_replica(
    render: Render, defaults: Objects
) -> None:
    ((key, budget),) = added(render, defaults, "controller.podDisruptionBudget.enabled=true").items()
    assert key == ("PodDisruptionBudget", "heraldlb-controller")
    assert budget["spec"]["maxUnavailable"] == 1
    assert "minAvailable" not in budget["spec"]
    assert budget["spec"]["selector"]["matchLabels"] == OF_CONTROLLER


def test_a_network_policy_leaves_the_controller_its_figures_and_the_api_server(
    render: Render, defaults: Objects
) -> None:
    ((key, policy),) = added(render, defaults, "networkPolicy.enabled=true").items()
    assert key == ("NetworkPolicy", "heraldlb-controller")
    spec: dict[str, Any] = policy["spec"]
    assert policy["metadata"]["namespace"] == NAMESPACE
    assert spec["podSelector"]["matchLabels"] == OF_CONTROLLER
    assert spec["ingress"] == [{"ports": [{"port": "metrics", "protocol": "TCP"}]}]
    assert [[port["port"] for port in rule["ports"]] for rule in spec["egress"]] == [[443, 6443], [53, 53]]


def test_a_network_policy_can_name_who_scrapes_and_another_port(render: Render) -> None:
    peer = "networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring"
    objects = render("networkPolicy.enabled=true", peer, "apiServer.host=api.lan", "apiServer.port=7443")
    spec = objects["NetworkPolicy", "heraldlb-controller"]["spec"]
    assert spec["ingress"][0]["from"] == [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    assert [port["port"] for port in spec["egress"][0]["ports"]] == [443, 6443, 7443]


@pytest.mark.parametrize(("key", "part"), [(CONTROLLER, "controller"), (AGENT, "agent")])
def test_arguments_labels_and_annotations_of_the_user_s_own(
    key: tuple[str, str], part: str, render: Render
) -> None:
    objects = render(
        f"{part}.extraArgs={{--log-level=debug}}",
        f"{part}.podLabels.team=net",
        f"{part}.podAnnotations.note=x",
        f"{part}.priorityClassName=mine",
        f"{part}.nodeSelector.disk=ssd",
        f"{part}.tolerations[0].key=a",
        f"{part}.tolerations[0].operator=Exists",
        f"{part}.resources.limits.memory=1Gi",
        "image.pullSecrets[0].name=registry",
    )
    pod = objects[key]["spec"]["template"]
    assert container_of(objects, key)["args"] == [part, "--log-level=debug"]
    assert container_of(objects, key)["resources"]["limits"] == {"memory": "1Gi"}
    assert pod["metadata"]["labels"]["team"] == "net"
    assert pod["metadata"]["annotations"]["note"] == "x"
    assert pod["spec"]["priorityClassName"] == "mine"
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux", "disk": "ssd"}
    assert pod["spec"]["tolerations"] == [{"key": "a", "operator": "Exists"}]
    assert pod["spec"]["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize("key", [CONTROLLER, AGENT])
def test_pods_are_not_restarted_by_what_concerns_the_chart_alone(key: tuple[str, str], defaults: Objects) -> None:
    metadata = defaults[key]["spec"]["template"]["metadata"]
    assert not [name for name in (*metadata["labels"], *metadata["annotations"]) if "chart" in name]
