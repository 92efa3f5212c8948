"""The reference page is what the code and the definitions say, and they say everything."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

import heraldlb
import heraldlb.agent.process
import heraldlb.controller.process
from heraldlb.allocation.requests import Request, request_of
from heraldlb.api import group
from heraldlb.api.annotations import ANNOTATIONS
from heraldlb.api.explanations import ASSIGNED, CONDITION_TYPES, EXPLANATIONS, HINDRANCES, Process
from heraldlb.api.reasons import Hindrance, Reason
from heraldlb.api.service_fields import SERVICE_FIELDS
from heraldlb.api.services import parse_service
from heraldlb.forwarding.schedulers import Wishes, wishes_of
from heraldlb.forwarding.survivors import SurvivalWish, wish_of
from tools.pages import anchors
from tools.reference.metrics import agent_metrics, common_metrics, controller_metrics, rows
from tools.reference.page import PAGE, Definition, load_definitions, render

PACKAGE = Path(heraldlb.__file__).parent
FOLDERS = {Process.CONTROLLER: {"allocation", "controller"}, Process.AGENT: {"agent", "forwarding"}}
KINDS = {
    "controller/pool_status.py": "AddressPool",
    "controller/announcement_status.py": "L2Announcement",
    "agent/statuses.py": "ServiceAddress",
}
"""Whose conditions a module makes."""

CODE = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text())
    for path in sorted(PACKAGE.rglob("*.py"))
    if "api" not in path.relative_to(PACKAGE).parts
}
"""Every module that could give a reason, by its path in the package."""

every_reason = pytest.mark.parametrize("reason", Reason)


def reasons_in(tree: ast.AST) -> set[Reason]:
    """The members of Reason that it gives; those that it only compares with or puts in order do not count."""
    return {
        Reason[node.attr]
        for parent in ast.walk(tree)
        if not isinstance(parent, ast.Tuple | ast.Compare)
        for node in ast.iter_child_nodes(parent)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason"
    }


NAMED = {path: reasons_in(tree) for path, tree in CODE.items()}


def reasons_of(folders: set[str]) -> set[Reason]:
    return {reason for path, named in NAMED.items() if path.partition("/")[0] in folders for reason in named}


def conditions_in(tree: ast.AST) -> Iterator[tuple[str, bool, Reason]]:
    """Type, status and reason of every Condition that is made in it, where type and status are written out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Condition":
            match node.args[:3]:
                case [ast.Constant(str(kind)), ast.Constant(bool(status)), reason]:
                    yield kind, status, *reasons_in(ast.Expr(reason))


def schema_paths(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """Every field below `path`, but for those of the types that all kinds share."""
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}"
        below = f"{path}.{name}[]" if "items" in child else f"{path}.{name}"
        if name != "conditions" and not name.endswith("Selector"):
            yield from schema_paths(child.get("items", child), below)


class Recording(Mapping[str, Any]):
    """JSON that remembers which of its fields were asked for."""

    def __init__(self, raw: Mapping[str, Any], asked: set[str], path: str = "") -> None:
        self._raw, self._asked, self._path = raw, asked, path

    def __getitem__(self, key: str) -> Any:
        path = f"{self._path}.{key}" if self._path else key
        self._asked.add(path)
        return self._wrap(self._raw[key], path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def _wrap(self, value: Any, path: str) -> Any:
        if isinstance(value, list):
            return [self._wrap(entry, f"{path}[]") for entry in value]
        return Recording(value, self._asked, path) if isinstance(value, dict) else value


def test_the_page_is_up_to_date() -> None:
    current = render(load_definitions())
    assert PAGE.read_text() == current, "docs/reference.md is stale: run ./dev docs and commit it"


def test_no_two_headings_have_one_anchor() -> None:
    assert not [anchor for anchor in anchors(PAGE.read_text()) if anchor.endswith("-1")]


def test_reasons_are_explained_in_the_order_of_the_vocabulary() -> None:
    assert list(EXPLANATIONS) == list(Reason)


@every_reason
def test_a_reason_says_what_it_means_what_to_do_and_where_it_appears(reason: Reason) -> None:
    explanation = EXPLANATIONS[reason]
    assert explanation.meaning.endswith(".")
    assert explanation.remedy.endswith(".")
    assert explanation.conditions or explanation.event


@every_reason
def test_a_reason_is_given_by_the_process_that_is_said_to(reason: Reason) -> None:
    explanation = EXPLANATIONS[reason]
    said = {condition.writer for condition in explanation.conditions}
    said |= {explanation.event.writer} if explanation.event else set()
    assert {process for process, folders in FOLDERS.items() if reason in reasons_of(folders)} == said


def test_the_reasons_of_a_service_are_those_that_allocation_gives() -> None:
    explained = {reason for reason in Reason if ASSIGNED in EXPLANATIONS[reason].conditions}
    assert explained == reasons_of({"allocation"})


def test_the_reasons_of_our_own_objects_are_those_that_the_code_gives() -> None:
    explained = {
        (condition.kind, condition.type, status, reason)
        for reason, explanation in EXPLANATIONS.items()
        for condition, status in explanation.conditions.items()
        if condition is not ASSIGNED
    }
    given = {(KINDS[path], *condition) for path, tree in CODE.items() for condition in conditions_in(tree)}
    assert explained == given


def test_every_condition_type_can_be_true_and_false() -> None:
    for condition in CONDITION_TYPES:
        for status in (True, False):
            assert any(explanation.says(condition, status) for explanation in EXPLANATIONS.values()), condition


def test_every_word_for_why_a_node_does_not_announce_is_explained() -> None:
    assert set(HINDRANCES) == set(Hindrance)
    for words in HINDRANCES.values():
        assert f"*{words}*" in EXPLANATIONS[Reason.NO_ELIGIBLE_NODE].meaning


def test_every_annotation_is_explained() -> None:
    names = {value for name, value in vars(group).items() if name.endswith("_ANNOTATION")}
    aliases = {alias for name, value in vars(group).items() if name.endswith("_ALIASES") for alias in value}
    assert {annotation.name for annotation in ANNOTATIONS} == names
    assert {alias for annotation in ANNOTATIONS for alias in annotation.aliases} == aliases


@pytest.mark.parametrize(
    ("name", "example"),
    [(name, annotation.example) for annotation in ANNOTATIONS for name in (annotation.name, *annotation.aliases)],
)
def test_an_annotation_and_its_aliases_are_read_and_the_example_is_good(name: str, example: str) -> None:
    def request(annotations: dict[str, str]) -> tuple[Request, Wishes, SurvivalWish]:
        metadata = {"namespace": "default", "name": "web", "annotations": annotations}
        spec = {"type": "LoadBalancer", "ipFamilies": ["IPv4", "IPv6"]}
        service = parse_service({"metadata": metadata, "spec": spec})
        return request_of(service, {}), wishes_of(service), wish_of(service, (), default=False)

    asked = request({name: example})
    assert asked != request({})
    assert asked[0].problem == ""
    assert asked[1].objections == asked[2].objections == ()


def test_the_service_fields_are_those_that_are_read() -> None:
    port = {"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}
    asked: set[str] = set()
    parse_service(Recording({"spec": {"sessionAffinityConfig": {"clientIP": {}}, "ports": [port]}}, asked))
    read = {".".join(path.split(".")[:2]).removesuffix("[]") for path in asked if path.startswith("spec.")}
    assert {field.path for field in SERVICE_FIELDS} == read


@pytest.mark.parametrize("definition", load_definitions(), ids=lambda each: each["spec"]["names"]["kind"])
def test_every_field_and_column_of_a_definition_has_a_row(definition: Definition) -> None:
    kind, (version,) = definition["spec"]["names"]["kind"], definition["spec"]["versions"]
    _, _, section = PAGE.read_text().partition(f"\n## {kind}\n")
    section = section.partition("\n## ")[0]
    properties = version["schema"]["openAPIV3Schema"]["properties"]
    for part in ("spec", "status"):
        for path in schema_paths(properties[part], part):
            assert f"| `{path}` |" in section
    for column in version["additionalPrinterColumns"]:
        assert f"| {column['name'].upper()} " in section


def test_every_metric_of_both_processes_is_listed() -> None:
    listed = {row.name for row in rows([*common_metrics(), *controller_metrics(), *agent_metrics()])}
    ours = [metric for metric in REGISTRY.collect() if metric.name.startswith("heraldlb_")]
    assert {metric.name + ("_total" if metric.type == "counter" else "") for metric in ours} <= listed
    assert all(name.startswith("heraldlb_") for name in listed)
