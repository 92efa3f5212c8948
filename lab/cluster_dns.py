"""CoreDNS as a cluster has it: the manifests of its Deployment and of the Service kube-dns. Pure.

See https://github.com/kubernetes/dns/blob/master/docs/specification.md for the names it answers.
"""

from __future__ import annotations

from typing import Any, Final

from lab.addressing import SERVICES_IPV4, SERVICES_IPV6
from lab.kubelet.images import COREDNS

Body = dict[str, Any]

NAMESPACE: Final = "kube-system"
NAME: Final = "coredns"
DOMAIN: Final = "cluster.local"
IPV4: Final = str(SERVICES_IPV4[10])
IPV6: Final = str(SERVICES_IPV6[10])

_COREFILE: Final = f"""
.:53 {{
    errors
    health
    ready
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        ttl 5
    }}
    cache 5
}}
"""
_LABELS: Final = {"k8s-app": "kube-dns"}
_READ: Final = ["list", "watch"]


def manifests(replicas: int = 2) -> list[Body]:
    """All of it. CoreDNS itself reaches the API server by its ClusterIP, as pods of a cluster do."""
    return [*_rights(), _configuration(), _deployment(replicas), _service()]


def _metadata(name: str, **fields: Any) -> Body:
    return {"name": name, "namespace": NAMESPACE, **fields}


def _rights() -> list[Body]:
    group = "rbac.authorization.k8s.io"
    name = f"system:{NAME}"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(NAME)},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [
                {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": _READ},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _READ},
            ],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
        },
    ]


def _configuration() -> Body:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(NAME), "data": {"Corefile": _COREFILE}}


def _deployment(replicas: int) -> Body:
    container = {
        "name": NAME,
        "image": COREDNS,
        "args": ["-conf", "/etc/coredns/Corefile"],
        "env": [
            {"name": "KUBERNETES_SERVICE_HOST", "value": str(SERVICES_IPV4[1])},
            {"name": "KUBERNETES_SERVICE_PORT", "value": "443"},
        ],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(NAME),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": _LABELS},
            "template": {
                "metadata": {"labels": _LABELS},
                "spec": {
                    "serviceAccountName": NAME,
                    "containers": [container],
                    "volumes": [{"name": "config", "configMap": {"name": NAME}}],
                },
            },
        },
    }


def _service() -> Body:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": "dns-tcp"},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata("kube-dns", labels=_LABELS),
        "spec": {
            "selector": _LABELS,
            "clusterIP": IPV4,
            "clusterIPs": [IPV4, IPV6],
            "ipFamilies": ["IPv4", "IPv6"],
            "ipFamilyPolicy": "RequireDualStack",
            "ports": ports,
        },
    }
