"""Messages of nf_tables, as far as tables are read back (linux/netfilter/nf_tables.h). Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, summarize_address_range
from socket import AF_INET6, inet_ntoa, inet_ntop
from typing import Final

from heraldlb.forwarding.nfnetlink import (
    DUMP,
    Message,
    attribute,
    attributes,
    each_attribute,
    integer,
    message,
    name,
)

_NFTABLES: Final = 10 << 8
NEW_TABLE, GET_TABLE, DELETE_TABLE = (_NFTABLES + number for number in range(3))
NEW_CHAIN, GET_CHAIN, DELETE_CHAIN = (_NFTABLES + number for number in range(3, 6))
NEW_RULE, GET_RULE, DELETE_RULE = (_NFTABLES + number for number in range(6, 9))
NEW_SET, GET_SET, DELETE_SET = (_NFTABLES + number for number in range(9, 12))
NEW_ELEMENT, GET_ELEMENT, DELETE_ELEMENT = (_NFTABLES + number for number in range(12, 15))

ANONYMOUS, MAP, DYNAMIC = 0x01, 0x08, 0x20
"""Flags of a set: it belongs to a rule; it is a map; rules add elements to it."""

TABLE_NAME, TABLE_HANDLE, TABLE_USERDATA = 1, 4, 6
CHAIN_TABLE, CHAIN_NAME, CHAIN_USERDATA = 1, 3, 12
RULE_TABLE, RULE_CHAIN, RULE_EXPRESSIONS = 1, 2, 4
EXPRESSION_NAME, EXPRESSION_DATA = 1, 2
SET_TABLE, SET_NAME, SET_FLAGS, SET_KEY_TYPE, SET_DATA_TYPE = 1, 2, 3, 4, 6
LIST_TABLE, LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_KEY, _DATA, _FLAGS, _TIMEOUT, _EXPIRATION, _KEY_END = 1, 2, 3, 4, 5, 10
_VALUE, _VERDICT = 1, 2
_VERDICT_CODE, _VERDICT_CHAIN = 1, 2
_VERDICTS: Final[dict[int, str]] = {0: "drop", 1: "accept", -3: "jump", -4: "goto", -5: "return"}
_VERDICT_TYPE: Final = 0xFFFF_FF00
_COMMENT: Final = 0


class UnreadableError(Exception):
    """The kernel has something that is not ours, or is written in another way than we do."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element, in nft's words."""

    key: str
    value: str
    """Empty for an element of a set."""
    timeout: int = 0
    """Milliseconds; 0: it stays."""
    expires: int = 0
    """Milliseconds until it goes."""


def dump(kind: int, family: int, sequence: int, wanted: Mapping[int, str]) -> bytes:
    """The request to list all objects of one kind, as far as the attributes in `wanted` restrict it."""
    return _request(kind, DUMP, family, sequence, wanted)


def get(kind: int, family: int, wanted: Mapping[int, str]) -> bytes:
    """The request for the one object that the attributes in `wanted` name."""
    return _request(kind, 0, family, 0, wanted)


def _request(kind: int, flags: int, family: int, sequence: int, wanted: Mapping[int, str]) -> bytes:
    texts = (attribute(number, text.encode() + b"\0") for number, text in wanted.items())
    return message(kind, flags, family, sequence, b"".join(texts))


def comment(userdata: memoryview | None) -> str:
    """The comment that nft keeps in the user data of a table or chain: type, length, text."""
    data = bytes(userdata or b"")
    while len(data) >= 2:
        kind, length = data[0], data[1]
        if kind == _COMMENT:
            return data[2 : 2 + length].rstrip(b"\0").decode(errors="replace")
        data = data[2 + length :]
    return ""


class ElementReader:
    """Turns the elements of one set into words. Raises UnreadableError for types of which we write none."""

    def __init__(self, key_type: int, data_type: int) -> None:
        self._key = _concatenation(key_type)
        self._data = _concatenation(data_type) if data_type not in (0, _VERDICT_TYPE) else None

    def read(self, message: Message) -> Iterator[Element]:
        """The elements of one message of a dump."""
        elements = message.attributes().get(_LIST_ELEMENTS)
        for _, nested in each_attribute(elements) if elements is not None else ():
            found = attributes(nested)
            key = bytes(attributes(found[_KEY])[_VALUE])
            end = found.get(_KEY_END)
            words = self._key(key) if end is None else self._range(key, bytes(attributes(end)[_VALUE]))
            yield Element(
                words,
                self._value(found[_DATA]) if _DATA in found else "",
                integer(found.get(_TIMEOUT, memoryview(b""))),
                integer(found.get(_EXPIRATION, memoryview(b""))),
            )

    def _value(self, data: memoryview) -> str:
        found = attributes(data)
        if _VALUE in found and self._data is not None:
            return self._data(bytes(found[_VALUE]))
        verdict = attributes(found[_VERDICT])
        code = _VERDICTS.get(struct.unpack("!i", verdict[_VERDICT_CODE])[0], "?")
        return f"{code} {name(verdict[_VERDICT_CHAIN])}" if _VERDICT_CHAIN in verdict else code

    def _range(self, first: bytes, last: bytes) -> str:
        pairs = zip(self._key(first).split(" . "), self._key(last).split(" . "), strict=True)
        return " . ".join(low if low == high else _prefix(low, high) for low, high in pairs)


_Words = Callable[[bytes], str]

_PROTOCOLS: Final[dict[int, str]] = {6: "tcp", 17: "udp", 132: "sctp"}


def _protocol(field: bytes) -> str:
    return _PROTOCOLS.get(field[0], str(field[0]))


def _host_integer(field: bytes) -> str:
    # Hash values and marks; nft pads what is narrower.
    return str(struct.unpack("=I", field)[0])


_FIELDS: Final[dict[int, tuple[int, _Words]]] = {
    4: (4, _host_integer),
    7: (4, inet_ntoa),
    8: (16, lambda field: inet_ntop(AF_INET6, field)),
    12: (4, _protocol),
    13: (4, lambda field: str(field[0] << 8 | field[1])),
    19: (4, _host_integer),
}
"""nft's data types: how many bytes each takes in a concatenation, and its words."""


def _concatenation(kind: int) -> _Words:
    """How to read values of a type: six bits for each part, the first one in the highest (nftables' datatype.h)."""
    parts = []
    while kind:
        try:
            parts.append(_FIELDS[kind & 0x3F])
        except KeyError:
            raise UnreadableError(f"elements of nft's type {kind & 0x3F}") from None
        kind >>= 6
    places, start = [], 0
    for width, words in reversed(parts):
        places.append((start, start + width, words))
        start += width
    return lambda value: " . ".join([words(value[first:last]) for first, last, words in places])


def _prefix(low: str, high: str) -> str:
    try:
        kind = IPv6Address if ":" in low else IPv4Address
        [network] = summarize_address_range(kind(low), kind(high))
    except ValueError:
        return f"{low}-{high}"
    return str(network)
