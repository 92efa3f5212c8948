"""Label selectors: read with an account of what they hold, and lists of alternatives made fewer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from heraldlb.migration.notes import Fields

Selector = dict[str, Any]


def carried(fields: Fields) -> Selector:
    """A `metav1.LabelSelector` as it is, in either spelling of its keys (`matchLabels`, `match-labels`)."""
    labels: dict[str, str] = {}
    expressions: list[dict[str, Any]] = []
    for key in ("matchLabels", "match-labels"):
        if key in fields:
            inner = fields.inner(key)
            labels.update({name: inner.text(name) for name in inner.raw})
    for key in ("matchExpressions", "match-expressions"):
        for requirement in fields.each(key) if key in fields else ():
            values = [value for _, value in requirement.texts("values")]
            entry = {"key": requirement.text("key"), "operator": requirement.text("operator")}
            expressions.append({**entry, "values": values} if values else entry)
    selector: Selector = {}
    if labels:
        selector["matchLabels"] = labels
    if expressions:
        selector["matchExpressions"] = expressions
    return selector


def alternatives(selectors: Sequence[Selector]) -> list[Selector]:
    """As few selectors as match what any of these does; an empty list or an empty selector matches everything."""
    if not selectors or not all(selectors):
        return [{}]
    wanted = [_one_label(selector) for selector in selectors]
    names = {found[0] for found in wanted if found is not None}
    if len(names) == 1 and None not in wanted and len(selectors) > 1:
        values = sorted({value for found in wanted if found is not None for value in found[1]})
        return [{"matchExpressions": [{"key": names.pop(), "operator": "In", "values": values}]}]
    return [selector for index, selector in enumerate(selectors) if selector not in selectors[:index]]


def _one_label(selector: Selector) -> tuple[str, list[str]] | None:
    """The label and its allowed values, of a selector that asks for nothing else."""
    labels, expressions = selector.get("matchLabels", {}), selector.get("matchExpressions", [])
    if len(labels) == 1 and not expressions:
        [(name, value)] = labels.items()
        return name, [value]
    if not labels and len(expressions) == 1 and expressions[0]["operator"] == "In":
        return expressions[0]["key"], expressions[0].get("values", [])
    return None
