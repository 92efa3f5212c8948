"""The chart's values as they are documented: each with the comment above it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

_KEY: Final = re.compile(r"( *)([A-Za-z][A-Za-z0-9]*):")
_COMMENT: Final = re.compile(r" *# ?(.*)")


class UndocumentedError(ValueError):
    """A value has no comment, or its comment is no sentence; the message names it."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value. A section is one that has others below it."""

    path: tuple[str, ...]
    default: Any
    description: str
    is_section: bool

    @property
    def name(self) -> str:
        """As `--set` takes it."""
        return ".".join(self.path)


def documented(text: str, schema: Mapping[str, Any]) -> list[Value]:
    """Every value of `values.yaml` that the schema has, in order. Raises UndocumentedError."""
    comments = dict(_comments(text))
    return list(_values(yaml.safe_load(text), schema, (), comments))


def described(schema: dict[str, Any], values: list[Value]) -> dict[str, Any]:
    """The schema with the descriptions of the values; what else it says is left as it is."""
    copy: dict[str, Any] = json.loads(json.dumps(schema))
    for value in values:
        child = copy
        for key in value.path:
            child = child["properties"][key]
        child["description"] = value.description
    return copy


def _values(
    defaults: Mapping[str, Any], schema: Mapping[str, Any], path: tuple[str, ...], comments: Mapping[str, str]
) -> Iterator[Value]:
    for key, default in defaults.items():
        here = (*path, key)
        child = schema["properties"][key]
        is_section = "properties" in child
        description = comments.get(".".join(here), "")
        if not description.endswith("."):
            raise UndocumentedError(f"values.yaml: {'.'.join(here)} needs a sentence in a comment right above it")
        yield Value(here, default, description, is_section)
        if is_section:
            yield from _values(default, child, here, comments)


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """The dotted path of each key, and the lines of comment right above it as one."""
    path: list[str] = []
    block: list[str] = []
    for line in text.splitlines():
        if comment := _COMMENT.fullmatch(line):
            block.append(comment[1])
            continue
        if key := _KEY.match(line):
            path = [*path[: len(key[1]) // 2], key[2]]
            yield ".".join(path), " ".join(block)
        block = []
