"""Entries of address lists, made such that an AddressPool takes them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from heraldlb.api.ranges import AddressRange, RangeError, address_at, parse_address, parse_range
from heraldlb.migration.notes import Fields, Kind

ENTRY_LIMIT: Final = 256
"""Entries that an AddressPool's lists may have, by their schema."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as an AddressPool has it, and the place in the old list that it comes from."""

    written: str
    range: AddressRange
    path: tuple[str | int, ...]


def entries(fields: Fields, key: str) -> list[Entry]:
    """The usable entries of a list of CIDRs and ranges. What is changed or left out is noted."""
    return usable(fields, [(text, (key, index)) for index, text in fields.texts(key)])


def usable(fields: Fields, texts: Iterable[tuple[str, tuple[str | int, ...]]]) -> list[Entry]:
    """Of texts with the place of each, those that name addresses. What is changed or left out is noted."""
    found: list[Entry] = []
    for text, path in texts:
        written = _masked(text)
        try:
            entry = Entry(written, parse_range(written), path)
        except RangeError as error:
            fields.note(f"{error}; it is left out", *path)
            continue
        if meets := next((other for other in found if other.range.overlaps(entry.range)), None):
            fields.note(f"overlaps {meets.written} of the same pool; it is left out", *path)
            continue
        if _has_host_bits(text):
            fields.note(f'"{text}" has host bits set, and became {written}', *path, kind=Kind.CHANGED)
        found.append(entry)
    if len(found) > ENTRY_LIMIT:
        for entry in found[ENTRY_LIMIT:]:
            fields.note(f"an AddressPool has at most {ENTRY_LIMIT} entries: put it into a second one", *entry.path)
        found = found[:ENTRY_LIMIT]
    return found


def ending_in_0_or_255(entries: Sequence[Entry]) -> list[str] | None:
    """The IPv4 addresses of the entries whose last octet is 0 or 255; None where they are too many to list."""
    found: list[str] = []
    for entry in entries:
        if entry.range.family != "IPv4":
            continue
        for block in range(entry.range.first >> 8, (entry.range.last >> 8) + 1):
            ends = (block << 8, (block << 8) | 255)
            found += [str(address_at("IPv4", end)) for end in ends if entry.range.first <= end <= entry.range.last]
            if len(found) > ENTRY_LIMIT:
                return None
    return found


def ends_of_ipv6(entries: Sequence[Entry]) -> list[str]:
    """The first and last addresses of the IPv6 CIDRs that are wider than /127."""
    return [
        str(address_at("IPv6", value))
        for entry in entries
        if "/" in entry.written and entry.range.family == "IPv6" and entry.range.size > 2
        for value in (entry.range.first, entry.range.last)
    ]


def _masked(text: str) -> str:
    """A CIDR with host bits as the network that it means; a range without blanks."""
    if "-" in text or "/" not in text:
        return "-".join(part.strip() for part in text.split("-"))
    host, _, length = text.strip().partition("/")
    try:
        network = ipaddress.ip_network((str(parse_address(host)), int(length)), strict=False)
    except ValueError:
        return text.strip()
    return str(network)


def _has_host_bits(text: str) -> bool:
    try:
        parse_range(text)
    except RangeError:
        return True
    return False
