"""Address ranges as users write them: a CIDR, `first-last`, or one address."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Literal

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Family = Literal["IPv4", "IPv6"]

FAMILIES: tuple[Family, Family] = ("IPv4", "IPv6")


class RangeError(ValueError):
    """A text that names no range; the message quotes it and says what to write instead."""


@dataclass(frozen=True, slots=True, order=True)
class AddressRange:
    """An inclusive range of addresses of one family, its ends as integers (RFC 791 / RFC 4291 order)."""

    family: Family
    first: int
    last: int

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, ipaddress.IPv4Address | ipaddress.IPv6Address):
            return False
        return family_of(address) == self.family and self.first <= int(address) <= self.last

    def __str__(self) -> str:
        first, last = address_at(self.family, self.first), address_at(self.family, self.last)
        return str(first) if first == last else f"{first}-{last}"

    @property
    def size(self) -> int:
        """How many addresses. Not `len()`, which cannot return what an IPv6 /64 holds."""
        return self.last - self.first + 1

    def overlaps(self, other: AddressRange) -> bool:
        """Whether the two share an address."""
        return self.family == other.family and self.first <= other.last and other.first <= self.last


def family_of(address: IPAddress) -> Family:
    """The Kubernetes name of the address's family."""
    return "IPv4" if address.version == 4 else "IPv6"


def address_at(family: Family, value: int) -> IPAddress:
    """The address of `family` whose integer value is `value`."""
    return ipaddress.IPv4Address(value) if family == "IPv4" else ipaddress.IPv6Address(value)


def parse_address(text: str) -> IPAddress:
    """One plain address. Zones (`%eth0`) and IPv4-mapped IPv6 addresses are refused, as Kubernetes refuses them.

    Raises RangeError.
    """
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        raise RangeError(f'"{text}" is not an IP address') from None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise RangeError(f'"{text}" carries a zone: write the address without "%{address.scope_id}"')
        if address.ipv4_mapped is not None:
            raise RangeError(f'"{text}" is an IPv4-mapped address: write {address.ipv4_mapped}')
    return address


def parse_range(text: str) -> AddressRange:
    """A pool entry: `192.168.2.0/28`, `192.168.1.240-192.168.1.250` (blanks around `-` allowed) or one address.

    Raises RangeError, whose message quotes the entry: no address, host bits set in a CIDR, families mixed in
    one range, a range whose end comes before its start.
    """
    if "-" in text:
        return _parse_span(text)
    if "/" in text:
        return _parse_cidr(text)
    address = parse_address(text)
    return AddressRange(family_of(address), int(address), int(address))


def _parse_cidr(text: str) -> AddressRange:
    host, _, length = text.strip().partition("/")
    address = parse_address(host)
    if not length.isascii() or not length.isdigit() or int(length) > address.max_prefixlen:
        raise RangeError(f'"{text}" is not a CIDR: the prefix length must be 0 to {address.max_prefixlen}')
    network = ipaddress.ip_network((address, int(length)), strict=False)
    if network.network_address != address:
        raise RangeError(f'"{text}" has host bits set: write {network} for the whole network')
    return AddressRange(family_of(address), int(network.network_address), int(network.broadcast_address))


def _parse_span(text: str) -> AddressRange:
    start, _, end = text.partition("-")
    first, last = parse_address(start), parse_address(end)
    if first.version != last.version:
        raise RangeError(f'"{text}" mixes IPv4 and IPv6 in one range: write one entry for each family')
    if int(first) > int(last):
        raise RangeError(f'"{text}" is reversed: write {last}-{first}')
    return AddressRange(family_of(first), int(first), int(last))
