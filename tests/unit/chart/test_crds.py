"""The custom resource definitions as text: what holds for every one of them, checked without an API server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from heraldlb.api import group

ROOT = Path(__file__).parents[3]
SOURCES = sorted((ROOT / "crds").glob("*.yaml"))
COPIES = ROOT / "charts" / "heraldlb" / "crds"
SELECTORS = {"serviceSelector", "namespaceSelector", "nodeSelector"}

every_definition = pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)


def load(source: Path) -> dict[str, Any]:
    crd: dict[str, Any] = yaml.safe_load(source.read_text())
    return crd


def version(source: Path) -> dict[str, Any]:
    (only,) = load(source)["spec"]["versions"]
    assert isinstance(only, dict)
    return only


def schemas(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in this one, itself included, by its path."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from schemas(child, f"{path}.{name}")
    if "items" in schema:
        yield from schemas(schema["items"], f"{path}[]")


def every_schema(source: Path) -> list[tuple[str, dict[str, Any]]]:
    return list(schemas(version(source)["schema"]["openAPIV3Schema"]))


def test_the_chart_carries_the_same_definitions_byte_for_byte() -> None:
    assert {path.name: path.read_bytes() for path in SOURCES} == {
        path.name: path.read_bytes() for path in COPIES.iterdir()
    }


def test_there_is_a_definition_for_each_kind() -> None:
    assert {load(source)["spec"]["names"]["kind"] for source in SOURCES} == {
        "AddressPool",
        "L2Announcement",
        "ServiceAddress",
    }


@every_definition
def test_a_definition_is_cluster_scoped_in_our_group_and_category(source: Path) -> None:
    crd = load(source)
    spec = crd["spec"]
    assert (spec["group"], spec["scope"]) == (group.GROUP, "Cluster")
    assert (
        crd["metadata"]["name"]
        == f"{spec['names']['plural']}.{group.GROUP}"
        == f"{source.stem.partition('_')[2]}.{group.GROUP}"
    )
    assert spec["names"]["categories"] == ["herald"]
    assert len(spec["names"]["shortNames"]) == 1
    assert "conversion" not in spec, "a conversion webhook is what there must never be"


@every_definition
def test_there_is_one_version_with_a_status_of_its_own(source: Path) -> None:
    only = version(source)
    assert (only["name"], only["served"], only["storage"]) == (group.VERSION, True, True)
    assert only["subresources"] == {"status": {}}


@every_definition
def test_every_field_has_a_description_and_a_type(source: Path) -> None:
    for path, schema in every_schema(source):
        assert "type" in schema, path
        if path != ".metadata":
            assert schema.get("description", "").endswith("."), f"{path} has no sentence that describes it"


@every_definition
def test_every_rule_says_what_is_wrong_in_words_of_its_own(source: Path) -> None:
    for path, schema in every_schema(source):
        for rule in schema.get("x-kubernetes-validations", []):
            assert rule["message"], path
            assert rule["messageExpression"], f"{path}: the message should name what was written"


@every_definition
def test_lists_and_texts_have_limits_so_that_rules_have_a_cost(source: Path) -> None:
    for path, schema in every_schema(source):
        if schema["type"] == "array":
            assert "maxItems" in schema, path
            assert schema["x-kubernetes-list-type"] in {"set", "map", "atomic"}, path
        if schema["type"] == "string" and path.startswith((".spec", ".status")):
            assert {"maxLength", "enum", "format"} & schema.keys(), path


@every_definition
def test_conditions_are_those_of_the_kubernetes_api_conventions(source: Path) -> None:
    conditions = dict(every_schema(source))[".status.conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    item = conditions["items"]
    assert set(item["required"]) == {"type", "status", "reason", "message", "lastTransitionTime"}
    assert item["properties"]["status"]["enum"] == ["True", "False", "Unknown"]


@every_definition
def test_columns_are_scalars_and_the_last_of_the_default_view_is_the_age(source: Path) -> None:
    columns = version(source)["additionalPrinterColumns"]
    default = [column["name"] for column in columns if not column.get("priority")]
    assert default[-1] == "Age"
    fields = dict(every_schema(source))
    for column in columns:
        if column["name"] in default and "conditions" not in column["jsonPath"]:
            path = column["jsonPath"].replace("[0]", "[]")
            if not path.startswith(".metadata"):
                assert fields[path]["type"] == column["type"], column["name"]


def test_all_label_selectors_are_one_and_the_same() -> None:
    found = {
        f"{source.stem}{path}": {key: value for key, value in schema.items() if key != "description"}
        for source in SOURCES
        for path, schema in every_schema(source)
        if path.rpartition(".")[2] in SELECTORS
    }
    assert len(found) == 5
    first, *others = found.values()
    assert all(other == first for other in others)


def test_excluded_entries_have_the_syntax_of_addresses() -> None:
    fields = dict(every_schema(ROOT / "crds" / "heraldlb.io_addresspools.yaml"))
    excluded = fields[".spec.excluded[]"]["x-kubernetes-validations"]
    addresses = fields[".spec.addresses[]"]["x-kubernetes-validations"]
    assert excluded == addresses[: len(excluded)]
