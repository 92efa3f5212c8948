"""Dataclasses as JSON and back, between programs of different versions. Pure.

Fields are in camel case, as in Kubernetes' own objects. What a newer program adds is skipped by an older one; what
an older one leaves out has its default, so every field must have one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache, reduce
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from operator import or_
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

_ADDRESSES: Final = (IPv4Address, IPv6Address, IPv4Network, IPv6Network)

_NAMES: Final[Mapping[Any, str]] = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    IPv4Address: "an IPv4 address",
    IPv6Address: "an IPv6 address",
    IPv4Address | IPv6Address: "an IP address",
    IPv4Network | IPv6Network: "a network in CIDR form",
}
_PARSERS: Final[Mapping[Any, Callable[[str], Any]]] = {
    IPv4Address: IPv4Address,
    IPv6Address: IPv6Address,
    IPv4Address | IPv6Address: ip_address,
    IPv4Network | IPv6Network: ip_network,
}


class DecodeError(ValueError):
    """A document that is not what it should be; the message names the field and what belongs there."""


def encode(value: Any) -> Any:
    """A dataclass as what `json.dumps` takes."""
    if dataclasses.is_dataclass(value):
        kind: Any = type(value)
        return {camel: encode(getattr(value, name)) for name, camel, _ in _fields(kind)}
    if isinstance(value, Mapping):
        return {str(key): encode(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [encode(each) for each in value]
    return str(value) if isinstance(value, _ADDRESSES) else value


def decode(kind: type[T], raw: object) -> T:
    """The dataclass `kind` from decoded JSON. Raises DecodeError and nothing else."""
    found: T = _object(kind, raw, "")
    return found


def _object(kind: Any, raw: object, at: str) -> Any:
    if not isinstance(raw, Mapping):
        raise DecodeError(f"{at or 'the document'} is not an object")
    found = {
        name: _decode(annotation, raw[camel], f"{at}.{camel}" if at else camel)
        for name, camel, annotation in _fields(kind)
        if camel in raw
    }
    return kind(**found)


def _decode(kind: Any, raw: object, at: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _object(kind, raw, at)
    if kind in _PARSERS:
        try:
            return _PARSERS[kind](raw if isinstance(raw, str) else "")
        except ValueError:
            raise DecodeError(f"{at} is not {_NAMES[kind]}") from None
    origin, arguments = get_origin(kind), get_args(kind)
    if type(None) in arguments:
        present = reduce(or_, (each for each in arguments if each is not type(None)))
        return None if raw is None else _decode(present, raw, at)
    if origin is tuple:
        if not isinstance(raw, list):
            raise DecodeError(f"{at} is not a list")
        return tuple(_decode(arguments[0], each, f"{at}[{number}]") for number, each in enumerate(raw))
    if origin is not None:
        if not isinstance(raw, Mapping):
            raise DecodeError(f"{at} is not an object")
        return {str(key): _decode(arguments[1], each, f"{at}.{key}") for key, each in raw.items()}
    accepted = (int, float) if kind is float else kind
    if not isinstance(raw, accepted) or (isinstance(raw, bool) and kind is not bool):
        raise DecodeError(f"{at} is not {_NAMES[kind]}")
    return raw


@cache
def _fields(kind: type) -> tuple[tuple[str, str, Any], ...]:
    """Of each field its name, its name in JSON and its type."""
    hints = get_type_hints(kind)
    return tuple((field.name, _camel(field.name), hints[field.name]) for field in dataclasses.fields(kind))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
