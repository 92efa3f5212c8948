"""From a container's specification to what is run. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.kubelet.capabilities import DEFAULT, granted
from lab.kubelet.environment import ConfigError, PodFacts, resolve
from lab.kubelet.images import Installation, UnknownImageError, command_line
from lab.kubelet.status import ContainerReport, phase

INSTALLATION = Installation(Path("/env/bin/python"), Path("/repo/lab"), lambda name: Path("/found") / name)
POD = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a/b": "c"}},
    "spec": {"nodeName": "node-1"},
}
FACTS = PodFacts(POD, ("10.0.0.1", "fd00::1"), ("192.0.2.1",))


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        pytest.param(
            {"args": ["agent"]}, ["/env/bin/heraldlb", "agent"], id="arguments follow the image's program"
        ),
        pytest.param({"command": ["sh"], "args": ["-c"]}, ["sh", "-c"], id="a command replaces it"),
        pytest.param(
            {"args": ["--node=$(NODE)"]}, ["/env/bin/heraldlb", "--node=one"], id="variables are expanded"
        ),
        pytest.param({"args": ["$$(NODE)"]}, ["/env/bin/heraldlb", "$(NODE)"], id="unless escaped"),
        pytest.param({"args": ["$(NO) $X"]}, ["/env/bin/heraldlb", "$(NO) $X"], id="or unknown"),
    ],
)
def test_command_lines_follow_the_api(container: dict[str, Any], expected: list[str]) -> None:
    image = "registry.example:5000/team/heraldlb:1.0@sha256:00"
    assert command_line({"image": image, **container}, INSTALLATION, {"NODE": "one"}) == expected


def test_images_of_other_programs_are_found_by_name() -> None:
    found = command_line({"image": "lab/coredns:1", "args": ["-conf", "/Corefile"]}, INSTALLATION, {})
    assert found == ["/found/coredns", "-conf", "/Corefile"]


def test_an_image_that_stands_for_nothing_is_refused_with_those_that_do() -> None:
    with pytest.raises(UnknownImageError, match=r"'nginx' is not one the lab can run: there are lab/web"):
        command_line({"image": "nginx", "command": ["sh"]}, INSTALLATION, {})


def test_later_variables_win_over_whole_sources() -> None:
    container = {
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "m"}}],
        "env": [{"name": "P_A", "value": "2"}, {"name": "L", "valueFrom": _field("metadata.labels['a/b']")}],
    }
    fetched = {("configmaps", "m"): {"A": "1", "B": "1"}}
    assert resolve(container, FACTS, fetched) == {"P_A": "2", "P_B": "1", "L": "c"}  # type: ignore[arg-type]


def _field(path: str) -> dict[str, Any]:
    return {"fieldRef": {"fieldPath": path}}


@pytest.mark.parametrize(
    ("origin", "message"),
    [
        pytest.param(_field("status.phase"), "fieldPath 'status.phase': unknown", id="unknown field"),
        pytest.param({"secretKeyRef": {"name": "s", "key": "k"}}, "secrets 's' does not exist", id="no secret"),
        pytest.param({"configMapKeyRef": {"name": "m", "key": "k"}}, "configmaps 'm' has no key 'k'", id="no key"),
    ],
)
def test_what_is_missing_is_named(origin: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolve(
            {"env": [{"name": "X", "valueFrom": origin}]}, FACTS, {("secrets", "s"): None, ("configmaps", "m"): {}}
        )


@pytest.mark.parametrize(
    ("added", "dropped", "expected"),
    [
        pytest.param([], [], DEFAULT, id="the runtime's default"),
        pytest.param(["NET_ADMIN"], ["ALL"], {"NET_ADMIN"}, id="only what was added"),
        pytest.param(["NET_ADMIN"], ["KILL"], DEFAULT - {"KILL"} | {"NET_ADMIN"}, id="both"),
    ],
)
def test_capabilities_are_added_after_others_are_dropped(
    added: list[str], dropped: list[str], expected: set[str]
) -> None:
    assert granted(added, dropped) == expected


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(ValueError, match="CAP_NET_RAW unknown"):
        granted(["CAP_NET_RAW"], [])


def _ended(code: int) -> ContainerReport:
    return ContainerReport("c", "i", state={"terminated": {"exitCode": code}})


@pytest.mark.parametrize(
    ("containers", "policy", "expected"),
    [
        pytest.param([ContainerReport("c", "i")], "Always", "Pending", id="nothing started"),
        pytest.param([ContainerReport("c", "i", state={"running": {}})], "Always", "Running", id="running"),
        pytest.param([_ended(0)], "Never", "Succeeded", id="done"),
        pytest.param([_ended(0), _ended(1)], "Never", "Failed", id="one failed"),
        pytest.param([_ended(1)], "Always", "Running", id="to be restarted"),
    ],
)
def test_the_phase_follows_the_containers(containers: list[ContainerReport], policy: str, expected: str) -> None:
    assert phase(containers, policy) == expected
