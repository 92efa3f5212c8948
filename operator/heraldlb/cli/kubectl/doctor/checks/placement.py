"""Who may announce at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from heraldlb.agent.announceable import rules
from heraldlb.api.announcements import L2Announcement, parse_announcement
from heraldlb.api.explanations import HINDRANCES
from heraldlb.api.group import EXCLUDE_NODE_LABEL
from heraldlb.api.nodes import parse_node
from heraldlb.api.reasons import Hindrance
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.doctor.segments import attached
from heraldlb.cli.kubectl.findings import Finding, Severity, listed
from heraldlb.cli.kubectl.snapshot import agent_view

_REMEDIES: Final = {
    Hindrance.EXCLUDED: f"kubectl label node {{node}} {EXCLUDE_NODE_LABEL}-, or agent.ignoreExcludeLabel",
    Hindrance.CORDONED: "kubectl uncordon {node}, or agent.ignoreCordon",
    Hindrance.NETWORK_UNAVAILABLE: "see to the network plugin on {node}",
}


def nobody(seen: Seen) -> Iterator[Finding]:
    """Labels, cordons and conditions that leave no node to announce anything."""
    herald = seen.herald
    found = rules(
        agent_view(seen.snapshot),
        ignore_exclude_label=herald.ignores_exclude_label,
        ignore_cordon=herald.ignores_cordon,
    ).nodes
    if not found or not all(found.values()):
        return
    nodes_by_words: dict[str, list[str]] = {}
    for node, why in sorted(found.items()):
        nodes_by_words.setdefault(", ".join(HINDRANCES[each] for each in why), []).append(node)
    told = "; ".join(f"{listed(nodes)}: {words}" for words, nodes in nodes_by_words.items())
    node, why = min(found.items(), key=lambda item: (len(item[1]), item[0]))
    remedy = "; ".join(_REMEDIES[each].format(node=node) for each in why)
    yield Finding(Severity.WRONG, "nodes", f"none may announce anything ({told})", f"for instance: {remedy}")


def without_interface(seen: Seen) -> Iterator[Finding]:
    """L2Announcements whose `interfaces` leave nothing of a node that they select."""
    nodes = {node.name: node for node in map(parse_node, seen.snapshot.nodes)}
    for policy in map(parse_announcement, seen.snapshot.announcements):
        selected = {name for name, node in nodes.items() if policy.admits(node)} & set(seen.examined)
        bare = sorted(name for name in selected if not _left(seen, policy, name))
        if not bare:
            continue
        there = sorted({each.link.name for each in attached(seen.facts) if each.node in bare})
        message = (
            f"spec.interfaces leaves no interface of {listed(bare)}, where there are {listed(there) or 'none'}:"
            " nothing that only this policy covers is announced from there"
        )
        severity = Severity.WRONG if bare == sorted(selected) else Severity.NOTICE
        yield Finding(
            severity,
            f"l2announcement {policy.name}",
            message,
            f"correct it: kubectl edit l2announcement {policy.name}",
        )


def _left(seen: Seen, policy: L2Announcement, node: str) -> bool:
    return any(policy.interfaces.allows(each.link.name) for each in attached((seen.examined[node].facts,)))
