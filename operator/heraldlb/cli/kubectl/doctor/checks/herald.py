"""Herald itself: its processes, and what they say of pools, policies and Services. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from heraldlb.cli.kubectl import findings
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.findings import Finding, Severity
from heraldlb.cli.kubectl.pools.report import pools_report
from heraldlb.cli.kubectl.services.report import services_report


def controllers(seen: Seen) -> Iterator[Finding]:
    """Whether one acts."""
    return findings.of_controllers(seen.snapshot, seen.herald)


def agents(seen: Seen) -> Iterator[Finding]:
    """Whether every node has one that is ready."""
    return findings.of_agents(seen.snapshot, seen.herald)


def unasked(seen: Seen) -> Iterator[Finding]:
    """Agents that are ready and could not be asked: most of an examination is theirs to tell."""
    for node, why in sorted(seen.unasked.items()):
        agent = seen.herald.agent_on(node)
        if agent is not None and agent.ready:
            port = agent.metrics_port or 7473
            remedy = (
                f"the API server reaches it at TCP port {port} of {node}: let it through, and see that"
                " kubectl auth can-i get pods --subresource=proxy says yes"
            )
            yield Finding(Severity.NOTICE, f"node {node}", f"its agent could not be asked: {why}", remedy)


def pools(seen: Seen) -> Iterator[Finding]:
    """What the controller says of them."""
    return findings.of_pools(pools_report(seen.snapshot))


def announcements(seen: Seen) -> Iterator[Finding]:
    """What the controller says of L2Announcements: that one selects no node, or names a pool that is not there."""
    return findings.of_announcements(seen.snapshot)


def services(seen: Seen) -> Iterator[Finding]:
    """Those that have not what they ask for."""
    return findings.of_services(services_report(seen.snapshot))
