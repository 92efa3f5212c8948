"""A report as the JSON and YAML that scripts read. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from heraldlb.api.objects import NamespacedName


def as_document(value: Any) -> Any:
    """The value as JSON knows it: dataclasses as objects whose fields are in camel case, sets in order.

    Namespaced names and addresses are written as users write them. Fields that begin with `_` are left out.
    """
    match value:
        case Enum():
            return as_document(value.value)
        case NamespacedName() | IPv4Address() | IPv6Address():
            return str(value)
        case Mapping():
            return {str(as_document(key)): as_document(each) for key, each in value.items()}
        case AbstractSet():
            return sorted((as_document(each) for each in value), key=str)
        case list() | tuple():
            return [as_document(each) for each in value]
    if dataclasses.is_dataclass(value):
        fields = (field.name for field in dataclasses.fields(value) if not field.name.startswith("_"))
        return {_camel(name): as_document(getattr(value, name)) for name in fields}
    return value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
