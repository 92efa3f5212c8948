"""The fields of a custom resource definition as rows for people: dotted path, type, default, limits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tools.reference.markdown import code, link, sentence, table

Schema = Mapping[str, Any]

SELECTOR, CONDITION = "LabelSelector", "Condition"
_SELECTOR_FIELDS = {"matchLabels", "matchExpressions"}
_TYPES = {"string": "text", "integer": "integer", "boolean": "`true` or `false`", "object": "object"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `path` is relative to the object, with `[]` behind a list that holds objects."""

    path: str
    type: str
    default: str
    limits: str
    description: str


def fields(schema: Schema, path: str) -> Iterator[Field]:
    """The fields below `path`, in the order of the definition.

    LabelSelectors and Conditions are not gone into: `shared` has them once for all.
    """
    for name, child in schema.get("properties", {}).items():
        inner = child.get("items", {}) if child["type"] == "array" else child
        below = f"{path}.{name}" if path else name
        yield Field(
            path=below,
            type=_type(child, name),
            default=_default(child),
            limits=_limits(child, required=name in schema.get("required", ())),
            description=" ".join(child["description"].split()),
        )
        if "properties" in inner and shared_type(inner, name) is None:
            yield from fields(inner, f"{below}[]" if inner is not child else below)


def shared_type(schema: Schema, name: str) -> str | None:
    """The name of the type that several kinds have in common, or None."""
    if schema.get("properties", {}).keys() == _SELECTOR_FIELDS:
        return SELECTOR
    return CONDITION if name == "conditions" else None


def shared(schema: Schema, name: str = "") -> Iterator[tuple[str, Schema]]:
    """Every shared type that occurs in the schema, by name."""
    if found := shared_type(schema, name):
        yield found, schema
        return
    for key, child in schema.get("properties", {}).items():
        yield from shared(child.get("items", child), key)


def field_table(found: Iterable[Field]) -> str:
    """The fields as a table."""
    return table(
        ("Field", "Type", "Default", "Meaning"),
        (
            (
                code(field.path),
                field.type,
                field.default,
                field.description + (f"<br>*{field.limits}*" if field.limits else ""),
            )
            for field in found
        ),
    )


def status_table(found: Iterable[Field]) -> str:
    """The fields as a table, without what matters only to who writes them."""
    return table(("Field", "Type", "Meaning"), ((code(each.path), each.type, each.description) for each in found))


def column_table(columns: Iterable[Schema]) -> str:
    """What `kubectl get` prints, as a table."""
    return table(
        ("Column", "Meaning"),
        (
            (
                column["name"].upper() + (" (wide)" if column.get("priority") else ""),
                column.get("description", "Time since it was created."),
            )
            for column in columns
        ),
    )


def _type(schema: Schema, name: str) -> str:
    if schema["type"] == "array":
        items = schema["items"]
        if known := shared_type(items, name):
            return f"list of {link(known)}"
        return "list of objects" if items["type"] == "object" else f"list of {_type(items, name)}"
    if known := shared_type(schema, name):
        return link(known)
    if "additionalProperties" in schema:
        return "map of text to text"
    return "time (RFC 3339)" if schema.get("format") == "date-time" else _TYPES[schema["type"]]


def _default(schema: Schema) -> str:
    if "default" not in schema:
        return ""
    return code(str(schema["default"]).lower() if schema["type"] == "boolean" else schema["default"])


def _limits(schema: Schema, *, required: bool) -> str:
    each = schema.get("items") or schema.get("additionalProperties", {})
    found = ["required"] if required else []
    if "enum" in schema:
        found.append("one of " + ", ".join(map(code, schema["enum"])))
    found += _range(schema, "minimum", "maximum")
    found += _range(schema, "minItems", "maxItems", " entries")
    found += _range(schema, "minProperties", "maxProperties", " entries")
    found += _longest(schema)
    if schema.get("x-kubernetes-list-type") == "set":
        found.append("none twice")
    found += [f"each {longest}" for longest in _longest(each)]
    # The `message` of a rule names the fault.
    rules = [rule for part in (schema, each) for rule in part.get("x-kubernetes-validations", ())]
    faults = dict.fromkeys(rule["message"] for rule in rules)
    sentences = ["; ".join(found), "refused: " + "; ".join(faults) if faults else ""]
    return " ".join(sentence(part) for part in sentences if part)


def _range(schema: Schema, lower: str, upper: str, unit: str = "") -> list[str]:
    match schema.get(lower), schema.get(upper):
        case None, None:
            return []
        case low, None:
            return [f"at least {low}{unit}"]
        case None, high:
            return [f"at most {high}{unit}"]
        case low, high:
            return [f"{low} to {high}{unit}"]


def _longest(schema: Schema) -> list[str]:
    return [f"at most {schema['maxLength']} characters"] if "maxLength" in schema else []
