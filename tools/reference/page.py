"""The page: prose, and between it what is made from code and definitions. Pure but for `load_definitions`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from heraldlb.api.annotations import ANNOTATIONS, Annotation
from heraldlb.api.explanations import CONDITION_TYPES, EXPLANATIONS, ConditionType, Event, Explanation, Process
from heraldlb.api.reasons import Reason
from heraldlb.api.service_fields import SERVICE_FIELDS
from tools.reference import prose
from tools.reference.cli import cli_sections
from tools.reference.markdown import code, link, sentence, table
from tools.reference.metrics import (
    agent_metrics,
    common_metrics,
    controller_metrics,
    metallb_metrics,
    metric_table,
)
from tools.reference.schema import column_table, field_table, fields, shared, status_table

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "reference.md"

Definition = Mapping[str, Any]


def load_definitions() -> list[Definition]:
    """The custom resource definitions, those that a user writes first."""
    definitions = [yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml")]
    return sorted(definitions, key=lambda definition: list(prose.KINDS).index(_kind(definition)))


def render(definitions: Sequence[Definition]) -> str:
    """The whole page."""
    return "\n\n".join(_sections(definitions)) + "\n"


def _sections(definitions: Sequence[Definition]) -> Iterable[str]:
    yield prose.INTRODUCTION
    yield "## Annotations"
    yield prose.ANNOTATIONS
    yield from map(_annotation, ANNOTATIONS)
    yield "## Service fields"
    yield prose.SERVICE_FIELDS
    yield table(
        ("Field", "Acted on by", "Effect"),
        ((code(each.path), ", ".join(each.parts), each.effect) for each in SERVICE_FIELDS),
    )
    yield prose.SERVICE_STATUS
    for definition in definitions:
        yield from _definition(definition)
    yield from _shared_types(definitions)
    yield "## Conditions"
    yield prose.CONDITIONS
    yield table(("Object", "Condition", "True means", "Reasons"), map(_condition, CONDITION_TYPES))
    yield "## Events"
    yield prose.EVENTS
    yield table(("Object", "Type", "From", "Reasons"), _events())
    yield "## Reasons"
    yield prose.REASONS
    for reason in Reason:
        yield _reason(reason, EXPLANATIONS[reason])
    yield "## Command line"
    yield prose.COMMAND_LINE
    yield from cli_sections()
    yield "## Metrics"
    yield prose.METRICS
    yield "### Metrics of both"
    yield metric_table(common_metrics())
    yield "### Controller metrics"
    yield metric_table(controller_metrics())
    yield prose.CONTROLLER_METRICS
    yield "### Agent metrics"
    yield metric_table(agent_metrics())
    yield prose.AGENT_METRICS
    yield "### MetalLB's names"
    yield prose.METALLB_METRICS
    yield metric_table(metallb_metrics())


def _annotation(annotation: Annotation) -> str:
    aliases = f"\n- Also read: {', '.join(map(code, annotation.aliases))}" if annotation.aliases else ""
    return (
        f"### {annotation.name}\n\n{annotation.effect}\n\n- Value: {annotation.values}\n"
        f'- Example: `{annotation.name}: "{annotation.example}"`{aliases}'
    )


def _definition(definition: Definition) -> Iterable[str]:
    names, kind = definition["spec"]["names"], _kind(definition)
    (version,) = definition["spec"]["versions"]
    properties = _schema(definition)["properties"]
    api_version = f"{definition['spec']['group']}/{version['name']}"
    (short,), (category,) = names["shortNames"], names["categories"]
    yield f"## {kind}"
    yield prose.KINDS[kind]
    yield (
        f"`apiVersion: {api_version}`, `kind: {kind}`, for the whole cluster (no namespace)."
        f" `kubectl get {names['plural']}`, or `kubectl get {short}` for short;"
        f" `kubectl get {category}` lists all kinds of Herald."
    )
    yield field_table(fields(properties["spec"], "spec"))
    conditions = ", ".join(code(condition.type) for condition in CONDITION_TYPES if condition.kind == kind)
    yield f"What Herald writes, with the [conditions](#conditions) {conditions}:"
    yield status_table(fields(properties["status"], "status"))
    yield f"What `kubectl get {names['plural']}` shows, and with `-o wide` also the columns marked so:"
    yield column_table(version["additionalPrinterColumns"])


def _shared_types(definitions: Sequence[Definition]) -> Iterable[str]:
    """Each once: that all of one name are the same, the tests of the definitions hold them to."""
    found = dict(each for definition in definitions for each in shared(_schema(definition)))
    for name, said in prose.SHARED_TYPES.items():
        yield f"## {name}"
        yield said
        yield field_table(fields(found[name], ""))


def _condition(condition: ConditionType) -> tuple[str, ...]:
    reasons = [
        f"{status}: " + ", ".join(link(reason) for reason in Reason if EXPLANATIONS[reason].says(condition, status))
        for status in (True, False)
    ]
    return condition.kind, code(condition.type), sentence(condition.meaning), "<br>".join(reasons)


def _events() -> Iterable[tuple[str, ...]]:
    kinds = dict.fromkeys(each.event.kind for each in EXPLANATIONS.values() if each.event)
    events = (Event(process, warning, kind) for kind in kinds for process in Process for warning in (False, True))
    used = {each.event for each in EXPLANATIONS.values()}
    for event in (each for each in events if each in used):
        yield (
            event.kind,
            event.type,
            event.writer,
            ", ".join(link(each) for each in Reason if EXPLANATIONS[each].event == event),
        )


def _reason(reason: Reason, explanation: Explanation) -> str:
    seen = [
        f"condition {code(condition.type)} {status} on the {condition.kind} ({condition.writer})"
        for condition, status in explanation.conditions.items()
    ]
    if event := explanation.event:
        seen.append(f"{event.type} Event on the {event.kind} ({event.writer})")
    return (
        f"### {reason}\n\n{explanation.meaning}\n\n**What to do:** {explanation.remedy}\n\n"
        f"**Seen as:** {'; '.join(seen)}."
    )


def _kind(definition: Definition) -> str:
    return str(definition["spec"]["names"]["kind"])


def _schema(definition: Definition) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema
