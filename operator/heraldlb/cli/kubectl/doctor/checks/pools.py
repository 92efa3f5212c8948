"""Pools held against the networks that nodes are on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network

from heraldlb.api.nodes import parse_node
from heraldlb.api.ranges import IPAddress, RangeError, parse_range
from heraldlb.cli.kubectl.doctor.contents import Contents, contents, without
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.doctor.segments import announcing, as_range, attached, segments
from heraldlb.cli.kubectl.findings import Finding, Severity, listed


def out_of_reach(seen: Seen) -> Iterator[Finding]:
    """Addresses in no network of a node that announces: nobody is asked for them there."""
    networks = segments(announcing(seen.facts))
    if not networks:
        return
    reached = [as_range(each) for each in networks]
    shown = listed([str(each) for each in networks])
    for pool in contents(seen.snapshot):
        missing = without(pool.ranges, reached)
        if not missing:
            continue
        whole = missing == without(pool.ranges, ())
        which = "all of it" if whole else listed([str(each) for each in missing])
        message = f"{which} is in no network of a node that announces ({shown}): no node can answer for it"
        remedy = "use addresses of those networks, or give a node that announces an address of the pool's network"
        yield Finding(Severity.WRONG if whole else Severity.NOTICE, f"pool {pool.name}", message, remedy)


def not_to_be_given(seen: Seen) -> Iterator[Finding]:
    """Addresses that are somebody's already, or nobody's ever."""
    owners = _spoken_for(seen)
    for pool in contents(seen.snapshot):
        if taken := {address: whose for address, whose in owners.items() if address in pool}:
            told = listed([f"{address} ({whose})" for address, whose in taken.items()])
            addresses = ", ".join(f'"{address}"' for address in taken)
            yield Finding(
                Severity.WRONG,
                f"pool {pool.name}",
                f"holds what no Service may have: {told}",
                f"leave it out: spec.excluded: [{addresses}]",
            )


def inside_the_cluster(seen: Seen) -> Iterator[Finding]:
    """Pools that share addresses with the networks of pods."""
    for pool in contents(seen.snapshot):
        if inner := sorted(set(_pod_networks(seen, pool))):
            message = f"shares addresses with the pods' networks {listed(inner)}"
            remedy = "use addresses of the LAN that neither pods nor Services have"
            yield Finding(Severity.WRONG, f"pool {pool.name}", message, remedy)


def _pod_networks(seen: Seen, pool: Contents) -> Iterator[str]:
    for node in map(parse_node, seen.snapshot.nodes):
        for written in node.pod_cidrs:
            try:
                if pool.overlaps(parse_range(written)):
                    yield written
            except RangeError:
                continue


def _spoken_for(seen: Seen) -> Mapping[IPAddress, str]:
    """Whose an address is, as nodes and their links tell."""
    found: dict[IPAddress, str] = {}
    for node in map(parse_node, seen.snapshot.nodes):
        found |= dict.fromkeys(node.internal_ips, f"node {node.name}")
    for each in attached(seen.facts):
        for address in each.link.addresses:
            found.setdefault(address, f"{each}")
        for router in each.link.gateways:
            found.setdefault(router, f"the router of {each.node}")
    for network in segments(announcing(seen.facts)):
        # Point-to-point networks have neither (RFC 3021).
        if isinstance(network, IPv4Network) and network.prefixlen < 31:
            found.setdefault(network.network_address, f"the network address of {network}")
            found.setdefault(network.broadcast_address, f"the broadcast address of {network}")
    return found
