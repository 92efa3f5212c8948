"""What a self-test asks for, and how it reads what it is told."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from heraldlb.api.services import parse_service
from heraldlb.installation.service import Pod, announced, assigned, manifest

POD = Pod("kube-system", "herald-test", "uid-1", {"component": "test"})


def told(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": message}]}


def test_the_service_leads_to_the_pod_and_goes_with_it() -> None:
    made = manifest(POD, "")
    assert made["spec"]["selector"] == POD.labels
    assert made["metadata"]["ownerReferences"] == [
        {"apiVersion": "v1", "kind": "Pod", "name": "herald-test", "uid": "uid-1"}
    ]
    service = parse_service(made)
    assert service.load_balancer_class is None
    assert made["spec"]["allocateLoadBalancerNodePorts"] is False


def test_the_service_asks_for_the_class_that_is_served() -> None:
    assert parse_service(manifest(POD, "example.com/lb")).load_balancer_class == "example.com/lb"


def test_addresses_count_once_herald_says_that_they_are_all() -> None:
    ingress = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}]}}
    kind = "heraldlb.io/AddressAssigned"
    whole = assigned({"status": ingress | told(kind, "True")})
    assert whole.found == (ip_address("192.0.2.1"), ip_address("2001:db8::1"))
    half = assigned({"status": ingress | told(kind, "False", "FamilyUnavailable", "no IPv6")})
    assert (half.found, half.why) == (None, "FamilyUnavailable: no IPv6")


def test_a_service_that_nobody_has_looked_at_says_so() -> None:
    assert assigned({"status": {"loadBalancer": {}}}).why == "no controller has looked at the Service yet"
    other = assigned({"status": told("example.com/Other", "False", "X", "y")})
    assert other.why == "no controller has looked at the Service yet"


def test_an_announced_address_names_node_and_interface() -> None:
    status = {"node": "node-1", "interface": "eth0"}
    assert announced({"status": status | told("Announced", "True")}).found == "node-1 on eth0"
    refused = announced({"status": told("Announced", "False", "NoEligibleNode", "node-1: cordoned")})
    assert (refused.found, refused.why) == (None, "NoEligibleNode: node-1: cordoned")
    assert announced({}).why == "no agent has taken it up yet"
