"""A small cluster for stories: objects as the API server writes them, and how the controller would leave them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any

from heraldlb.api.objects import NamespacedName
from heraldlb.cli.kubectl.explain.report import StoryReport, story, subject
from heraldlb.cli.kubectl.snapshot import Snapshot

Body = dict[str, Any]

CREATED = "2026-01-01T00:00:00Z"
NOW = 1_767_229_200.0
"""Unix seconds: an hour after CREATED."""

_VERSIONS = count(1)


def _metadata(name: str, namespace: str = "", **more: Any) -> Body:
    body = {"name": name, "uid": f"uid-{namespace}-{name}", "creationTimestamp": CREATED, "generation": 1, **more}
    return body | {"resourceVersion": str(next(_VERSIONS))} | ({"namespace": namespace} if namespace else {})


def condition(kind: str, status: str, reason: str, message: str = "as it is") -> Body:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": CREATED}


def pool(name: str, *addresses: str, status: Mapping[str, Any] | None = None, **spec: Any) -> Body:
    return {"metadata": _metadata(name), "spec": {"addresses": list(addresses), **spec}, "status": status or {}}


def service(
    name: str,
    *addresses: str,
    said: Body | None = None,
    annotations: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    **spec: Any,
) -> Body:
    """Of the namespace `shop`. `addresses`: what it shows; `said`: the controller's condition."""
    port = {"name": "http", "protocol": "TCP", "port": 80}
    defaults = {"type": "LoadBalancer", "selector": {"app": name}, "ports": [port], "ipFamilies": ["IPv4"]}
    return {
        "metadata": _metadata(name, "shop", annotations=annotations or {}, labels=labels or {}),
        "spec": defaults | spec,
        "status": {
            "loadBalancer": {"ingress": [{"ip": address, "ipMode": "VIP"} for address in addresses]},
            "conditions": [said] if said else [],
        },
    }


def assigned(message: str, reason: str = "AddressAssigned", *, good: bool = True) -> Body:
    """The controller's condition."""
    return condition("heraldlb.io/AddressAssigned", str(good), reason, message)


def record(
    address: str, pool_name: str, *holders: str, node: str = "", conditions: list[Body] | None = None
) -> Body:
    """A ServiceAddress that Services of the namespace `shop` hold, announced by `node` if one is named."""
    ports = [{"port": 80, "protocol": "TCP"}]
    services = [{"namespace": "shop", "name": name, "uid": f"uid-shop-{name}", "ports": ports} for name in holders]
    status: Body = {"conditions": conditions or []}
    if node:
        says = condition("Announced", "True", "Announcing", f"{node} answers on eth0 with 02:00:00:00:00:01")
        status |= {"node": node, "interface": "eth0", "macAddress": "02:00:00:00:00:01", "since": CREATED}
        status["conditions"] = [*status["conditions"], says]
    spec = {"address": address, "addressPool": pool_name, "services": services}
    return {"metadata": _metadata(address.replace(":", "-")), "spec": spec, "status": status}


def node(name: str, *, labels: Mapping[str, str] | None = None, **spec: Any) -> Body:
    ready = {"type": "Ready", "status": "True"}
    return {"metadata": _metadata(name, labels=labels or {}), "spec": spec, "status": {"conditions": [ready]}}


def endpoint_slice(
    service_name: str, endpoints: Mapping[str, str], port_name: str = "http", **conditions: bool
) -> Body:
    """`endpoints`: node by address."""
    return {
        "metadata": _metadata(f"{service_name}-1", "shop", labels={"kubernetes.io/service-name": service_name}),
        "addressType": "IPv4",
        "ports": [{"name": port_name, "protocol": "TCP", "port": 8080}],
        "endpoints": [
            {"addresses": [address], "nodeName": where, "conditions": conditions}
            for address, where in endpoints.items()
        ],
    }


def pod(
    component: str,
    name: str,
    node_name: str,
    *,
    ready: bool = True,
    version: str = "0.1.0",
    waiting: str = "",
    arguments: tuple[str, ...] = (),
    **env: str,
) -> Body:
    """A pod of Herald."""
    labels = {
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/version": version,
    }
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    container = {
        "name": component,
        "args": [component, *arguments],
        "env": [{"name": key, "value": value} for key, value in {"HERALD_LOG_LEVEL": "info", **env}.items()],
        "ports": [{"name": "metrics", "containerPort": 7473}],
    }
    return {
        "metadata": _metadata(name, "kube-system", labels=labels),
        "spec": {"nodeName": node_name, "containers": [container]},
        "status": {
            "startTime": CREATED,
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"restartCount": 0, "state": state}],
        },
    }


def lease(holder: str, renewed: str = "2026-01-01T01:00:00.000000Z") -> Body:
    spec = {"holderIdentity": holder, "acquireTime": CREATED, "renewTime": renewed, "leaseDurationSeconds": 5}
    return {"metadata": _metadata("heraldlb-controller", "kube-system"), "spec": spec}


def event(reason: str, about: str, note: str, when: str = CREATED, **fields: Any) -> Body:
    return {
        "metadata": _metadata(f"{about}.{next(_VERSIONS)}", "shop"),
        "reason": reason,
        "note": note,
        "type": "Normal",
        "eventTime": when,
        "reportingController": "heraldlb.io/agent",
        "reportingInstance": "n1",
        "regarding": {"kind": "Service", "namespace": "shop", "name": about},
        **fields,
    }


LAN = pool(
    "lan",
    "192.168.1.240-192.168.1.249",
    status={"observedGeneration": 1, "ipv4": {"capacity": 10, "assigned": 1, "available": 9}},
)

HERALD: Body = {
    "pods": (
        pod("controller", "herald-controller-1", "n1"),
        *(pod("agent", f"herald-agent-{name}", name) for name in ("n1", "n2", "n3")),
    ),
    "leases": (lease("herald-controller-1"),),
    "nodes": tuple(node(name) for name in ("n1", "n2", "n3")),
}
"""A whole installation on three nodes, as fields of a Snapshot."""


def snapshot(**fields: Any) -> Snapshot:
    """Of a healthy installation with the pool `lan`, unless fields say otherwise."""
    return Snapshot(NOW, **{**HERALD, "pools": (LAN,), **fields})


def story_of(name: str, found: Snapshot) -> StoryReport:
    service_named = subject(found, NamespacedName("shop", name))
    assert service_named is not None
    return story(found, service_named)


WEB = service("web", "192.168.1.240", said=assigned('192.168.1.240 from pool "lan"'))
WEB_RECORD = record("192.168.1.240", "lan", "web", node="n2")
WEB_SLICE = endpoint_slice("web", {"10.1.1.1": "n1", "10.1.1.2": "n1", "10.1.3.1": "n3"})
WORKING = snapshot(services=(WEB,), records=(WEB_RECORD,), slices=(WEB_SLICE,))
"""One Service that works: announced by n2, with two endpoints on n1 and one on n3."""
