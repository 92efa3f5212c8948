"""What kubectl shows: columns, categories, short names, and the reference behind `kubectl explain`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.cluster import KubectlError
from tests.cluster.crds.conftest import CRDS
from tests.cluster.kubectl import Kubectl

API_VERSION = "heraldlb.io/v1beta1"
THEN = "2026-01-02T03:04:05Z"


def condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "Because.",
        "lastTransitionTime": THEN,
        "observedGeneration": 1,
    }


@pytest.fixture(scope="module")
def shown(kubectl: Kubectl) -> Iterator[Kubectl]:
    """One object of each kind with its status, as in a working cluster."""
    ports = [{"port": 80, "protocol": "TCP"}]
    specs: dict[tuple[str, str], dict[str, Any]] = {
        ("AddressPool", "shown"): {"addresses": ["10.88.0.1-10.88.0.9", "fd88::/120"]},
        ("L2Announcement", "shown"): {"addressPools": ["shown"], "interfaces": {"include": ["eth*"]}},
        ("ServiceAddress", "fd88-0-0-0-0-0-0-1"): {
            "address": "fd88::1",
            "addressPool": "shown",
            "services": [
                {"namespace": "shop", "name": "web", "uid": "1", "ports": ports},
                {"namespace": "shop", "name": "web-udp", "uid": "2", "ports": ports},
            ],
            "sharingKey": "web",
        },
    }
    for (kind, name), spec in specs.items():
        manifest = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
        kubectl.create(manifest, dry_run=False)
    kubectl.set_status(
        "addresspool",
        "shown",
        {
            "observedGeneration": 1,
            "conditions": [condition("Ready", "True", "Ready"), condition("Exhausted", "False", "Available")],
            "assigned": 3,
            "ipv4": {"capacity": 9, "assigned": 2, "available": 7},
            "ipv6": {"capacity": 2**53 - 1, "assigned": 1, "available": 2**53 - 2},
            "quarantined": [{"address": "10.88.0.3", "macAddress": "02:00:5e:00:53:01", "since": THEN}],
        },
    )
    kubectl.set_status(
        "l2announcement",
        "shown",
        {"conditions": [condition("Ready", "True", "Ready")], "matchedServices": 2, "matchedNodes": 3},
    )
    kubectl.set_status(
        "serviceaddress",
        "fd88-0-0-0-0-0-0-1",
        {
            "node": "node-1",
            "interface": "eth0",
            "macAddress": "02:00:5e:00:53:02",
            "since": THEN,
            "conditions": [condition("Announced", "True", "Announcing")],
        },
    )
    yield kubectl
    for kind, name in specs:
        kubectl("delete", kind, name)


def without_age(row: dict[str, str]) -> dict[str, str]:
    age = row.pop("AGE")
    assert age.endswith(("s", "m"))
    return row


def test_a_pool_shows_what_it_has_left(shown: Kubectl) -> None:
    (row,) = shown.columns("addresspool", "shown")
    assert list(row) == ["NAME", "READY", "ASSIGNMENT", "ASSIGNED", "FREE-IPV4", "FREE-IPV6", "AGE"]
    assert without_age(row) == {
        "NAME": "shown",
        "READY": "True",
        "ASSIGNMENT": "Automatic",
        "ASSIGNED": "3",
        "FREE-IPV4": "7",
        "FREE-IPV6": "9007199254740990",
    }


def test_a_pool_shows_its_addresses_when_asked_for_more(shown: Kubectl) -> None:
    (row,) = shown.columns("addresspool", "shown", "--output=wide")
    assert list(row)[-2:] == ["ADDRESSES", "PRIORITY"]
    assert row["ADDRESSES"] == '["10.88.0.1-10.88.0.9","fd88::/120"]'
    assert row["PRIORITY"] == "100"


def test_a_service_address_shows_who_has_it_and_where(shown: Kubectl) -> None:
    (row,) = shown.columns("serviceaddress", "fd88-0-0-0-0-0-0-1")
    assert list(row) == ["NAME", "POOL", "NAMESPACE", "SERVICE", "NODE", "INTERFACE", "ANNOUNCED", "AGE"]
    assert without_age(row) == {
        "NAME": "fd88-0-0-0-0-0-0-1",
        "POOL": "shown",
        "NAMESPACE": "shop",
        "SERVICE": "web",
        "NODE": "node-1",
        "INTERFACE": "eth0",
        "ANNOUNCED": "True",
    }


def test_a_service_address_shows_the_rest_when_asked_for_more(shown: Kubectl) -> None:
    (row,) = shown.columns("serviceaddress", "fd88-0-0-0-0-0-0-1", "--output=wide")
    assert {key: row[key] for key in ("ADDRESS", "MAC")} == {
        "ADDRESS": "fd88::1",
        "MAC": "02:00:5e:00:53:02",
    }


def test_an_announcement_shows_what_it_applies_to(shown: Kubectl) -> None:
    (row,) = shown.columns("l2announcement", "shown", "--output=wide")
    row.pop("AGE")
    assert row == {
        "NAME": "shown",
        "READY": "True",
        "BALANCING": "Single",
        "SERVICES": "2",
        "NODES": "3",
        "POOLS": '["shown"]',
        "INTERFACES": '["eth*"]',
    }


def test_one_word_lists_every_kind(shown: Kubectl) -> None:
    listed = shown("get", "herald", "--output=name").split()
    assert {name.split("/")[0] for name in listed} == {
        "addresspool.heraldlb.io",
        "l2announcement.heraldlb.io",
        "serviceaddress.heraldlb.io",
    }


@pytest.mark.parametrize(("short", "name"), [("apool", "shown"), ("l2a", "shown"), ("svcip", "fd88-0-0-0-0-0-0-1")])
def test_short_names_work(shown: Kubectl, short: str, name: str) -> None:
    assert shown("get", short, name, "--output=name").endswith(f"/{name}\n")


def test_the_status_is_not_written_with_the_spec(shown: Kubectl) -> None:
    shown("patch", "apool", "shown", "--type=merge", '--patch={"status": {"assigned": 99}}')
    assert shown("get", "apool", "shown", "--output=jsonpath={.status.assigned}") == "3"


def test_a_second_condition_of_one_type_is_refused(shown: Kubectl) -> None:
    twice = [condition("Ready", "True", "A"), condition("Ready", "False", "B")]
    with pytest.raises(KubectlError, match=r"status\.conditions\[1\]: Duplicate value"):
        shown.set_status("addresspool", "shown", {"conditions": twice})


@pytest.mark.parametrize("file", sorted(CRDS.glob("*.yaml")), ids=lambda file: file.stem)
def test_explain_documents_every_field(kubectl: Kubectl, file: Path) -> None:
    crd = yaml.safe_load(file.read_text())
    explained = kubectl("explain", crd["spec"]["names"]["plural"], "--recursive")
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    for field in spec["properties"]:
        assert field in explained
        description = kubectl("explain", f"{crd['spec']['names']['plural']}.spec.{field}")
        assert "<no description>" not in description.partition("DESCRIPTION:")[2].partition("FIELDS:")[0]
