"""From MetalLB to Herald as a user does it: `migrate`, apply, start the controller; then `plan` and an edit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.api_server import ApiServer
from tests.cluster.controller.replicas import Replicas
from tests.cluster.controller.tenant import Settle, Tenant
from tests.foreign import METALLB_NAMESPACE, metallb, metallb_definitions

PROGRAM = Path(sys.executable).with_name("kubectl-herald")


@pytest.fixture
def metallb_kinds(api_server: ApiServer) -> Iterator[None]:
    """The API server knows MetalLB's kinds, for the length of a test."""
    crds = metallb_definitions()
    api_server.create_namespace(METALLB_NAMESPACE)
    api_server.apply(*crds)
    for each in crds:
        api_server.wait_until(f"crd/{each['metadata']['name']}", "condition=Established")
    yield
    api_server.kubectl("delete", "crd", *(each["metadata"]["name"] for each in crds))


def herald(api_server: ApiServer, command: str, *arguments: str) -> tuple[int, Any]:
    """`kubectl herald COMMAND -o json`: the exit status, and what it printed."""
    line = [str(PROGRAM), command, "--kubeconfig", str(api_server.kubeconfig), "-o", "json", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def about(tenant: Tenant, report: Any) -> dict[str, Any]:
    """What a report says of the tenant's Services, by name."""
    prefix = f"{tenant.namespace}/"
    services = report["services"]
    return {each["service"].removeprefix(prefix): each for each in services if each["service"].startswith(prefix)}


@pytest.mark.usefixtures("metallb_kinds")
def test_no_service_changes_its_address_from_metallb_to_herald_and_an_edit_does_what_was_planned(
    tenant: Tenant, replicas: Replicas, api_server: ApiServer, settle: Settle, tmp_path: Path
) -> None:
    replicas.end_all()
    lan, rest = tenant.pool_name("lan"), tenant.pool_name("rest")
    allocation = {"priority": 5, "namespaces": [tenant.namespace]}
    wide, narrow = [tenant.range4(10, 19), tenant.range6(16, 25)], [tenant.range4(100, 109)]
    api_server.apply(
        metallb("IPAddressPool", lan, {"addresses": wide, "serviceAllocation": allocation}),
        metallb("IPAddressPool", rest, {"addresses": narrow, "autoAssign": False, "serviceAllocation": allocation}),
        metallb("L2Advertisement", tenant.pool_name("l2"), {"ipAddressPools": [lan, rest], "interfaces": ["eth0"]}),
    )
    # As MetalLB leaves them: out of order, one by request, two that share, one on request only, one waits.
    tenant.service("a-waits")
    tenant.service("single")
    tenant.service("dual", families=["IPv4", "IPv6"])
    tenant.service("asks", annotations={"metallb.universe.tf/loadBalancerIPs": tenant.ipv4(17)})
    for name, port in (("shares-1", 80), ("shares-2", 443)):
        tenant.service(name, ports=[port], annotations={"metallb.io/allow-shared-ip": "web"})
    tenant.service("elsewhere", annotations={"metallb.io/address-pool": rest})
    before = {
        "single": [tenant.ipv4(10)],
        "dual": [tenant.ipv4(15), tenant.ipv6(20)],
        "asks": [tenant.ipv4(17)],
        "shares-1": [tenant.ipv4(12)],
        "shares-2": [tenant.ipv4(12)],
        "elsewhere": [tenant.ipv4(104)],
    }
    for name, addresses in before.items():
        tenant.set_status(name, *addresses)

    written = tmp_path / "herald.yaml"
    status, report = herald(api_server, "migrate", "--to", str(written))
    assert status == 0, report
    assert report["origins"] == ["metallb"]
    fates = {name: each["fate"] for name, each in about(tenant, report).items()}
    assert fates == dict.fromkeys(before, "keeps") | {"a-waits": "gets"}

    objects = list(yaml.safe_load_all(written.read_text()))
    api_server.apply(*objects)
    tenant.pools.extend([lan, rest])
    since = tenant.api.now()
    try:
        replicas.only()
        tenant.await_shown("a-waits", *about(tenant, report)["a-waits"]["after"])
        for name in before:
            tenant.await_condition(name, "True", "AddressAssigned")
        tenant.assert_kept(before, since)
        assert tenant.holders(tenant.ipv4(12)) == ["shares-1", "shares-2"]

        # What the pools' statuses count is written last.
        settle()
        planned_edit(tenant, api_server, tmp_path, lan)
    finally:
        api_server.kubectl("delete", "l2announcement", tenant.pool_name("l2"))


def planned_edit(tenant: Tenant, api_server: ApiServer, folder: Path, lan: str) -> None:
    """A pool loses the address of `single`: that is foretold to the address, and nothing is written by telling."""
    edit = {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "AddressPool",
        "metadata": {"name": lan},
        "spec": {"addresses": [tenant.range4(12, 19), tenant.range6(16, 25)], "namespaces": [tenant.namespace]},
    }
    wrong = {**edit, "spec": {"addresses": [f"{tenant.ipv4(12)}/24"]}}
    file = folder / "edit.json"
    versions = tenant.versions()

    file.write_text(json.dumps(wrong))
    status, report = herald(api_server, "plan", "-f", str(file))
    assert status == 1
    assert "has host bits set" in report["edits"][0]["refused"]
    assert {each["fate"] for each in about(tenant, report).values()} == {"keeps"}

    file.write_text(json.dumps(edit))
    status, report = herald(api_server, "plan", "-f", str(file))
    assert status == 1
    fates = {name: each["fate"] for name, each in about(tenant, report).items()}
    assert {name for name, fate in fates.items() if fate != "keeps"} == {"single", "a-waits"}
    assert tenant.versions() == versions

    api_server.apply(edit)
    for name in ("single", "a-waits"):
        tenant.await_shown(name, *about(tenant, report)[name]["after"])
