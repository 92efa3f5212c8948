"""Links that addresses are announced on, and what keeps frames from them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from heraldlb.cli.kubectl.doctor.contents import contents
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.doctor.segments import Attachment, announcing, as_range, attached, segments
from heraldlb.cli.kubectl.doctor.survival import survival_wanted
from heraldlb.cli.kubectl.findings import Finding, Severity, listed
from heraldlb.examination.facts import LinkFacts, LinkKind

_TAKING_PORTS: Final = frozenset({LinkKind.BRIDGE.value, LinkKind.BOND.value, LinkKind.TEAM.value})
"""Masters that take what comes in by their ports, so that the port's own addresses hear nothing of it."""

_ELSEWHERE: Final = "announce on another link: spec.interfaces of an L2Announcement"


def wireless(seen: Seen) -> Iterator[Finding]:
    """Access points may keep broadcasts, and so ARP, from their stations."""
    if found := [str(each) for each in announcing(seen.facts) if each.link.kind == LinkKind.WIRELESS]:
        message = (
            f"{listed(found)}: wireless, and announces. Access points may filter or answer ARP for their stations,"
            " lose broadcasts to stations that sleep, and keep stations from each other"
        )
        remedy = f"use a cable, or {_ELSEWHERE}; else switch off client isolation, ARP proxy and power saving"
        yield Finding(Severity.NOTICE, "links", message, remedy)


def without_carrier(seen: Seen) -> Iterator[Finding]:
    """Links that would be announced on if a cable was plugged in."""
    pools = contents(seen.snapshot)
    for each in attached(seen.facts):
        networks = [as_range(prefix) for prefix in each.link.prefixes]
        wanted = [pool.name for pool in pools if any(pool.overlaps(network) for network in networks)]
        if each.link.carrier or not wanted:
            continue
        why = "has no carrier" if each.link.up else "is down"
        message = f"{each.link.name} {why}: the node announces nothing of pool {listed(wanted)} on it"
        remedy = "see to the cable and the switch's port" if each.link.up else f"ip link set {each.link.name} up"
        yield Finding(Severity.WRONG, f"node {each.node}", message, remedy)


def misleading(seen: Seen) -> Iterator[Finding]:
    """Links whose kind keeps frames for announced addresses from the node, or changes its answers."""
    for each in announcing(seen.facts):
        yield from _misleading(seen, each)


def mtu(seen: Seen) -> Iterator[Finding]:
    """Nodes of one segment that disagree about the size of its packets."""
    told: set[tuple[Attachment, ...]] = set()
    for network, members in segments(announcing(seen.facts)).items():
        sizes: dict[int, list[str]] = {}
        for each in members:
            sizes.setdefault(each.link.mtu, []).append(str(each))
        if len(sizes) < 2 or members in told:
            continue
        told.add(members)
        words = "; ".join(f"{size}: {listed(sizes[size])}" for size in sorted(sizes))
        wanted = survival_wanted(seen)
        message = f"differs on {network} ({words}): packets that one node sends are too long for another"
        if wanted:
            message += ", and those of surviving connections are passed on as they come"
        remedy = f"set all to one size, as to the smallest: ip link set LINK mtu {min(sizes)}"
        yield Finding(Severity.WRONG if wanted else Severity.NOTICE, "MTU", message, remedy)


def _misleading(seen: Seen, each: Attachment) -> Iterator[Finding]:
    link, subject = each.link, f"node {each.node}"
    master = _master(seen, each)
    if master is not None and master.kind in _TAKING_PORTS:
        message = (
            f"{link.name} announces and is a port of the {master.kind} {master.name}, which takes the packets that"
            " come in by it: they do not reach Services"
        )
        remedy = f"move the addresses of {link.name} to {master.name}, or {_ELSEWHERE}"
        yield Finding(Severity.WRONG, subject, message, remedy)
    elif link.kind == LinkKind.IPVLAN:
        message = (
            f"{link.name} announces and is an ipvlan ({link.mode or 'l2'}), to which the kernel gives packets for"
            f" its own addresses only: those for Services' addresses go to its parent {link.parent}".rstrip()
        )
        yield Finding(Severity.WRONG, subject, message, f"{_ELSEWHERE}, such as its parent")
    elif link.kind == LinkKind.MACVLAN:
        parent = link.parent or "its parent"
        message = (
            f"{link.name} announces and is a macvlan ({link.mode or 'vepa'}): the machine that has {parent} does"
            " not reach what is announced there, nor do other macvlans of it unless their mode is bridge"
        )
        yield Finding(Severity.NOTICE, subject, message, f"reach it from other machines, or {_ELSEWHERE}")
    elif link.kind == LinkKind.BOND and link.mode == "balance-alb":
        message = (
            f"{link.name} announces and is a bond in mode balance-alb, which changes the hardware address in ARP"
            " replies from client to client: to other nodes that looks like a stranger"
        )
        yield Finding(Severity.NOTICE, subject, message, "use another mode: active-backup, or 802.3ad")


def _master(seen: Seen, each: Attachment) -> LinkFacts | None:
    return seen.examined[each.node].facts.link(each.link.master) if each.link.master else None
