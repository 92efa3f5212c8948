"""The values of the chart and their schema, checked without Helm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from heraldlb.forwarding.schedulers import ALIASES, Scheduler
from tools.chart.__main__ import pages
from tools.chart.values import UndocumentedError, documented

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
    "labels",
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
    for children in (schema.get("properties", {}), schema.get("definitions", {})):
        for child in children.values():
            yield from objects(child)
            yield from objects(child.get("items", {}))


def test_the_defaults_are_valid() -> None:
    jsonschema.validate(VALUES, SCHEMA)


def test_every_value_has_a_default_and_a_schema() -> None:
    assert set(paths(VALUES)) == set(schema_paths(SCHEMA)) - {"global"}


def test_no_object_takes_unknown_keys() -> None:
    assert all(schema["additionalProperties"] is False for schema in objects(SCHEMA))


SECTIONS = [value.path for value in documented((CHART / "values.yaml").read_text(), SCHEMA) if value.is_section]


@pytest.mark.parametrize("path", [(), *SECTIONS], ids=lambda path: ".".join(path) or "top")
def test_a_misspelt_key_is_refused_by_name(path: tuple[str, ...]) -> None:
    values = json.loads(json.dumps(VALUES))
    section = values
    for key in path:
        section = section[key]
    section["mispelt"] = 1
    with pytest.raises(jsonschema.ValidationError, match="'mispelt' was unexpected"):
        jsonschema.validate(values, SCHEMA)


def test_the_schema_says_nothing_twice() -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs), [key for key, _ in pairs]
        return dict(pairs)

    json.loads((CHART / "values.schema.json").read_text(), object_pairs_hook=once)


def test_readme_and_schema_say_what_the_comments_in_the_values_say() -> None:
    for path, text in pages().items():
        assert path.read_text() == text, f"{path.name} is stale: run ./dev docs and commit it"


def test_every_value_has_its_row_in_the_readme() -> None:
    readme = (CHART / "README.md").read_text()
    for path in paths(VALUES):
        name = "### `" + path if "." not in path and isinstance(VALUES[path], dict) else "| `" + path
        assert f"{name}`" in readme


def test_a_value_without_a_sentence_above_it_is_named() -> None:
    schema = {"properties": {"a": {"properties": {"b": {}}}}}
    assert [value.name for value in documented("# A.\na:\n  # One\n  # two.\n  b: 1\n", schema)] == ["a", "a.b"]
    for text in ("# A.\na:\n  b: 1\n", "# A.\na:\n  # B\n  b: 1\n", "# A.\na:\n  # B.\n\n  b: 1\n"):
        with pytest.raises(UndocumentedError, match=r"a\.b needs a sentence"):
            documented(text, schema)


def test_the_chart_asks_for_the_api_server_that_its_rules_need() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["kubeVersion"] == ">=1.31.0-0", "isIP, isCIDR and their kin come with 1.31"


def test_the_chart_takes_every_scheduler_by_each_of_its_names() -> None:
    accepted = SCHEMA["properties"]["agent"]["properties"]["forwarding"]["properties"]["scheduler"]["enum"]
    assert sorted(accepted) == sorted([*Scheduler, *ALIASES])
