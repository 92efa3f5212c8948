"""Label selectors, matched as `metav1.LabelSelector` defines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from heraldlb.api.objects import Raw, entries, mapping, sequence, text


@dataclass(frozen=True, slots=True)
class Requirement:
    """One `matchExpressions` entry; operator `In`, `NotIn`, `Exists` or `DoesNotExist`."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` satisfies this requirement. As in Kubernetes, `NotIn` holds where the key is absent."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case _:
                return False


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """A conjunction of requirements. With none it matches everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` satisfies every requirement."""
        return not self.requirements or all(requirement.matches(labels) for requirement in self.requirements)

    def __bool__(self) -> bool:
        return bool(self.requirements)


EVERYTHING = LabelSelector()


def parse_selector(raw: Raw) -> LabelSelector:
    """A selector from its JSON; an empty or absent one matches everything."""
    labels = [
        Requirement(key, "In", frozenset({str(value)}))
        for key, value in sorted(mapping(raw, "matchLabels").items())
    ]
    expressions = [_parse_requirement(entry) for entry in entries(raw, "matchExpressions")]
    return LabelSelector((*labels, *expressions))


def _parse_requirement(raw: Mapping[str, Any]) -> Requirement:
    return Requirement(text(raw, "key"), text(raw, "operator"), frozenset(map(str, sequence(raw, "values"))))
