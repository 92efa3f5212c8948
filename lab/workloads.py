"""Manifests of what tests and the demo run in a lab. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.kubelet.images import WEB

if TYPE_CHECKING:
    from collections.abc import Sequence

Body = dict[str, Any]

WEB_PORT = 8080
ECHO_PORT = 7777


def web(name: str, namespace: str = "default", replicas: int = 2) -> Body:
    """A Deployment of the lab's web server on WEB_PORT, with TCP and UDP echo on ECHO_PORT."""
    labels = {"app": name}
    container = {
        "name": "web",
        "image": WEB,
        "args": [f"--port={WEB_PORT}", f"--echo-port={ECHO_PORT}"],
        "ports": [{"name": "http", "containerPort": WEB_PORT}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "http"}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def service(name: str, namespace: str = "default", kind: str = "LoadBalancer", **spec: Any) -> Body:
    """A dual-stack Service on port 80 in front of the `web` of the same name; `spec` adds or replaces fields."""
    defaults = {
        "type": kind,
        "selector": {"app": name},
        "ipFamilyPolicy": "PreferDualStack",
        "ports": [{"name": "http", "port": 80, "targetPort": WEB_PORT}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": defaults | spec,
    }


def one_shot(name: str, command: Sequence[str], namespace: str = "default", **container: Any) -> Body:
    """A Pod that runs one command once; `container` adds fields to its container, `main`."""
    main = {"name": "main", "image": WEB, "command": list(command)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"restartPolicy": "Never", "containers": [main | container]},
    }
