"""Label selectors are held to the same standard wherever one is taken."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.kubectl import Kubectl


def pool(field: str, selector: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    spec = {"addresses": ["10.0.0.1"], field: selector}
    return f"spec.{field}", {"kind": "AddressPool", "spec": spec}


def announcement(field: str, selector: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return f"spec.{field}", {"kind": "L2Announcement", "spec": {field: selector}}


def preference(_: str, selector: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    spec = {"nodePreferences": [{"weight": 1, "nodeSelector": selector}]}
    return "spec.nodePreferences[0].nodeSelector", {"kind": "L2Announcement", "spec": spec}


PLACES = [
    pytest.param(pool, "serviceSelector", id="pool-services"),
    pytest.param(pool, "namespaceSelector", id="pool-namespaces"),
    pytest.param(announcement, "serviceSelector", id="announcement-services"),
    pytest.param(announcement, "nodeSelector", id="announcement-nodes"),
    pytest.param(preference, "", id="preferred-nodes"),
]
HEADER = {"apiVersion": "heraldlb.io/v1beta1", "metadata": {"name": "tried"}}


def expression(**requirement: Any) -> dict[str, Any]:
    return {"matchExpressions": [requirement]}


ACCEPTED = {
    "empty": {},
    "labels": {"matchLabels": {"app": "web", "example.com/tier": "", "a": "A_b.c-1"}},
    "In": expression(key="app", operator="In", values=["web", ""]),
    "NotIn": expression(key="app", operator="NotIn", values=["web"]),
    "Exists": expression(key="example.com/tier", operator="Exists"),
    "DoesNotExist": expression(key="app", operator="DoesNotExist", values=[]),
}

REFUSED = {
    "In without values": (
        expression(key="app", operator="In"),
        '.matchExpressions[0].values: Invalid value: operator In on label "app" needs at least one value',
    ),
    "NotIn with no value": (
        expression(key="app", operator="NotIn", values=[]),
        'operator NotIn on label "app" needs at least one value',
    ),
    "Exists with values": (
        expression(key="app", operator="Exists", values=["x"]),
        '.matchExpressions[0].values: Invalid value: operator Exists on label "app" takes no values',
    ),
    "DoesNotExist with values": (
        expression(key="app", operator="DoesNotExist", values=["x"]),
        'operator DoesNotExist on label "app" takes no values',
    ),
    "unknown operator": (
        expression(key="app", operator="Equals", values=["x"]),
        '.matchExpressions[0].operator: Unsupported value: "Equals": supported values: "In"',
    ),
    "no key": (expression(operator="Exists"), ".matchExpressions[0].key: Required value"),
    "malformed key": (
        expression(key="app name", operator="Exists"),
        '.matchExpressions[0].key: Invalid value: "app name": "app name" is not a label name',
    ),
    "malformed label name": ({"matchLabels": {"Example.com/app": "x"}}, '"Example.com/app" is not a label name'),
    "malformed label value": (
        {"matchLabels": {"app": "web server"}},
        '.matchLabels[app]: Invalid value: "web server": "web server" is not a label value',
    ),
}


@pytest.mark.parametrize(("place", "field"), PLACES)
@pytest.mark.parametrize("selector", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_a_selector_of_the_standard_is_accepted(
    kubectl: Kubectl, place: Any, field: str, selector: dict[str, Any]
) -> None:
    kubectl.create(HEADER | place(field, selector)[1])


@pytest.mark.parametrize(("place", "field"), PLACES)
@pytest.mark.parametrize(("selector", "complaint"), REFUSED.values(), ids=REFUSED.keys())
def test_a_selector_that_means_nothing_is_refused_by_its_field(
    kubectl: Kubectl, place: Any, field: str, selector: dict[str, Any], complaint: str
) -> None:
    path, manifest = place(field, selector)
    message = kubectl.refusal(HEADER | manifest)
    assert complaint in message
    assert path in message
