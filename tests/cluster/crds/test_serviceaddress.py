"""The ServiceAddress: what makes the API server itself refuse to give an address twice."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from heraldlb.api.serviceaddress import object_name
from lab.cluster import KubectlError
from tests.cluster.kubectl import Kubectl


def record(address: str, name: str | None = None, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "ServiceAddress",
        "metadata": {"name": name or object_name(ipaddress.ip_address(address))},
        "spec": {"address": address, "addressPool": "lan", "services": [holder()], **spec},
    }


def holder(**changes: Any) -> dict[str, Any]:
    ports = [{"port": 80, "protocol": "TCP"}]
    return {"namespace": "shop", "name": "web", "uid": "u-1", "ports": ports} | changes


@pytest.mark.parametrize(
    "address",
    [
        "192.168.1.240",
        "0.0.0.1",
        "255.255.255.255",
        "fd00::a",
        "fd00:1::",
        "::1",
        "2001:db8:1:2:3:4:5:6",
        "64:ff9b::102:304",
    ],
)
def test_the_name_that_herald_gives_is_accepted(kubectl: Kubectl, address: str) -> None:
    assert kubectl.create(record(address))["spec"]["address"] == address


MISNAMED = {
    "another IPv4 address": ("192.168.1.240", "192.168.1.241"),
    "IPv4 with dashes": ("192.168.1.240", "192-168-1-240"),
    "no address": ("192.168.1.240", "web"),
    "another IPv6 address": ("fd00::a", "fd00-0-0-0-0-0-0-b"),
    "leading zero in the last group": ("fd00::a", "fd00-0-0-0-0-0-0-0a"),
    "leading zero in another group": ("fd00::a", "fd00-0-0-0-0-00-0-a"),
    "shortened": ("fd00::a", "fd00--a"),
    "seven groups": ("fd00::a", "fd00-0-0-0-0-0-a"),
    "nine groups": ("fd00::a", "fd00-0-0-0-0-0-0-0-a"),
    "IPv4-mapped": ("fd00::a", "0-0-0-0-0-ffff-a00-1"),
}


@pytest.mark.parametrize(("address", "name"), MISNAMED.values(), ids=MISNAMED.keys())
def test_no_address_has_a_second_name(kubectl: Kubectl, address: str, name: str) -> None:
    message = kubectl.refusal(record(address, name))
    assert "spec.address: Invalid value" in message
    assert f'"{name}" is not the name of {address}' in message


NOT_CANONICAL = {
    "zeros": ("fd00:0:0::a", "write fd00::a"),
    "capitals": ("FD00::A", "write fd00::a"),
    "mapped": ("::ffff:10.0.0.1", "is not an IP address"),
    "zone": ("fe80::1%eth0", "is not an IP address"),
    "CIDR": ("10.0.0.1/32", "is not an IP address"),
}


@pytest.mark.parametrize(("address", "advice"), NOT_CANONICAL.values(), ids=NOT_CANONICAL.keys())
def test_an_address_has_one_spelling(kubectl: Kubectl, address: str, advice: str) -> None:
    message = kubectl.refusal(record(address, "fd00-0-0-0-0-0-0-a"))
    assert f'spec.address: Invalid value: "{address}": "{address}" ' in message
    assert advice in message


def test_an_address_cannot_be_given_twice_nor_turned_into_another(kubectl: Kubectl) -> None:
    kubectl.create(record("10.77.0.1"), dry_run=False)
    try:
        with pytest.raises(KubectlError, match=r'"10\.77\.0\.1" already exists'):
            kubectl.create(record("10.77.0.1", services=[holder(uid="u-2", name="other")]))
        with pytest.raises(KubectlError, match=r"cannot be changed from 10\.77\.0\.1 to 10\.77\.0\.2"):
            kubectl("patch", "svcip", "10.77.0.1", "--type=merge", '--patch={"spec": {"address": "10.77.0.2"}}')
        kubectl("patch", "svcip", "10.77.0.1", "--type=merge", '--patch={"spec": {"addressPool": "renamed"}}')
    finally:
        kubectl("delete", "serviceaddress", "10.77.0.1")


def test_several_services_share_an_address_by_a_key(kubectl: Kubectl) -> None:
    services = [holder(), holder(name="dns", uid="u-2", ports=[{"port": 53, "protocol": "UDP"}])]
    spec = kubectl.create(record("10.0.0.1", services=services, sharingKey="team-a"))["spec"]
    assert spec["services"] == services
    assert spec["sharingKey"] == "team-a"


def test_an_address_may_be_kept_for_services_that_hold_it_no_more(kubectl: Kubectl) -> None:
    kept = [
        {"namespace": "shop", "name": "dns", "releasedAt": "2026-01-02T03:04:05.678901Z", "moved": True},
        {"namespace": "shop", "name": "web", "releasedAt": "2026-01-02T03:04:05Z"},
    ]
    spec = kubectl.create(record("10.0.0.1", services=[], reservations=kept))["spec"]
    assert spec["services"] == []
    assert spec["reservations"] == kept


WRONG = {
    "service twice": ({"services": [holder(), holder()]}, "spec.services[1]: Duplicate value"),
    "no uid": (
        {"services": [{"namespace": "a", "name": "b", "ports": []}]},
        "spec.services[0].uid: Required value",
    ),
    "port": (
        {"services": [holder(ports=[{"port": 0, "protocol": "TCP"}])]},
        "spec.services[0].ports[0].port: Invalid",
    ),
    "protocol": (
        {"services": [holder(ports=[{"port": 1, "protocol": "ICMP"}])]},
        'spec.services[0].ports[0].protocol: Unsupported value: "ICMP"',
    ),
    "kept twice for one": (
        {"reservations": [{"namespace": "a", "name": "b", "releasedAt": "2026-01-02T03:04:05Z"}] * 2},
        "spec.reservations[1]: Duplicate value",
    ),
    "kept since never": (
        {"reservations": [{"namespace": "a", "name": "b"}]},
        "spec.reservations[0].releasedAt: Required value",
    ),
    "no pool": ({"addressPool": None}, "spec.addressPool: Required value"),
}


@pytest.mark.parametrize(("spec", "complaint"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_value_is_refused_by_its_field(kubectl: Kubectl, spec: dict[str, Any], complaint: str) -> None:
    assert complaint in kubectl.refusal(record("10.0.0.1", **spec))
