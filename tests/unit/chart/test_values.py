"""The values of the chart and their schema, checked without Helm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import heraldlb
from heraldlb.forwarding.schedulers import ALIASES, Scheduler

CHART = Path(__file__).parents[3] / "charts" / "heraldlb"
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
FREE_FORM = {
    "affinity",
    "resources",
    "updateStrategy",
    "nodeSelector",
    "podAnnotations",
    "podLabels",
    "annotations",
}


def paths(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict) and key not in FREE_FORM:
            yield from paths(value, f"{prefix}{key}.")


def schema_paths(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, child in schema.get("properties", {}).items():
        yield f"{prefix}{key}"
        if key not in FREE_FORM:
            yield from schema_paths(child, f"{prefix}{key}.")


def objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "properties" in schema:
        yield schema
    for child in schema.get("properties", {}).values():
        yield from objects(child)


def test_the_defaults_are_valid() -> None:
    jsonschema.validate(VALUES, SCHEMA)


def test_every_value_has_a_default_and_a_schema() -> None:
    assert set(paths(VALUES)) == set(schema_paths(SCHEMA)) - {"global"}


def test_no_object_takes_unknown_keys() -> None:
    assert all(schema["additionalProperties"] is False for schema in objects(SCHEMA))


@pytest.mark.parametrize("section", [None, "image", "pool", "logging", "controller", "agent"])
def test_a_misspelt_key_is_refused_by_name(section: str | None) -> None:
    values = json.loads(json.dumps(VALUES))
    (values[section] if section else values)["mispelt"] = 1
    with pytest.raises(jsonschema.ValidationError, match="'mispelt' was unexpected"):
        jsonschema.validate(values, SCHEMA)


def test_every_value_in_the_schema_is_described() -> None:
    for schema in objects(SCHEMA):
        for key, child in schema["properties"].items():
            assert child.get("description", "").endswith("."), key


def test_chart_and_package_are_of_one_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == heraldlb.__version__


def test_the_chart_asks_for_the_api_server_that_its_rules_need() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == ">=1.31.0-0", "isIP, isCIDR and their kin come with 1.31"


def test_the_chart_takes_every_scheduler_by_each_of_its_names() -> None:
    accepted = SCHEMA["properties"]["agent"]["properties"]["forwarding"]["properties"]["scheduler"]["enum"]
    assert sorted(accepted) == sorted([*Scheduler, *ALIASES])
