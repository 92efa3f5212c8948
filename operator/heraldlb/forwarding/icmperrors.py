"""ICMP errors about answers of surviving connections: which slot of which frontend they belong to. Pure.

An answer goes from its endpoint's node straight to the client. A router on that way which cannot deliver it
("fragmentation needed", RFC 1191; "packet too big", RFC 8201; or unreachable) tells the answer's source. That is
the Service's address, and so whoever announces it, who has never heard of the connection. But the message quotes
the beginning of the answer, and with it all that a client's own packet is looked up by.

nft has no names for what is quoted. Numbers of bits from the beginning of the ICMP header stand for it (RFC 792,
RFC 4443), which hold for answers without IP options or extension headers: those of pods.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from heraldlb.api.ranges import Family
from heraldlb.forwarding.model import Frontend

NUMBERS: Final = {"TCP": 6, "UDP": 17}
"""As the IP header has them."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What one family's errors are, and where in them is what, in nft's words."""

    errors: str
    """Matches them."""
    protocol: str
    client: str
    """The quoted packet's destination."""
    client_port: str
    port: str
    """Its source port: the Service's."""


QUOTES: Final[dict[Family, Quote]] = {
    "IPv4": Quote(
        "icmp type { destination-unreachable, time-exceeded, parameter-problem }",
        protocol="@th,136,8",
        client="@th,192,32",
        client_port="@th,240,16",
        port="@th,224,16",
    ),
    "IPv6": Quote(
        "icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem }",
        protocol="@th,112,8",
        client="@th,256,128",
        client_port="@th,400,16",
        port="@th,384,16",
    ),
}


def dialled(family: Family) -> str:
    """The key of a frontend, in an error about one of its answers."""
    quote = QUOTES[family]
    return f"{'ip' if family == 'IPv4' else 'ip6'} daddr . {quote.protocol} . {quote.port}"


def dialled_at(frontend: Frontend) -> str:
    """The same, of this one. nft lists the numbers in hexadecimal."""
    return f"{frontend.address} . {NUMBERS[frontend.protocol]} . {frontend.port}"


def slot(family: Family, slots: int, seed: int) -> str:
    """The slot of the client that the answer was for: as nft hashes `saddr . sport` of the client's own packets."""
    quote = QUOTES[family]
    return f"jhash {quote.client} . {quote.client_port} mod {slots} seed {seed:#x}"
