"""What runs once: the upgrade of the definitions, and `helm test`. What it may do, verb by verb."""

from __future__ import annotations

from typing import Any

import click
import pytest
import yaml

from tests.chart.conftest import CHART, NAMESPACE, Objects, helm, rendered
from tests.chart.test_pods import command

JOB, TEST = ("Job", "heraldlb-crds"), ("Pod", "heraldlb-test")
both = pytest.mark.parametrize("key", [JOB, TEST], ids=["crds", "test"])


def pod_of(hooks: Objects, key: tuple[str, str]) -> dict[str, Any]:
    spec: dict[str, Any] = hooks[key]["spec"]
    return spec["template"]["spec"] if key == JOB else spec


def container_of(hooks: Objects, key: tuple[str, str]) -> dict[str, Any]:
    (container,) = pod_of(hooks, key)["containers"]
    assert isinstance(container, dict)
    return container


def test_the_job_of_an_upgrade_may_patch_herald_s_definitions_and_nothing_else(hooks: Objects) -> None:
    ours = [yaml.safe_load(path.read_text())["metadata"]["name"] for path in (CHART / "crds").glob("*.yaml")]
    (rule,) = hooks["ClusterRole", "heraldlb-crds"]["rules"]
    assert sorted(rule.pop("resourceNames")) == sorted(ours)
    assert rule == {
        "apiGroups": ["apiextensions.k8s.io"],
        "resources": ["customresourcedefinitions"],
        "verbs": ["get", "create", "patch"],
    }
    assert ("Role", "heraldlb-crds") not in hooks


def test_the_job_of_an_upgrade_applies_the_chart_s_definitions_to_the_byte(hooks: Objects) -> None:
    files = {path.name: path.read_text() for path in (CHART / "crds").glob("*.yaml")}
    assert hooks["ConfigMap", "heraldlb-crds"]["data"] == files
    (mount,) = container_of(hooks, JOB)["volumeMounts"]
    (volume,) = pod_of(hooks, JOB)["volumes"]
    assert volume == {"name": mount["name"], "configMap": {"name": "heraldlb-crds"}}
    assert container_of(hooks, JOB)["args"] == ["apply-crds", mount["mountPath"]]


def test_the_test_may_make_services_here_and_read_and_delete_its_own(hooks: Objects) -> None:
    role = hooks["Role", "heraldlb-test"]
    assert role["metadata"]["namespace"] == NAMESPACE
    assert role["rules"] == [
        {"apiGroups": [""], "resources": ["services"], "resourceNames": [TEST[1]], "verbs": ["get", "delete"]},
        {"apiGroups": [""], "resources": ["services"], "verbs": ["create"]},
    ]
    assert hooks["ClusterRole", "heraldlb-test"]["rules"] == [
        {"apiGroups": ["heraldlb.io"], "resources": ["serviceaddresses"], "verbs": ["get"]}
    ]


@both
def test_it_meets_the_restricted_pod_security_standard(key: tuple[str, str], hooks: Objects) -> None:
    pod = pod_of(hooks, key)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container_of(hooks, key)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["serviceAccountName"] == key[1]


@both
def test_what_it_needs_is_there_before_it_and_gone_after_it(key: tuple[str, str], hooks: Objects) -> None:
    event = hooks[key]["metadata"]["annotations"]["helm.sh/hook"]
    assert event == ("pre-upgrade" if key == JOB else "test")
    own = {found: hooks[found]["metadata"]["annotations"] for found in hooks if found[1] == key[1]}
    assert all(annotations["helm.sh/hook"] == event for annotations in own.values())
    assert all(
        annotations["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
        for annotations in own.values()
    )
    weights = {found: int(annotations["helm.sh/hook-weight"]) for found, annotations in own.items()}
    assert all(weight < weights[key] for found, weight in weights.items() if found != key)


@both
def test_every_variable_is_one_that_the_command_reads(key: tuple[str, str], hooks: Objects) -> None:
    container = container_of(hooks, key)
    name = container["args"][0]
    read = {str(parameter.envvar) for parameter in command(name).params if isinstance(parameter, click.Option)}
    assert {entry["name"] for entry in container.get("env", ())} <= read


@both
def test_it_reaches_the_api_server_as_the_others_do(key: tuple[str, str]) -> None:
    environment = container_of(rendered("apiServer.host=10.0.0.1")[1], key)["env"]
    assert {"name": "KUBERNETES_SERVICE_HOST", "value": "10.0.0.1"} in environment
    assert {"name": "KUBERNETES_SERVICE_PORT", "value": "6443"} in environment


def test_the_test_s_service_leads_to_its_own_pod_only(hooks: Objects, defaults: Objects) -> None:
    container = container_of(hooks, TEST)
    (selector,) = [entry["value"] for entry in container["env"] if entry["name"] == "HERALD_POD_LABELS"]
    wanted = dict(pair.split("=") for pair in selector.split(","))
    assert wanted.items() <= hooks[TEST]["metadata"]["labels"].items()
    for workload in (("Deployment", "heraldlb-controller"), ("DaemonSet", "heraldlb-agent")):
        assert not wanted.items() <= defaults[workload]["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("setting", "variable", "value"),
    [
        ("defaultClass=false", "HERALD_LOAD_BALANCER_CLASS", "heraldlb.io/herald"),
        ("agent.roles={forwarder}", "HERALD_SPEAKER", "false"),
        ("test.timeout=5m", "HERALD_TIMEOUT", "5m"),
    ],
)
def test_the_test_follows_the_settings(setting: str, variable: str, value: str) -> None:
    environment = {entry["name"]: entry.get("value") for entry in container_of(rendered(setting)[1], TEST)["env"]}
    assert environment[variable] == value


def test_hooks_run_where_the_controller_may() -> None:
    settings = ("controller.nodeSelector.disk=ssd", "image.pullSecrets[0].name=registry", "image.tag=edge")
    _, hooks = rendered(*settings)
    for key in (JOB, TEST):
        assert pod_of(hooks, key)["nodeSelector"]["disk"] == "ssd"
        assert pod_of(hooks, key)["imagePullSecrets"] == [{"name": "registry"}]
        assert container_of(hooks, key)["image"] == "heraldlb/heraldlb:edge"


def test_the_upgrade_of_the_definitions_can_be_left_to_others() -> None:
    _, hooks = rendered("crds.upgrade=false")
    assert {name for _, name in hooks} == {"heraldlb-test"}


def test_the_definitions_that_helm_shows_are_one_document_each() -> None:
    """Helm joins the files as they are, for `kubectl apply -f -`."""
    shown = [each for each in yaml.safe_load_all(helm("show", "crds", str(CHART)).stdout) if each]
    assert len(shown) == len(list((CHART / "crds").glob("*.yaml")))
