"""A question about the network segments of a node and its answer: the bodies of `POST /examination`. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from heraldlb.api.ranges import IPAddress

MAX_PROBED: Final = 256
"""Addresses probed for one question."""


@dataclass(frozen=True, slots=True)
class Question:
    """What to find out."""

    probe: tuple[IPAddress, ...] = ()
    """Whether some host has these; at most MAX_PROBED."""
    dhcp: bool = False
    """Which DHCP servers there are."""


@dataclass(frozen=True, slots=True)
class Answerer:
    """A station that says that an address is its own."""

    address: IPAddress | None = None
    mac: str = ""
    link: str = ""
    """The node's link that it is found on."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An address that was not probed."""

    address: IPAddress | None = None
    reason: str = ""
    """In words, without a full stop."""


@dataclass(frozen=True, slots=True)
class DhcpOffer:
    """What a DHCP server would give to a new host."""

    server: IPv4Address | None = None
    """By its server identifier (RFC 2132 section 9.7), or else the sender of the packet."""
    mac: str = ""
    """Of the server, or of the relay that the offer came through."""
    offered: IPv4Address | None = None
    """It may be what the server keeps for this very node."""
    mask: str = ""
    """Subnet mask, in dotted form; empty where the offer has none."""
    router: IPv4Address | None = None
    """The first that it names."""
    link: str = ""
    """The node's link that the offer came in by."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A link that could not be asked."""

    link: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Survey:
    """The answer."""

    probed: int = 0
    """Addresses that were probed."""
    answerers: tuple[Answerer, ...] = ()
    """Who has addresses that were probed; an address that two stations have is told twice."""
    skipped: tuple[Skipped, ...] = ()
    dhcp_links: tuple[str, ...] = ()
    """Links on which DHCP servers were asked for."""
    offers: tuple[DhcpOffer, ...] = ()
    troubles: tuple[Trouble, ...] = ()
