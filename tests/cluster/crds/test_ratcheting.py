"""Objects from before a rule: a later release may add one, and what is stored must stay editable."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml

from lab.cluster import KubectlError
from tests.cluster.crds.conftest import CRDS
from tests.cluster.kubectl import Kubectl

GROUP = "earlier.example.com"
PLURAL = "earlierpools"
POOL = {
    "apiVersion": f"{GROUP}/v1beta1",
    "kind": "EarlierPool",
    "metadata": {"name": "old"},
    "spec": {"addresses": ["10.0.0.5/24", "10.0.0.7"]},
}


def definition() -> dict[str, Any]:
    """The AddressPool's definition under another name, so that no other test sees it change."""
    crd: dict[str, Any] = yaml.safe_load((CRDS / "heraldlb.io_addresspools.yaml").read_text())
    crd["metadata"]["name"] = f"{PLURAL}.{GROUP}"
    crd["spec"]["group"] = GROUP
    crd["spec"]["names"] = {"kind": "EarlierPool", "plural": PLURAL}
    return crd


def without_rules(crd: dict[str, Any]) -> dict[str, Any]:
    lax = deepcopy(crd)
    spec = lax["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    addresses = spec["properties"]["addresses"]
    del addresses["x-kubernetes-validations"], addresses["items"]["x-kubernetes-validations"]
    return lax


@pytest.fixture
def stored_before_the_rules(kubectl: Kubectl) -> Iterator[str]:
    """The resource name of an object that today's rules refuse."""
    kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(without_rules(definition())))
    try:
        kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{PLURAL}.{GROUP}")
        kubectl.create(POOL, dry_run=False)
        kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(definition()))
        # The API server takes up a changed schema behind the scenes, and says nowhere when it has.
        with contextlib.suppress(KubectlError):
            for _ in range(300):
                kubectl.create(POOL | {"metadata": {"name": "new"}})
        yield f"{PLURAL}.{GROUP}/old"
    finally:
        kubectl("delete", f"crd/{PLURAL}.{GROUP}")


def test_an_old_object_can_be_edited_elsewhere_but_gets_no_new_mistakes(
    kubectl: Kubectl, stored_before_the_rules: str
) -> None:
    def patch(spec: dict[str, Any]) -> None:
        kubectl("patch", stored_before_the_rules, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    patch({"priority": 7})
    with pytest.raises(KubectlError, match=r"10\.1\.0\.5/24.* has host bits set"):
        patch({"addresses": [*POOL["spec"]["addresses"], "10.1.0.5/24"]})  # type: ignore[index]
    patch({"addresses": ["10.0.0.0/24"]})
