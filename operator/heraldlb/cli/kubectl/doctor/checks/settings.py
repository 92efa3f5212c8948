"""Settings of the nodes' kernels. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from heraldlb.cli.kubectl.doctor.contents import contents
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.doctor.segments import announcing
from heraldlb.cli.kubectl.doctor.survival import survival_wanted
from heraldlb.cli.kubectl.findings import Finding, Severity, listed
from heraldlb.examination.facts import Hindrance, LinkFacts, NodeFacts
from heraldlb.examination.sysctl import ALL, of_link

_STRICT: Final = 1
_FORWARDING: Final = "net.ipv4.ip_forward"


def hindrances(seen: Seen) -> Iterator[Finding]:
    """What agents have found themselves, the same of several nodes told together."""
    nodes: dict[Hindrance, list[str]] = {}
    for each in seen.facts:
        for hindrance in each.hindrances:
            nodes.setdefault(hindrance, []).append(each.node)
    for hindrance, names in nodes.items():
        message, _, remedy = hindrance.message.rpartition(". ")
        yield Finding(
            Severity.WRONG if hindrance.blocking else Severity.NOTICE,
            f"{'node' if len(names) == 1 else 'nodes'} {listed(names)}",
            message or remedy,
            remedy if message else f"look at {hindrance.subject} there",
        )


def reverse_paths(seen: Seen) -> Iterator[Finding]:
    """Links on which a strict filter drops clients whose answers leave by another one."""
    for each in seen.facts:
        routed = {link.name for link in each.links if any(gateway.version == 4 for gateway in link.gateways)}
        told = {hindrance.subject for hindrance in each.hindrances}
        for attachment in announcing((each,)):
            link = attachment.link
            name = of_link("IPv4", link.name, "rp_filter")
            if not routed or link.name in routed or name in told or not _has_ipv4(link):
                continue
            if max(_value(each, name), _value(each, of_link("IPv4", ALL, "rp_filter"))) == _STRICT:
                message = (
                    f"{name} is strict and the default route leaves by {listed(sorted(routed))}: of the clients"
                    f" that reach addresses on {link.name}, only those of its own networks are let in"
                )
                yield Finding(Severity.NOTICE, f"node {each.node}", message, f"sysctl -w {name}=2")


def redirects(seen: Seen) -> Iterator[Finding]:
    """ICMP redirects, which lead hosts past the node that announces. Only told where connections should survive."""
    if not survival_wanted(seen):
        return
    sending = [str(each) for each in announcing(seen.facts) if _sends_redirects(seen, each.node, each.link)]
    taking = [str(each) for each in announcing(seen.facts) if _takes_redirects(seen, each.node, each.link)]
    if sending:
        message = (
            f"are sent by {listed(sending)} for what they forward back to the link it came by, as to pods of the"
            " next node: who heeds one sends what is for a Service's address there, past the node that has it."
            " Packets of surviving connections cause none themselves"
        )
        remedy = "sysctl -w net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.LINK.send_redirects=0 on each"
        yield Finding(Severity.NOTICE, "redirects", message, remedy)
    if taking:
        message = f"are accepted by {listed(taking)}: a host of the segment may lead the nodes' answers elsewhere"
        remedy = "sysctl -w net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.LINK.accept_redirects=0 on each"
        yield Finding(Severity.NOTICE, "redirects", message, remedy)


def ipv6_disabled(seen: Seen) -> Iterator[Finding]:
    """Links that have no IPv6 while pools have."""
    wanted = [pool.name for pool in contents(seen.snapshot) if any(each.family == "IPv6" for each in pool.ranges)]
    if not wanted:
        return
    for each in announcing(seen.facts):
        name = of_link("IPv6", each.link.name, "disable_ipv6")
        if _value(seen.examined[each.node].facts, name) == 1:
            message = f"{name} is 1: no IPv6 address of pool {listed(wanted)} is announced on it"
            yield Finding(Severity.NOTICE, f"node {each.node}", message, f"sysctl -w {name}=0")


def _sends_redirects(seen: Seen, node: str, link: LinkFacts) -> bool:
    """As the kernel combines them: one of the two suffices."""
    facts = seen.examined[node].facts
    names = (of_link("IPv4", each, "send_redirects") for each in (ALL, link.name))
    return _has_ipv4(link) and any(_value(facts, name) == 1 for name in names)


def _takes_redirects(seen: Seen, node: str, link: LinkFacts) -> bool:
    """As the kernel combines them: both where the node forwards, which every node does that has pods."""
    facts = seen.examined[node].facts
    values = [_value(facts, of_link("IPv4", each, "accept_redirects")) == 1 for each in (ALL, link.name)]
    forwards = _value(facts, _FORWARDING) == 1
    return _has_ipv4(link) and (all(values) if forwards else any(values))


def _has_ipv4(link: LinkFacts) -> bool:
    return any(prefix.version == 4 for prefix in link.prefixes)


def _value(facts: NodeFacts, name: str) -> int:
    """0 where the kernel has none, or writes something else than a number."""
    written = facts.settings.get(name, "")
    return int(written) if written.isdigit() else 0
