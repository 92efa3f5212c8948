"""What the API server itself says about an L2Announcement."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.kubectl import Kubectl


def announcement(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "L2Announcement",
        "metadata": {"name": "tried"},
        "spec": spec,
    }


def test_an_empty_announcement_is_about_everything_and_single(kubectl: Kubectl) -> None:
    assert kubectl.create(announcement())["spec"] == {"balancing": "Single"}


def test_a_full_announcement_is_kept_as_written(kubectl: Kubectl) -> None:
    spec = {
        "addressPools": ["lan", "dmz.v6"],
        "serviceSelector": {"matchLabels": {"app": "web"}},
        "nodeSelector": {"matchExpressions": [{"key": "edge", "operator": "Exists"}]},
        "interfaces": {"include": ["eth*", "en[op]?s*"], "exclude": ["eth9", "bond0.100"]},
        "balancing": "PerClient",
        "nodePreferences": [
            {"weight": 100, "nodeSelector": {"matchLabels": {"rack": "a"}}},
            {"weight": 1, "nodeSelector": {}},
        ],
    }
    assert kubectl.create(announcement(**spec))["spec"] == spec


WRONG = {
    "balancing": ({"balancing": "Equal"}, 'spec.balancing: Unsupported value: "Equal"'),
    "pool pattern": (
        {"addressPools": ["lan", "*"]},
        'spec.addressPools[1]: Invalid value: "*": "*" is not the name of an AddressPool',
    ),
    "pool twice": ({"addressPools": ["lan", "lan"]}, 'spec.addressPools[1]: Duplicate value: "lan"'),
    "two interfaces in one": (
        {"interfaces": {"include": ["eth0 eth1"]}},
        'spec.interfaces.include[0]: Invalid value: "eth0 eth1": "eth0 eth1" can match no interface',
    ),
    "interface path": (
        {"interfaces": {"exclude": ["eth0", "dev/eth0"]}},
        'spec.interfaces.exclude[1]: Invalid value: "dev/eth0"',
    ),
    "empty interface": ({"interfaces": {"include": [""]}}, "spec.interfaces.include[0]"),
    "weight too large": (
        {"nodePreferences": [{"weight": 101, "nodeSelector": {}}]},
        "spec.nodePreferences[0].weight: Invalid value: 101",
    ),
    "weight too small": (
        {"nodePreferences": [{"weight": 0, "nodeSelector": {}}]},
        "spec.nodePreferences[0].weight: Invalid value: 0",
    ),
    "preference of no nodes": (
        {"nodePreferences": [{"weight": 1}]},
        "spec.nodePreferences[0].nodeSelector: Required value",
    ),
    "field that does not exist": ({"interface": ["eth0"]}, 'unknown field "spec.interface"'),
}


@pytest.mark.parametrize(("spec", "complaint"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_value_is_refused_by_its_field(kubectl: Kubectl, spec: dict[str, Any], complaint: str) -> None:
    assert complaint in kubectl.refusal(announcement(**spec))
