"""Pods in the lab: the real controllers make them, the kubelet stand-in runs them as their specification says."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any

import pytest

from lab.finding import container_process
from lab.kubelet.capabilities import NAMES
from lab.waiting import wait_for
from lab.workloads import ECHO_PORT, WEB_PORT, one_shot, service, web

if TYPE_CHECKING:
    from lab.lab import Lab

Body = dict[str, Any]


def _pods(lab: Lab, namespace: str) -> list[Body]:
    return lab.items("pods", "-n", namespace)


def _result_of(lab: Lab, pod: Body) -> str:
    """What a one-shot pod has printed, once it has succeeded."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    lab.apply(pod)
    wait_for(f"pod {name} to end", lambda: _phase(lab, name, namespace) in ("Succeeded", "Failed"))
    printed = lab.log(name, namespace)
    assert _phase(lab, name, namespace) == "Succeeded", printed
    return printed


def _phase(lab: Lab, name: str, namespace: str) -> str:
    phase: str = lab.get("pod", name, "-n", namespace)["status"]["phase"]
    return phase


def test_a_deployment_fills_the_endpoint_slices_of_both_families(lab: Lab, namespace: str) -> None:
    lab.apply(web("web", namespace, replicas=3), service("web", namespace, kind="ClusterIP"))
    lab.wait_for_rollout("deployment/web", namespace)
    addresses = {entry["ip"] for pod in _pods(lab, namespace) for entry in pod["status"]["podIPs"]}

    def endpoints() -> set[str]:
        slices = lab.items("endpointslices", "-n", namespace)
        ready = [one for part in slices for one in part.get("endpoints") or () if one["conditions"]["ready"]]
        return {address for one in ready for address in one["addresses"]}

    assert len(addresses) == 6
    wait_for("the endpoints of both families", lambda: endpoints() == addresses)


def test_replicas_are_spread_over_the_nodes(lab: Lab, namespace: str) -> None:
    lab.apply(web("web", namespace, replicas=3))
    lab.wait_for_rollout("deployment/web", namespace)
    assert {pod["spec"]["nodeName"] for pod in _pods(lab, namespace)} == set(lab.nodes)


def test_pods_reach_each_other_across_nodes_over_both_families(lab: Lab, namespace: str) -> None:
    lab.apply(web("web", namespace, replicas=3))
    lab.wait_for_rollout("deployment/web", namespace)
    pods = [lab.pod(pod["metadata"]["name"], namespace) for pod in _pods(lab, namespace)]
    for one in pods:
        for other in pods:
            for own, address in ((one.ipv4, other.ipv4), (one.ipv6, other.ipv6)):
                answer = one.http_get(str(address), WEB_PORT)
                assert answer.startswith(f"Hello from {other.name} on node-")
                assert answer.endswith(f"you are {own}\n")


def test_the_web_server_echoes_datagrams(lab: Lab, namespace: str) -> None:
    lab.apply(web("web", namespace, replicas=1))
    lab.wait_for_rollout("deployment/web", namespace)
    pod = lab.pod(_pods(lab, namespace)[0]["metadata"]["name"], namespace)
    with lab.nodes["node-1"].socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        asking.sendto(b"hello", (str(pod.ipv4), ECHO_PORT))
        assert asking.recv(100) == f"{pod.name} hello".encode()


def test_a_daemon_set_has_one_pod_on_every_node(lab: Lab, namespace: str) -> None:
    deployment = web("daemon", namespace)
    spec = {key: value for key, value in deployment["spec"].items() if key != "replicas"}
    lab.apply(deployment | {"kind": "DaemonSet", "spec": spec})
    lab.wait_for_rollout("daemonset/daemon", namespace)
    assert sorted(pod["spec"]["nodeName"] for pod in _pods(lab, namespace)) == sorted(lab.nodes)


def test_rollout_restart_replaces_every_pod(lab: Lab, namespace: str) -> None:
    lab.apply(web("web", namespace))
    lab.wait_for_rollout("deployment/web", namespace)
    before = {pod["metadata"]["uid"] for pod in _pods(lab, namespace)}
    lab.kubectl("rollout", "restart", "deployment/web", "-n", namespace)
    lab.wait_for_rollout("deployment/web", namespace)
    assert not before & {pod["metadata"]["uid"] for pod in _pods(lab, namespace) if _is_staying(pod)}
    wait_for("the old pods to be gone", lambda: all(_is_staying(pod) for pod in _pods(lab, namespace)))


def _is_staying(pod: Body) -> bool:
    return "deletionTimestamp" not in pod["metadata"]


def test_a_container_that_dies_is_started_again(lab: Lab, namespace: str) -> None:
    lab.apply(web("web", namespace, replicas=1))
    lab.wait_for_rollout("deployment/web", namespace)
    pod = _pods(lab, namespace)[0]["metadata"]["name"]
    node = _pods(lab, namespace)[0]["spec"]["nodeName"]
    killed = lab.process(node, pod)
    killed.kill()

    def status() -> Body:
        entry: Body = lab.get("pod", pod, "-n", namespace)["status"]["containerStatuses"][0]
        return entry

    wait_for("the restart", lambda: status()["restartCount"] == 1 and status()["ready"])
    assert status()["lastState"]["terminated"]["exitCode"] == 128 + 9
    assert lab.process(node, pod) != killed


def test_an_unknown_image_is_told_in_the_status(lab: Lab, namespace: str) -> None:
    lab.apply(one_shot("strange", ["true"], namespace, image="nginx:1"))

    def waiting() -> Body:
        statuses = lab.get("pod", "strange", "-n", namespace)["status"].get("containerStatuses", [{}])
        reason: Body = statuses[0].get("state", {}).get("waiting", {})
        return reason

    wait_for("the reason", lambda: waiting().get("reason") == "ErrImagePull")
    assert "'nginx:1'" in waiting()["message"]


def test_environment_comes_from_fields_secrets_and_config_maps(lab: Lab, namespace: str) -> None:
    lab.kubectl("create", "secret", "generic", "hidden", "-n", namespace, "--from-literal=key=s3cret")
    lab.kubectl("create", "configmap", "open", "-n", namespace, "--from-literal=colour=blue")
    variables: list[Body] = [
        {"name": "PLAIN", "value": "yes"},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "hidden", "key": "key"}}},
        {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "open", "key": "colour"}}},
        {"name": "ABSENT", "valueFrom": {"configMapKeyRef": {"name": "open", "key": "no", "optional": True}}},
    ]
    printed = _result_of(lab, one_shot("env", ["env"], namespace, env=variables))
    found = dict(line.split("=", 1) for line in printed.splitlines())
    status = lab.get("pod", "env", "-n", namespace)
    assert found["PLAIN"] == "yes"
    assert found["NODE"] == status["spec"]["nodeName"]
    assert found["IP"] == status["status"]["podIP"]
    assert (found["SECRET"], found["COLOUR"]) == ("s3cret", "blue")
    assert "ABSENT" not in found


def test_a_pod_speaks_to_the_api_server_with_its_own_token(lab: Lab, namespace: str) -> None:
    program = """
import os, ssl, urllib.request
account = '/var/run/secrets/kubernetes.io/serviceaccount'
host, port = os.environ['KUBERNETES_SERVICE_HOST'], os.environ['KUBERNETES_SERVICE_PORT']
request = urllib.request.Request(f'https://{host}:{port}/apis/authentication.k8s.io/v1/selfsubjectreviews',
    data=b'{"kind":"SelfSubjectReview","apiVersion":"authentication.k8s.io/v1"}', method='POST',
    headers={'Authorization': 'Bearer ' + open(account + '/token').read(), 'Content-Type': 'application/json'})
context = ssl.create_default_context(cafile=account + '/ca.crt')
print(open(account + '/namespace').read())
print(urllib.request.urlopen(request, context=context).read().decode())
"""
    printed = _result_of(lab, one_shot("token", ["python", "-c", program], namespace))
    assert printed.splitlines()[0] == namespace
    assert f'"username":"system:serviceaccount:{namespace}:default"' in printed


def _capabilities(status: str) -> set[str]:
    found = re.search(r"CapEff:\s*([0-9a-f]+)", status)
    assert found
    mask = int(found[1], 16)
    return {name for number, name in enumerate(NAMES) if mask >> number & 1}


def test_a_container_has_the_capabilities_it_was_granted_and_no_others(lab: Lab, namespace: str) -> None:
    context = {"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN", "NET_RAW"]}}
    printed = _result_of(lab, one_shot("caps", ["cat", "/proc/self/status"], namespace, securityContext=context))
    assert _capabilities(printed) == {"NET_ADMIN", "NET_RAW"}


def test_a_user_other_than_root_has_no_capability(lab: Lab, namespace: str) -> None:
    context = {"runAsUser": 65532, "runAsNonRoot": True, "allowPrivilegeEscalation": False}
    printed = _result_of(lab, one_shot("user", ["cat", "/proc/self/status"], namespace, securityContext=context))
    assert not _capabilities(printed)
    assert re.search(r"Uid:\s+65532\s+65532", printed)
    assert re.search(r"NoNewPrivs:\s+1", printed)


def test_a_read_only_root_leaves_only_volumes_writable(lab: Lab, namespace: str) -> None:
    script = "for d in /run/scratch /tmp /run /var/tmp; do (echo > $d/f && echo $d && rm $d/f) 2>&-; done; true"
    pod = one_shot("read-only", ["sh", "-c", script], namespace, securityContext={"readOnlyRootFilesystem": True})
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "scratch", "mountPath": "/run/scratch"}]
    pod["spec"]["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    assert _result_of(lab, pod).split() == ["/run/scratch"]


def test_secrets_are_mounted_where_they_are_asked_for(lab: Lab, namespace: str) -> None:
    lab.kubectl("create", "secret", "generic", "hidden", "-n", namespace, "--from-literal=key=s3cret")
    pod = one_shot("mounted", ["cat", "/etc/example/keys/key", "/etc/passwd"], namespace)
    pod["spec"]["containers"][0]["volumeMounts"] = [{"name": "keys", "mountPath": "/etc/example/keys"}]
    pod["spec"]["volumes"] = [{"name": "keys", "secret": {"secretName": "hidden"}}]
    assert _result_of(lab, pod).startswith("s3cret")


def test_a_container_is_the_first_process_it_sees(lab: Lab, namespace: str) -> None:
    assert _result_of(lab, one_shot("alone", ["sh", "-c", "echo $$$$"], namespace)).split()[0] == "1"


def test_names_that_fit_no_container_are_refused(lab: Lab) -> None:
    with pytest.raises(RuntimeError, match="0 containers fit 'nobody'"):
        container_process(lab.kubelet("node-1"), "nobody")
