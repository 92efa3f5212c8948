"""The pods of both processes: what they may touch, and what they are told."""

from __future__ import annotations

from typing import Any

import click
import pytest

import heraldlb
from heraldlb.cli.main import main
from heraldlb.speaker.constants import PROBATION
from tests.chart.conftest import Objects, Render

CONTROLLER = ("Deployment", "heraldlb-controller")
AGENT = ("DaemonSet", "heraldlb-agent")

both = pytest.mark.parametrize("key", [CONTROLLER, AGENT], ids=["controller", "agent"])


def pod_of(objects: Objects, key: tuple[str, str]) -> dict[str, Any]:
    pod: dict[str, Any] = objects[key]["spec"]["template"]["spec"]
    return pod


def container_of(objects: Objects, key: tuple[str, str]) -> dict[str, Any]:
    (container,) = pod_of(objects, key)["containers"]
    assert isinstance(container, dict)
    return container


def environment(objects: Objects, key: tuple[str, str]) -> dict[str, str]:
    """Each variable's value, or the field of the pod it is taken from."""
    return {
        entry["name"]: entry.get("value") or entry["valueFrom"]["fieldRef"]["fieldPath"]
        for entry in container_of(objects, key)["env"]
    }


def command(name: str) -> click.Command:
    assert isinstance(main, click.Group)
    found = main.get_command(click.Context(main), name)
    assert found is not None
    return found


def test_the_controller_meets_the_restricted_pod_security_standard(defaults: Objects) -> None:
    pod = pod_of(defaults, CONTROLLER)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container_of(defaults, CONTROLLER)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()


def test_the_agent_has_two_capabilities_and_no_other_privilege(defaults: Objects) -> None:
    pod = pod_of(defaults, AGENT)
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}
    assert container_of(defaults, AGENT)["securityContext"] == {
        "runAsUser": 0,
        "runAsGroup": 0,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]},
    }
    assert not {"hostPID", "hostIPC"} & pod.keys()


def test_the_agent_works_on_the_node_and_is_the_last_to_be_evicted(defaults: Objects) -> None:
    pod = pod_of(defaults, AGENT)
    assert pod["hostNetwork"] is True
    assert pod["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert pod["priorityClassName"] == "system-node-critical"
    assert pod["tolerations"] == [{"operator": "Exists"}]


def test_an_agent_is_replaced_when_addresses_are_back_with_the_one_before(defaults: Objects) -> None:
    """Later than probation ends, by more than it takes to join and to be handed them."""
    spec = defaults[AGENT]["spec"]
    assert spec["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": 1}
    assert spec["minReadySeconds"] >= PROBATION + 5


@both
def test_nothing_of_the_node_is_mounted_and_mounts_lie_where_they_do_no_harm(
    defaults: Objects, key: tuple[str, str]
) -> None:
    assert all(set(volume) - {"name"} <= {"secret", "emptyDir"} for volume in pod_of(defaults, key)["volumes"])
    for mount in container_of(defaults, key)["volumeMounts"]:
        assert mount["mountPath"].startswith(("/tmp", "/var/run/")), mount  # noqa: S108


@both
def test_probes_ask_the_port_that_the_process_serves(defaults: Objects, key: tuple[str, str]) -> None:
    container = container_of(defaults, key)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    served = environment(defaults, key)["HERALD_METRICS_ADDRESS"]
    assert served == f"[::]:{ports['metrics']}"
    for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": "metrics"}


@both
def test_every_variable_that_is_set_is_one_that_the_command_reads(defaults: Objects, key: tuple[str, str]) -> None:
    container = container_of(defaults, key)
    (name,) = container["args"]
    read = {str(parameter.envvar) for parameter in command(name).params if isinstance(parameter, click.Option)}
    assert environment(defaults, key).keys() - read == set()


@both
def test_the_defaults_of_the_chart_are_those_of_the_command(
    defaults: Objects, key: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    container = container_of(defaults, key)
    (name,) = container["args"]
    by_hand = command(name).make_context(name, []).params
    for entry in container["env"]:
        # What is of the release has no default.
        if "value" in entry and entry["name"] not in ("HERALD_MEMBERSHIP_KEY_FILE", "HERALD_DAEMON_SET"):
            monkeypatch.setenv(entry["name"], entry["value"])
    assert command(name).make_context(name, []).params == by_hand


def test_the_membership_key_is_read_from_the_secret_that_the_chart_makes(defaults: Objects) -> None:
    pod = pod_of(defaults, AGENT)
    secret = next(volume["secret"] for volume in pod["volumes"] if volume["name"] == "membership")
    assert ("Secret", secret["secretName"]) in defaults
    assert secret["items"] == [{"key": "key", "path": "key"}]
    assert secret["defaultMode"] == 0o400
    (mount,) = [m for m in container_of(defaults, AGENT)["volumeMounts"] if m["name"] == "membership"]
    assert environment(defaults, AGENT)["HERALD_MEMBERSHIP_KEY_FILE"] == f"{mount['mountPath']}/key"


def test_a_membership_secret_of_the_user_s_own_replaces_the_chart_s(render: Render) -> None:
    objects = render("agent.membership.existingSecret=mine")
    assert not [key for key in objects if key[0] == "Secret"]
    secret = next(
        volume["secret"] for volume in pod_of(objects, AGENT)["volumes"] if volume["name"] == "membership"
    )
    assert secret["secretName"] == "mine"


def test_settings_reach_the_processes(render: Render) -> None:
    objects = render(
        "defaultClass=false",
        "loadBalancerClass=example.com/lb",
        "annotationAliases=false",
        "logging.level=debug",
        "logging.format=json",
        "metrics.metallbNames=true",
        "agent.roles={speaker}",
        "agent.membership.port=7999",
        "agent.heartbeatInterval=50ms",
        "agent.failureTimeout=1s",
        "agent.ignoreExcludeLabel=true",
        "agent.ignoreCordon=true",
        "agent.answerPing=false",
        "agent.keepConnections=false",
        "agent.forwarding.mode=full",
        "agent.forwarding.nodePortAddresses={10.0.0.0/8,fd00::/8}",
        "agent.forwarding.scheduler=wrr",
        "apiServer.host=10.0.0.1",
        "agent.metrics.port=9999",
    )
    common = {
        "HERALD_LOG_LEVEL": "debug",
        "HERALD_LOG_FORMAT": "json",
        "HERALD_METALLB_METRICS": "true",
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "KUBERNETES_SERVICE_PORT": "6443",
    }
    assert (
        environment(objects, CONTROLLER).items()
        >= (
            common
            | {
                "HERALD_DEFAULT_CLASS": "false",
                "HERALD_LOAD_BALANCER_CLASS": "example.com/lb",
                "HERALD_ANNOTATION_ALIASES": "false",
            }
        ).items()
    )
    assert (
        environment(objects, AGENT).items()
        >= (
            common
            | {
                "HERALD_ROLES": "speaker",
                "HERALD_MEMBERSHIP_PORT": "7999",
                "HERALD_HEARTBEAT_INTERVAL": "50ms",
                "HERALD_FAILURE_TIMEOUT": "1s",
                "HERALD_IGNORE_EXCLUDE_LABEL": "true",
                "HERALD_IGNORE_CORDON": "true",
                "HERALD_ANSWER_PING": "false",
                "HERALD_KEEP_CONNECTIONS": "false",
                "HERALD_FORWARDING_MODE": "full",
                "HERALD_NODE_PORT_ADDRESSES": "10.0.0.0/8,fd00::/8",
                "HERALD_SCHEDULER": "wrr",
                "HERALD_METRICS_ADDRESS": "[::]:9999",
            }
        ).items()
    )


def test_replicas_prefer_different_nodes_unless_told_otherwise(render: Render, defaults: Objects) -> None:
    assert "podAntiAffinity" in pod_of(defaults, CONTROLLER)["affinity"]
    told = render("controller.affinity.nodeAffinity.x=y")
    assert pod_of(told, CONTROLLER)["affinity"] == {"nodeAffinity": {"x": "y"}}


@both
def test_selectors_match_the_pods_they_select(defaults: Objects, key: tuple[str, str]) -> None:
    spec = defaults[key]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    assert "helm.sh/chart" not in spec["selector"]["matchLabels"], "selectors cannot change at an upgrade"


@both
@pytest.mark.parametrize(
    ("setting", "image"),
    [
        pytest.param("image.repository=example.com/h", f"example.com/h:{heraldlb.__version__}", id="repository"),
        pytest.param("image.tag=edge", "heraldlb/heraldlb:edge", id="tag"),
        pytest.param(
            f"image.digest=sha256:{'0' * 64}", f"heraldlb/heraldlb@sha256:{'0' * 64}", id="digest-before-tag"
        ),
    ],
)
def test_the_image_can_be_chosen(render: Render, key: tuple[str, str], setting: str, image: str) -> None:
    assert container_of(render(setting), key)["image"] == image
