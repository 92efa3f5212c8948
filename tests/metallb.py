"""MetalLB's objects, as far as tests need them. Pure."""

from __future__ import annotations

from typing import Any, Final

Body = dict[str, Any]

NAMESPACE: Final = "metallb-system"
KINDS: Final = {"IPAddressPool": "ipaddresspools", "L2Advertisement": "l2advertisements"}


def definitions() -> list[Body]:
    """Its kinds, with whatever fields."""
    return [_definition(kind, plural) for kind, plural in KINDS.items()]


def _definition(kind: str, plural: str) -> Body:
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1beta1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.metallb.io", "annotations": {"api-approved.kubernetes.io": "unapproved"}},
        "spec": {
            "group": "metallb.io",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [version],
        },
    }


def metallb(kind: str, name: str, spec: Body) -> Body:
    """An object of its."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "metallb.io/v1beta1", "kind": kind, "metadata": metadata, "spec": spec}
