"""What the lab breaks on purpose, and that the cluster notices as a real one would."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cluster import KubectlError
from lab.errors import LabError
from lab.processes import descendants
from lab.waiting import wait_for
from lab.workloads import WEB_PORT, web

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.lab import Lab
    from lab.processes import Process


@contextmanager
def _powered_off(lab: Lab, node: str) -> Iterator[None]:
    lab.power_off(node)
    try:
        yield
    finally:
        lab.power_on(node)
        lab.wait_ready([node])


def _state(process: Process) -> str:
    """The process's state letter, as ps(1) prints it."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_node_without_power_has_no_process_and_turns_not_ready(lab: Lab) -> None:
    sleeping = lab.nodes["node-3"].popen(["sleep", "1000"])
    everything = [lab.kubelet("node-3"), *descendants(lab.kubelet("node-3"))]
    with _powered_off(lab, "node-3"):
        assert sleeping.wait(timeout=10) == -9
        assert not any(process.is_alive() for process in everything)
        with pytest.raises(LabError, match="node-3 is powered off"):
            lab.nodes["node-3"].exec(["true"])
        lab.wait_not_ready("node-3")
    assert lab.ready_nodes() == set(lab.nodes)


def test_a_node_that_boots_has_forgotten_its_rules_and_runs_its_pods_again(lab: Lab, namespace: str) -> None:
    lab.apply(web("web", namespace, replicas=3))
    lab.wait_for_rollout("deployment/web", namespace)
    node = lab.nodes["node-2"]
    node.exec(["nft", "add table inet forgotten"])
    with _powered_off(lab, "node-2"):
        pass
    assert "forgotten" not in node.exec(["nft", "list", "tables"]).stdout

    def answers() -> bool:
        pods = lab.items("pods", "-n", namespace, "--field-selector=spec.nodeName=node-2")
        address = next((pod["status"]["podIPs"][1]["ip"] for pod in pods if pod["status"].get("podIPs")), None)
        try:
            return address is not None and "on node-2" in lab.nodes["node-1"].http_get(address, WEB_PORT)
        except OSError:
            return False

    wait_for("the pod on the booted node to answer", answers)


def test_a_paused_kubelet_makes_its_node_not_ready_while_its_pods_run_on(lab: Lab, namespace: str) -> None:
    lab.apply(web("web", namespace, replicas=3))
    lab.wait_for_rollout("deployment/web", namespace)
    pod = next(pod for pod in lab.items("pods", "-n", namespace) if pod["spec"]["nodeName"] == "node-1")
    lab.pause(lab.kubelet("node-1"))
    try:
        lab.wait_not_ready("node-1")
        assert "on node-1" in lab.nodes["node-2"].http_get(pod["status"]["podIP"], WEB_PORT)
    finally:
        lab.resume(lab.kubelet("node-1"))
    lab.wait_ready(["node-1"])


def test_every_process_of_a_frozen_node_is_stopped(lab: Lab, namespace: str) -> None:
    lab.apply(web("web", namespace, replicas=3))
    lab.wait_for_rollout("deployment/web", namespace)
    everything = [lab.kubelet("node-1"), *descendants(lab.kubelet("node-1"))]
    assert len(everything) > 1
    lab.freeze("node-1")
    try:
        # One that runs on another processor stops when that takes the signal.
        wait_for("all to be stopped", lambda: {_state(process) for process in everything} == {"T"})
    finally:
        lab.thaw("node-1")
    wait_for("all to go on", lambda: "T" not in {_state(process) for process in everything})


def test_the_api_server_comes_back_with_all_it_knew(lab: Lab, namespace: str) -> None:
    lab.stop_api_server()
    try:
        with pytest.raises(KubectlError):
            lab.get("namespace", namespace)
    finally:
        lab.start_api_server()
    assert lab.get("namespace", namespace)["status"]["phase"] == "Active"
    lab.wait_ready()


def test_a_node_that_is_on_is_not_booted_again(lab: Lab) -> None:
    with pytest.raises(LabError, match="node-1 is on"):
        lab.power_on("node-1")
