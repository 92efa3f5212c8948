"""Hosts of the LAN that have addresses of pools, and DHCP servers that may give them away. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Final

from heraldlb.api.ranges import AddressRange
from heraldlb.api.serviceaddress import parse_service_address
from heraldlb.cli.kubectl import findings
from heraldlb.cli.kubectl.doctor.contents import Contents, contents
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.doctor.segments import as_range
from heraldlb.cli.kubectl.findings import Finding, Severity, listed
from heraldlb.cli.kubectl.output import plural
from heraldlb.cli.kubectl.pools.report import pools_report
from heraldlb.examination.survey import DhcpOffer

_WHILE_MOVING: Final = 10
"""Claims that another node may make, while an address moves from it or to it."""


def quarantined(seen: Seen) -> Iterator[Finding]:
    """Addresses that are kept back, since a host answered for them when they were to be announced."""
    return findings.of_quarantines(pools_report(seen.snapshot))


def claims(seen: Seen) -> Iterator[Finding]:
    """Announced addresses that somebody else claimed, where that is no conflict of which a Service says so."""
    contested = {
        record.address
        for record in map(parse_service_address, seen.snapshot.records)
        if record is not None and record.contested_since is not None
    }
    for node in seen.facts:
        for each in node.speaker.addresses:
            alone = each.sharers == 1
            if alone and each.foreign_claims > _WHILE_MOVING and each.address not in contested:
                times = plural(each.foreign_claims, "time")
                message = (
                    f"{each.address}, which it announces on {each.link}, was claimed by others {times} since then"
                )
                remedy = (
                    f"kubectl logs of its agent name the host; on the node: arping -D -I {each.link} {each.address}"
                )
                yield Finding(Severity.NOTICE, f"node {node.node}", message, remedy)


def squatters(seen: Seen) -> Iterator[Finding]:
    """Hosts that answered for an address which no Service has."""
    for pool in contents(seen.snapshot):
        found = sorted(
            {
                (int(each.address), f"{each.address} is at {each.mac}, on {each.link} of {node}", str(each.address))
                for node, surveyed in seen.surveyed.items()
                for each in surveyed.survey.answerers
                if each.address is not None and each.address in pool
            }
        )
        if found:
            addresses = ", ".join(dict.fromkeys(f'"{address}"' for _, _, address in found))
            yield Finding(
                Severity.WRONG,
                f"pool {pool.name}",
                f"other hosts have addresses of it: {listed([words for _, words, _ in found])} ({tried(seen)})",
                f"take them off these hosts, or leave them out: spec.excluded: [{addresses}]",
            )


def tried(seen: Seen) -> str:
    """How many addresses were probed."""
    probed = sum(each.survey.probed for each in seen.surveyed.values())
    return f"{plural(probed, 'address', 'addresses')} probed, of which no Service has one"


def dhcp(seen: Seen) -> Iterator[Finding]:
    """DHCP servers that offer addresses of a pool, or are on its segment."""
    pools = contents(seen.snapshot)
    told: set[str] = set()
    for node in sorted(seen.surveyed):
        for offer in seen.surveyed[node].survey.offers:
            finding = _judged(offer, node, pools, _networks(seen, node, offer))
            if finding is not None and finding.message not in told:
                told.add(finding.message)
                yield finding


def asked(seen: Seen) -> str:
    """Where DHCP servers were asked for."""
    where = [f"{link} of {node}" for node, each in sorted(seen.surveyed.items()) for link in each.survey.dhcp_links]
    return f"asked on {listed(where)}" if where else ""


def _judged(
    offer: DhcpOffer, node: str, pools: tuple[Contents, ...], networks: tuple[AddressRange, ...]
) -> Finding | None:
    server = f"the DHCP server {offer.server} ({offer.mac}) on {offer.link} of {node}"
    if inside := [pool.name for pool in pools if offer.offered in pool]:
        message = f"{server} offers {offer.offered}: it gives addresses of the pool to other hosts"
        remedy = "take the pool's addresses out of the server's range, or the range out of the pool (spec.excluded)"
        return Finding(Severity.WRONG, f"pool {listed(inside)}", message, remedy)
    parts = {str(part): each.name for each in pools for network in networks for part in each.within(network)}
    if not parts:
        return None
    near = listed(sorted(set(parts.values())))
    message = f"{server} offers {offer.offered}, and is on the segment of pool {near}"
    return Finding(Severity.NOTICE, "DHCP", message, f"see that its range leaves out {listed(sorted(parts))}")


def _networks(seen: Seen, node: str, offer: DhcpOffer) -> tuple[AddressRange, ...]:
    """Those of the segment that the offer came from: as the node knows it, or else as the offer has it."""
    link = seen.examined[node].facts.link(offer.link)
    known = tuple(as_range(each) for each in link.prefixes if each.version == 4) if link is not None else ()
    try:
        return known or (as_range(IPv4Network(f"{offer.offered}/{offer.mask}", strict=False)),)
    except ValueError:
        return ()
