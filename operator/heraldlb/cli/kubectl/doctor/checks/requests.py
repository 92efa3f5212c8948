"""Whether requests for announced addresses come to the nodes that announce them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from heraldlb.cli.kubectl.ages import lasting
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.findings import Finding, Severity, listed
from heraldlb.examination.facts import AddressFacts

_SETTLED: Final = 60.0
"""Seconds after which clients that use an address have asked for it: hosts confirm what they know within that."""


def unrequested(seen: Seen) -> Iterator[Finding]:
    """Links on which nobody has ever asked for any of the addresses that a node announces there.

    Where one is asked for, requests get through, and the others are just not used.
    """
    for node in seen.facts:
        by_link: dict[tuple[str, int], list[AddressFacts]] = {}
        for each in node.speaker.addresses:
            if each.address is not None:
                by_link.setdefault((each.link, each.address.version), []).append(each)
        for (link, version), addresses in by_link.items():
            lasted = max(each.seconds for each in addresses)
            if lasted < _SETTLED or any(each.requests for each in addresses):
                continue
            words = "ARP request" if version == 4 else "neighbour solicitation"
            told = sum(each.announcements for each in addresses)
            heard = _heard_elsewhere(seen, node.node, version)
            example = addresses[0].address
            message = (
                f"no {words} has come in on {link} for {listed([str(each.address) for each in addresses])} in"
                f" {lasting(lasted)}, though announced {told} times"
                + (f"; {listed(heard)} was asked for its own meanwhile" if heard else "")
                + ". Nobody may want them; or something filters by hardware address or ARP (a switch's port"
                " security, a hypervisor's MAC filter, an access point)"
            )
            remedy = (
                f"on a machine of the network: ip neigh flush to {example}; ping -c1 {example}; then run this again"
                if version == 4
                else f"on a machine of the network: ping -6 -c1 {example}; then run this again"
            )
            yield Finding(Severity.NOTICE, f"node {node.node}", message, remedy)


def _heard_elsewhere(seen: Seen, node: str, version: int) -> list[str]:
    """Other nodes that were asked for an address of that family."""
    return [
        each.node
        for each in seen.facts
        if each.node != node
        and any(
            address.requests and address.address is not None and address.address.version == version
            for address in each.speaker.addresses
        )
    ]
