"""Objects of other load balancers, as far as tests need them. Pure."""

from __future__ import annotations

from typing import Any, Final

Body = dict[str, Any]

METALLB_NAMESPACE: Final = "metallb-system"
_METALLB: Final = {"IPAddressPool": "ipaddresspools", "L2Advertisement": "l2advertisements"}
_CILIUM: Final = {
    "CiliumLoadBalancerIPPool": "ciliumloadbalancerippools",
    "CiliumL2AnnouncementPolicy": "ciliuml2announcementpolicies",
}


def metallb_definitions() -> list[Body]:
    """MetalLB's kinds, with whatever fields."""
    return [_definition("metallb.io", "v1beta1", "Namespaced", *names) for names in _METALLB.items()]


def cilium_definitions() -> list[Body]:
    """Cilium's kinds of layer-2 load balancing, with whatever fields."""
    return [_definition("cilium.io", "v2alpha1", "Cluster", *names) for names in _CILIUM.items()]


def _definition(group: str, version: str, scope: str, kind: str, plural: str) -> Body:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}", "annotations": {"api-approved.kubernetes.io": "unapproved"}},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [served],
        },
    }


def metallb(kind: str, name: str, spec: Body) -> Body:
    """An object of MetalLB's."""
    metadata = {"name": name, "namespace": METALLB_NAMESPACE}
    return {"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": metadata, "spec": spec}


def cilium(kind: str, name: str, spec: Body) -> Body:
    """An object of Cilium's."""
    return {"apiVersion": "cilium.io/v2alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def kube_vip(data: dict[str, str]) -> Body:
    """The configuration of kube-vip's cloud provider."""
    metadata = {"name": "kubevip", "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
