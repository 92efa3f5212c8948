"""Every object that the chart can render, held against the API server's own schemas and admission."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import prometheus_operator
from lab.cluster import Cluster, KubectlError
from lab.waiting import wait_for

CHART = Path(__file__).parents[3] / "charts" / "heraldlb"
EVERYTHING = {
    "pool": {"addresses": ["192.168.1.240-192.168.1.250", "fd00:1::/120"]},
    "image": {"digest": f"sha256:{'0' * 64}", "pullSecrets": [{"name": "registry"}]},
    "apiServer": {"host": "10.0.0.1"},
    "controller": {
        "podDisruptionBudget": {"enabled": True},
        "extraArgs": ["--log-level=debug"],
        "tolerations": [
            {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"}
        ],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}},
        "resources": {"limits": {"memory": "512Mi"}},
        "podLabels": {"team": "net"},
        "podAnnotations": {"note": "x"},
        "serviceAccount": {"annotations": {"note": "x"}},
    },
    "agent": {"extraArgs": ["--log-level=debug"], "updateStrategy": {"rollingUpdate": {"maxUnavailable": "10%"}}},
    "monitoring": {
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "prometheusRule": {"enabled": True, "labels": {"role": "alerts"}},
        "dashboard": {"enabled": True, "annotations": {"folder": "LAN"}},
    },
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
    },
}
"""Every branch of every template."""

Body = dict[str, Any]


def without_account(spec: Body) -> Body:
    """A pod's spec with an account that is there: it is looked for before anything else."""
    return spec | {"serviceAccountName": "default"}


@pytest.fixture(scope="module")
def namespace(api_server: Cluster) -> Iterator[str]:
    name = f"objects-{secrets.token_hex(4)}"
    api_server.create_namespace(name)
    yield name
    api_server.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def rendered(api_server: Cluster, namespace: str) -> Iterator[list[Body]]:
    """Everything but the definitions, which are in force."""
    rendered = api_server.render(CHART, EVERYTHING, "all", namespace, hooks=True)
    definitions = [body for body in rendered if body["kind"] == "CustomResourceDefinition"]
    monitoring = prometheus_operator.definitions()
    api_server.apply(*definitions, *monitoring)
    for body in (*definitions, *monitoring):
        api_server.wait_until(f"crd/{body['metadata']['name']}", "condition=Established")
    yield [body for body in rendered if body["kind"] != "CustomResourceDefinition"]
    api_server.kubectl("delete", "crd", *(body["metadata"]["name"] for body in monitoring))


def test_the_api_server_knows_every_field_of_every_object(api_server: Cluster, rendered: list[Body]) -> None:
    items = [body | {"spec": without_account(body["spec"])} if body["kind"] == "Pod" else body for body in rendered]
    document = {"apiVersion": "v1", "kind": "List", "items": items}

    def refused() -> str:
        options = ["--dry-run=server", "--validate=strict", "--field-manager=check"]
        try:
            api_server.kubectl("apply", "--server-side", *options, "-f", "-", input=json.dumps(document))
        except KubectlError as error:
            return str(error)
        return ""

    kinds = {body["kind"] for body in rendered}
    assert {"Job", "Pod", "PodMonitor", "ServiceMonitor", "PrometheusRule", "NetworkPolicy"} <= kinds
    # A definition is served a moment after it is established.
    wait_for("kinds to be served", lambda: "no matches for kind" not in refused())
    assert refused() == ""


def test_all_pods_but_the_agents_meet_the_restricted_standard(
    api_server: Cluster, rendered: list[Body], namespace: str
) -> None:
    api_server.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    told = {}
    for body in rendered:
        if body["kind"] not in ("Deployment", "DaemonSet", "Job", "Pod"):
            continue
        template = body["spec"].get("template", body)
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "tried", "namespace": namespace},
            "spec": without_account(template["spec"]),
        }
        try:
            api_server.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(pod))
            told[body["kind"]] = ""
        except KubectlError as error:
            told[body["kind"]] = str(error)
    agent = told.pop("DaemonSet")
    assert told == {"Deployment": "", "Job": "", "Pod": ""}
    assert 'violates PodSecurity "restricted:latest"' in agent
    # Nothing besides what an agent cannot do without.
    for needed in ("host namespaces (hostNetwork=true)", "hostPort", '"NET_ADMIN", "NET_RAW"', "runAsUser=0"):
        assert needed in agent
    for unneeded in ("seccompProfile", "allowPrivilegeEscalation", "privileged", "hostPath", "hostPID"):
        assert unneeded not in agent
