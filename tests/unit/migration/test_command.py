from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click import unstyle
from click.testing import CliRunner, Result

from heraldlb.cli.kubectl.exits import Exit
from heraldlb.cli.kubectl.main import group
from tests.unit.migration.test_proof import POOL, held

PEER = {"apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": {"name": "router"}}
STRAY = held("stray", "10.9.9.9")
KUBE_VIP = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "kubevip"},
    "data": {"cidr-global": "10.2.0.0/24"},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Configuration and Services, as somebody saved them."""
    (tmp_path / "config.json").write_text(json.dumps({"kind": "List", "items": [POOL, PEER, KUBE_VIP]}))
    (tmp_path / "services.yaml").write_text(yaml.safe_dump_all([held("web", "10.0.0.1"), held("waits")]))
    (tmp_path / "README").write_text("no object of any kind")
    return tmp_path


def migrate(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(group, ["migrate", *arguments], input=stdin)


def test_objects_go_to_standard_output_alone_so_that_kubectl_can_be_piped(folder: Path) -> None:
    result = migrate("-f", str(folder))
    assert result.exit_code == Exit.FINE
    objects = list(yaml.safe_load_all(result.stdout))
    assert [(each["kind"], each["metadata"]["name"]) for each in objects] == [
        ("AddressPool", "lan"),
        ("AddressPool", "kube-vip-global"),
    ]
    said = unstyle(result.stderr)
    assert "BGPPeer router" in said
    assert "1 Service with an address, and every one keeps it; 1 without an address now" in said
    assert "kubectl apply -f herald.yaml" in said


def test_the_report_goes_to_standard_output_where_a_file_takes_the_objects(folder: Path) -> None:
    file = folder / "herald.yaml"
    result = migrate("-f", str(folder), "--from", "kube-vip", "--to", str(file))
    # Without MetalLB's pool there is nowhere to keep an address of it.
    assert result.exit_code == Exit.WRONG
    [pool] = yaml.safe_load_all(file.read_text())
    assert pool["spec"] == {"addresses": ["10.2.0.0/24"]}
    assert f"kubectl apply -f {file}" in result.stdout


def test_one_document_has_everything(folder: Path) -> None:
    report = json.loads(migrate("-f", str(folder), "-o", "json").stdout)
    assert report["origins"] == ["metallb", "kube-vip"]
    assert [each["fate"] for each in report["services"]] == ["gets", "keeps"]
    assert {note["title"] for note in report["notes"]} == {"BGPPeer router", "IPAddressPool lan"}
    assert report["steps"][0]["commands"]


def test_a_service_that_would_lose_its_address_makes_it_fail(folder: Path) -> None:
    (folder / "more.json").write_text(json.dumps(STRAY))
    result = migrate("-f", str(folder))
    assert result.exit_code == Exit.WRONG
    assert "1 of 2 Services with an address would not keep it" in unstyle(result.stderr)
    assert "First see to the Services above" in unstyle(result.stderr)


def test_without_services_nothing_is_proved_and_it_says_so() -> None:
    result = migrate("-f", "-", "--offline", stdin=json.dumps(POOL))
    assert result.exit_code == Exit.FINE
    assert "nothing is proved" in unstyle(result.stderr)


def test_what_is_no_configuration_is_named(folder: Path) -> None:
    result = migrate("-f", str(folder / "services.yaml"))
    assert (result.exit_code, result.stdout) == (Exit.NOT_FOUND, "")
    broken = migrate("-f", "-", stdin="a: ]")
    assert broken.exit_code == Exit.USAGE
    assert "standard input:1" in broken.stderr
    assert migrate("-f", str(folder / "none.yaml")).exit_code == Exit.USAGE
