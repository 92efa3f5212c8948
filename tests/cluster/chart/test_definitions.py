"""The Job of an upgrade brings old definitions up to date, with the rights that the chart gives it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.api_server import ApiServer

CHART = Path(__file__).parents[3] / "charts" / "heraldlb"
HERALD = Path(sys.executable).parent / "heraldlb"
NAMESPACE, ACCOUNT = "default", "old-heraldlb-crds"


@pytest.fixture
def server() -> Iterator[ApiServer]:
    """One of its own, since definitions are everybody's."""
    with ApiServer(controller_manager=False) as running:
        yield running


def apply_crds(folder: Path, kubeconfig: Path) -> subprocess.CompletedProcess[str]:
    command = [HERALD, "apply-crds", str(folder), f"--kubeconfig={kubeconfig}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def served(server: ApiServer, plural: str) -> dict[str, Any]:
    (version,) = server.get("crd", f"{plural}.heraldlb.io")["spec"]["versions"]
    return {"columns": version["additionalPrinterColumns"], "spec": schema(version)["spec"]}


def schema(version: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]
    return properties


def test_old_definitions_are_replaced_missing_ones_made_and_others_out_of_reach(
    server: ApiServer, tmp_path: Path
) -> None:
    new = {path.name: yaml.safe_load(path.read_text()) for path in (CHART / "crds").glob("*.yaml")}
    pools, announcements, addresses = (
        f"heraldlb.io_{plural}.yaml" for plural in ("addresspools", "l2announcements", "serviceaddresses")
    )
    # As an earlier version had it: a field fewer, a rule and a column that are gone since.
    old = yaml.safe_load((CHART / "crds" / pools).read_text())
    (version,) = old["spec"]["versions"]
    spec = schema(version)["spec"]
    del spec["properties"]["reclaimPolicy"]
    spec["x-kubernetes-validations"] = [{"rule": "self.addresses.size() < 3", "message": "two are enough"}]
    version["additionalPrinterColumns"].append({"name": "Gone", "type": "string", "jsonPath": ".spec.gone"})
    # As Helm installs them: created, not applied. A later version's kind is not there at all.
    for body in (old, new[addresses]):
        server.kubectl("create", "-f", "-", input=yaml.safe_dump(body))
    hook = [body for body in server.render(CHART, {}, "old", NAMESPACE, hooks=True) if ACCOUNT in str(body)]
    server.apply(
        *(body for body in hook if body["kind"] in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding"))
    )
    account = server.service_account_kubeconfig(NAMESPACE, ACCOUNT)

    done = apply_crds(CHART / "crds", account)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is up to date") == 3
    by_hand = tmp_path / "by-hand"
    for plural, name in (("addresspools", pools), ("l2announcements", announcements)):
        found = served(server, plural)
        server.kubectl("replace", "-f", "-", input=yaml.safe_dump(new[name]))
        assert found == served(server, plural), "what is applied is what would be there without anything old"
    assert apply_crds(CHART / "crds", account).returncode == 0, "again, as at the next upgrade"

    by_hand.mkdir()
    stranger = new[pools] | {"metadata": {"name": "others.example.com"}}
    (by_hand / "other.yaml").write_text(yaml.safe_dump(stranger))
    refused = apply_crds(by_hand, account)
    assert refused.returncode != 0
    assert 'others.example.com" is forbidden' in refused.stderr
