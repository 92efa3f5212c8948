"""Where the scheduler stand-in puts a pod. Pure."""

from __future__ import annotations

from typing import Any

import pytest

from lab.scheduler import choose

Body = dict[str, Any]


def node(name: str, *, ready: bool = True, **spec: Any) -> Body:
    conditions = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
    metadata = {"name": name, "labels": {"kubernetes.io/hostname": name, "zone": name[-1]}}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": conditions}}


def pod(name: str, on: str | None = None, phase: str = "Running", **spec: Any) -> Body:
    placed = {"nodeName": on} if on else {}
    metadata = {"name": name, "namespace": "default", "labels": {"app": name}}
    return {"metadata": metadata, "spec": spec | placed, "status": {"phase": phase}}


TAINT = {"key": "role", "value": "db", "effect": "NoSchedule"}


def required(**term: Any) -> Body:
    terms = {"nodeSelectorTerms": [term]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}


def apart(app: str) -> Body:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": app}}}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


@pytest.mark.parametrize(
    ("spec", "nodes", "expected"),
    [
        pytest.param({}, [node("a", ready=False), node("b")], "b", id="only on nodes that are ready"),
        pytest.param({}, [node("a", unschedulable=True), node("b")], "b", id="not on a cordoned node"),
        pytest.param({}, [node("a", taints=[TAINT]), node("b")], "b", id="not on a tainted node"),
        pytest.param(
            {"tolerations": [{"key": "role", "operator": "Exists"}]},
            [node("a", taints=[TAINT])],
            "a",
            id="tolerated",
        ),
        pytest.param(
            {"tolerations": [{"key": "role", "value": "web"}]}, [node("a", taints=[TAINT])], None, id="other value"
        ),
        pytest.param({"nodeSelector": {"zone": "b"}}, [node("a"), node("b")], "b", id="by node selector"),
        pytest.param(
            {"affinity": required(matchFields=[{"key": "metadata.name", "operator": "In", "values": ["b"]}])},
            [node("a"), node("b")],
            "b",
            id="by name, as for DaemonSets",
        ),
        pytest.param(
            {"affinity": required(matchExpressions=[{"key": "zone", "operator": "NotIn", "values": ["a"]}])},
            [node("a"), node("b")],
            "b",
            id="by required affinity",
        ),
        pytest.param({}, [], None, id="nowhere without nodes"),
    ],
)
def test_a_pod_goes_only_where_it_fits(spec: Body, nodes: list[Body], expected: str | None) -> None:
    assert choose(pod("new", **spec), nodes, []) == expected


def test_pods_alike_are_spread_before_all_pods_are() -> None:
    pods = [pod("new", on="a"), pod("x", on="b"), pod("y", on="b")]
    assert choose(pod("new"), [node("a"), node("b")], pods) == "b"


def test_pods_that_have_ended_do_not_count() -> None:
    pods = [pod("new", on="a", phase="Succeeded"), pod("new", on="b")]
    assert choose(pod("new"), [node("a"), node("b")], pods) == "a"


def test_pods_that_repel_each_other_are_kept_apart() -> None:
    nodes, pods = [node("a"), node("b")], [pod("web", on="a"), pod("x", on="b"), pod("y", on="b")]
    assert choose(pod("new", affinity=apart("web")), nodes, pods) == "b"
    assert choose(pod("new", affinity=apart("web")), nodes[:1], pods) is None
