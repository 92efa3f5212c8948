"""Whether requests for announced addresses come to the nodes that announce them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of
from heraldlb.cli.kubectl.ages import lasting
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.findings import Finding, Severity, listed
from heraldlb.examination.facts import NodeFacts

_SETTLED: Final = 60.0
"""Seconds after which clients that use an address have asked for it: hosts confirm what they know within that."""

_REQUESTS: Final[dict[Family, str]] = {"IPv4": "ARP request", "IPv6": "neighbour solicitation"}
_PINGS: Final[dict[Family, str]] = {
    "IPv4": "ip neigh flush to {address}; ping -c1 {address}",
    "IPv6": "ping -6 -c1 {address}",
}


@dataclass(slots=True)
class _Place:
    """A link of a node, and what is announced there."""

    addresses: list[IPAddress]
    seconds: float = 0.0
    """For which the first of them has been announced."""
    requests: int = 0


def unrequested(seen: Seen) -> Iterator[Finding]:
    """Links on which nobody has ever asked for any of the addresses that a node announces there.

    Where one is asked for, requests get through, and the others are just not used.
    """
    for family in FAMILIES:
        places = {
            f"{link} of {node.node}": place
            for node in seen.facts
            for link, place in _places(node, family).items()
            if place.seconds >= _SETTLED
        }
        silent = {where: place for where, place in places.items() if not place.requests}
        if silent:
            yield _finding(family, silent, heard=[where for where in places if where not in silent])


def _finding(family: Family, silent: dict[str, _Place], heard: list[str]) -> Finding:
    told = [
        f"on {where} for {listed([str(each) for each in place.addresses])} in {lasting(place.seconds)}"
        for where, place in silent.items()
    ]
    elsewhere = f"; meanwhile {listed(heard)} was asked for others" if heard else ""
    message = (
        f"no {_REQUESTS[family]} has come in {listed(told)}{elsewhere}. Nobody may want them; or something"
        " filters by hardware address or ARP: a switch's port security, a hypervisor's MAC filter, an access point"
    )
    example = next(iter(silent.values())).addresses[0]
    remedy = f"on a machine of the network: {_PINGS[family].format(address=example)}; then run this again"
    return Finding(Severity.NOTICE, "requests", message, remedy)


def _places(node: NodeFacts, family: Family) -> dict[str, _Place]:
    """By link."""
    found: dict[str, _Place] = {}
    for each in node.speaker.addresses:
        if each.address is not None and family_of(each.address) == family:
            place = found.setdefault(each.link, _Place([]))
            place.addresses.append(each.address)
            place.seconds = max(place.seconds, each.seconds)
            place.requests += each.requests
    return found
