"""The Service of a self-test, and what is told by it and by the records of its addresses. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from heraldlb.api import conditions
from heraldlb.api.group import ADDRESS_ASSIGNED_CONDITION
from heraldlb.api.objects import Raw, entries, text
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import ANNOUNCED_CONDITION

Found = TypeVar("Found")

PORT: Final = 80
TARGET_PORT: Final = 8080


@dataclass(frozen=True, slots=True)
class Pod:
    """The pod that a self-test runs in, and that its Service leads to."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]
    """Such as no other pod of the namespace has."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[Found]):
    """What was looked for, or None and why it is not there yet."""

    found: Found | None
    why: str = ""


def manifest(pod: Pod, load_balancer_class: str) -> dict[str, Any]:
    """A Service named after the pod, of every family that the cluster has, which goes when the pod does.

    `load_balancer_class`: empty leaves it to the default.
    """
    spec: dict[str, Any] = {
        "type": "LoadBalancer",
        "ipFamilyPolicy": "PreferDualStack",
        "allocateLoadBalancerNodePorts": False,
        "selector": dict(pod.labels),
        "ports": [{"name": "http", "port": PORT, "targetPort": TARGET_PORT}],
    }
    if load_balancer_class:
        spec["loadBalancerClass"] = load_balancer_class
    owner = {"apiVersion": "v1", "kind": "Pod", "name": pod.name, "uid": pod.uid}
    metadata = {
        "namespace": pod.namespace,
        "name": pod.name,
        "labels": dict(pod.labels),
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def assigned(service: Raw) -> Answer[tuple[IPAddress, ...]]:
    """The addresses in its status, once Herald says that they are all."""
    shown = entries(service, "status", "loadBalancer", "ingress")
    told = entries(service, "status", "conditions")
    if shown and conditions.is_true(told, ADDRESS_ASSIGNED_CONDITION):
        return Answer(tuple(ipaddress.ip_address(text(entry, "ip")) for entry in shown))
    return Answer(None, _message(told, ADDRESS_ASSIGNED_CONDITION) or "no controller has looked at the Service yet")


def announced(record: Raw) -> Answer[str]:
    """Node and interface of a ServiceAddress that is announced, in words."""
    told = entries(record, "status", "conditions")
    if conditions.is_true(told, ANNOUNCED_CONDITION):
        return Answer(f"{text(record, 'status', 'node')} on {text(record, 'status', 'interface')}")
    return Answer(None, _message(told, ANNOUNCED_CONDITION) or "no agent has taken it up yet")


def _message(told: list[Raw], kind: str) -> str:
    found = (f"{text(each, 'reason')}: {text(each, 'message')}" for each in told if text(each, "type") == kind)
    return next(found, "")
