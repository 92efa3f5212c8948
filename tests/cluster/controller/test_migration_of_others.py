"""From Cilium and kube-vip to Herald as a user does it: `migrate`, what it says of annotations, the controller."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.api_server import ApiServer
from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Tenant
from tests.cluster.controller.test_migration import about, herald
from tests.foreign import cilium, cilium_definitions, kube_vip

Body = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Former:
    """Who served the Services before."""

    origin: str
    objects: tuple[Body, ...]
    asking: str
    """The annotation by which a Service asks for addresses."""
    sharing: Mapping[str, str]
    """Annotations of Services that share an address."""


def from_cilium(tenant: Tenant) -> Former:
    inside = {"matchLabels": {"io.kubernetes.service.namespace": tenant.namespace}}
    pool = {"blocks": [_block(tenant.ipv4), _block(tenant.ipv6)], "serviceSelector": inside}
    policy = {"serviceSelector": inside, "interfaces": ["^eth[0-9]+$"], "loadBalancerIPs": True}
    return Former(
        "cilium",
        (
            cilium("CiliumLoadBalancerIPPool", tenant.pool_name("lan"), pool),
            cilium("CiliumL2AnnouncementPolicy", tenant.pool_name("l2"), policy),
        ),
        "lbipam.cilium.io/ips",
        {"lbipam.cilium.io/sharing-key": "web"},
    )


def _block(address: Any) -> Body:
    return {"start": address(10), "stop": address(30)}


def from_kube_vip(tenant: Tenant) -> Former:
    ranges = f"{tenant.range4(10, 30)},{tenant.range6(10, 30)}"
    data = {f"range-{tenant.namespace}": ranges, f"interface-{tenant.namespace}": "eth0"}
    return Former("kube-vip", (kube_vip(data),), "kube-vip.io/loadbalancerIPs", {})


@pytest.fixture(params=[from_cilium, from_kube_vip], ids=["cilium", "kube-vip"])
def former(request: pytest.FixtureRequest, tenant: Tenant, api_server: ApiServer) -> Iterator[Former]:
    """Its configuration is in the cluster, for the length of a test."""
    made: Former = request.param(tenant)
    definitions = cilium_definitions() if made.origin == "cilium" else []
    if definitions:
        api_server.apply(*definitions)
    for each in definitions:
        api_server.wait_until(f"crd/{each['metadata']['name']}", "condition=Established")
    api_server.apply(*made.objects)
    yield made
    gone = definitions or made.objects
    for each in gone:
        namespace = each["metadata"].get("namespace", "default")
        api_server.kubectl("delete", each["kind"], each["metadata"]["name"], "-n", namespace)


def test_no_service_changes_its_address_to_herald(
    former: Former, tenant: Tenant, replicas: Replicas, api_server: ApiServer, tmp_path: Path
) -> None:
    replicas.end_all()
    tenant.service("single")
    tenant.service("dual", families=["IPv4", "IPv6"])
    tenant.service("asks", annotations={former.asking: tenant.ipv4(27)})
    for name, port in (("shares-1", 80), ("shares-2", 443)):
        tenant.service(name, ports=[port], annotations=dict(former.sharing))
    before = {
        "single": [tenant.ipv4(20)],
        "dual": [tenant.ipv4(15), tenant.ipv6(21)],
        "asks": [tenant.ipv4(27)],
        "shares-1": [tenant.ipv4(12)],
        "shares-2": [tenant.ipv4(12)],
    }
    for name, addresses in before.items():
        tenant.set_status(name, *addresses)

    written = tmp_path / "herald.yaml"
    _, report = herald(api_server, "migrate", "--to", str(written))
    for advice in report["advice"]:
        program, *arguments = shlex.split(advice["command"])
        assert program == "kubectl"
        api_server.kubectl(*arguments)
    status, report = herald(api_server, "migrate", "--to", str(written))
    assert (status, report["origins"]) == (0, [former.origin]), report
    assert {name: each["fate"] for name, each in about(tenant, report).items()} == dict.fromkeys(before, "keeps")

    objects = list(yaml.safe_load_all(written.read_text()))
    api_server.apply(*objects)
    tenant.pools.extend(each["metadata"]["name"] for each in objects if each["kind"] == "AddressPool")
    since = tenant.api.now()
    try:
        replicas.only()
        for name in before:
            tenant.await_condition(name, "True", "AddressAssigned")
        tenant.assert_kept(before, since)
        assert tenant.holders(tenant.ipv4(12)) == ["shares-1", "shares-2"]
    finally:
        announcements = [each["metadata"]["name"] for each in objects if each["kind"] == "L2Announcement"]
        api_server.kubectl("delete", "l2announcement", *announcements)
