"""Whether agents hear each other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from heraldlb.cli.kubectl.ages import lasting
from heraldlb.cli.kubectl.doctor.seen import Seen
from heraldlb.cli.kubectl.findings import Finding, Severity, listed
from heraldlb.cli.kubectl.output import plural
from heraldlb.examination.facts import NodeFacts, RefusedFacts

_SETTLED: Final = 10.0
"""Seconds after which agents that started have found each other, however busy their nodes."""
_LATELY: Final = 60.0
"""Seconds for which a refused datagram tells of how things are now."""
_FRESH: Final = 5.0
"""Seconds within which a datagram of a peer shows that its way here is open; they come many times a second."""

_WRONG_KEY: Final = "BadSignature"
_UNREADABLE: Final = "Malformed"
_NOBODY: Final = "UnknownSender"


def unheard(seen: Seen) -> Iterator[Finding]:
    """Agents that run and whose heartbeats do not get to another that should hear them: a port that is blocked."""
    blocked = _blocked(seen)
    if not blocked:
        return
    both = sorted({(min(way), max(way)) for way in blocked if (way[1], way[0]) in blocked})
    one_way = sorted(way for way in blocked if (way[1], way[0]) not in blocked)
    told = [
        *(f"between {first} and {second}" for first, second in both),
        *(f"from {sender} to {receiver}{_other_way(seen, sender)}" for sender, receiver in one_way),
    ]
    port = next((each.speaker.membership_port for each in seen.facts if each.speaker.membership_port), 7947)
    message = (
        f"heartbeats do not get through {listed(told)}, though the agents run: nodes that nobody hears announce"
        " nothing, and where nodes are cut off from each other both may announce one address"
    )
    remedy = (
        f"open UDP port {port} between all nodes, in both directions: the nodes' own firewalls (nft list ruleset),"
        " security groups, the switches' filters"
    )
    yield Finding(Severity.WRONG, "membership", message, remedy)


def isolated(seen: Seen) -> Iterator[Finding]:
    """Nodes that own nothing since they take themselves for cut off."""
    if names := [each.node for each in seen.facts if each.speaker.standing == "ISOLATED"]:
        message = f"{listed(names)}: hears no other node and takes itself for cut off, so that it announces nothing"
        yield Finding(Severity.WRONG, "membership", message, "see to its network, and to UDP between the nodes")


def unreachable(seen: Seen) -> Iterator[Finding]:
    """Nodes with an agent and without an address that heartbeats could go to."""
    names = {
        peer.name
        for each in seen.facts
        for peer in each.speaker.peers
        if peer.address is None and seen.herald.agent_on(peer.name) is not None
    }
    if names:
        message = (
            f"{listed(sorted(names))}: no InternalIP of a family that the other nodes speak, so nobody hears it"
        )
        remedy = "see to the kubelet's --node-ip: kubectl get nodes -o wide"
        yield Finding(Severity.WRONG, "membership", message, remedy)


def refused(seen: Seen) -> Iterator[Finding]:
    """Datagrams that agents do not take: another key, another program, another cluster."""
    for verdict, severity, words, remedy in _REFUSALS:
        if found := _lately(seen, verdict):
            told = listed([f"{plural(each.count, 'time')} on {node}" for node, each in found.items()])
            last = min(each.ago or 0.0 for each in found.values())
            yield Finding(severity, "membership", f"{words} ({told}, the last {lasting(last)} ago)", remedy)


def tunnel(seen: Seen) -> Iterator[str]:
    """A need of its own: nothing that an agent sees tells whether the tunnel's packets arrive."""
    if ports := sorted({each.tunnel_port for each in seen.facts if each.tunnel_port}):
        shown = ", ".join(map(str, ports))
        yield (
            f"whether UDP port {shown} is open, by which surviving connections go to other segments, no agent sees;"
            f" on a node of the other segment: tcpdump -ni any udp port {shown}"
        )


_REFUSALS: Final = (
    (
        _WRONG_KEY,
        Severity.WRONG,
        "datagrams were signed with another key: these agents take each other for dead",
        "give all agents one key: kubectl rollout restart of the DaemonSet, if its Secret was changed",
    ),
    (
        _UNREADABLE,
        Severity.NOTICE,
        "datagrams were no heartbeats of this version",
        "if no upgrade is under way, another program sends to that port: agent.membership.port",
    ),
    (
        _NOBODY,
        Severity.NOTICE,
        "datagrams came from nodes that this cluster does not name, with its key",
        "another cluster has the same key on the same network: give it one of its own",
    ),
)


def _lately(seen: Seen, verdict: str) -> dict[str, RefusedFacts]:
    """By node, what it refused for that reason within the last minute."""
    return {
        each.node: refusal
        for each in seen.facts
        for refusal in each.speaker.refused
        if refusal.verdict == verdict and refusal.ago is not None and _counts(each, refusal.ago)
    }


def _counts(facts: NodeFacts, ago: float) -> bool:
    """Whether it tells of how things are: an agent that has just started does not know all the others yet."""
    return ago < _LATELY and facts.clock - ago - facts.started >= _SETTLED


def _blocked(seen: Seen) -> set[tuple[str, str]]:
    """Sender and receiver of heartbeats that should come in and do not. Wrong keys have a finding of their own."""
    wrong_key = set(_lately(seen, _WRONG_KEY))
    settled: Mapping[str, NodeFacts] = {
        each.node: each
        for each in seen.facts
        if each.speaker.standing and each.clock - each.started >= _SETTLED and each.node not in wrong_key
    }
    found = set()
    for node, each in settled.items():
        for peer in each.speaker.peers:
            if not peer.expected or peer.heard or peer.address is None or not _runs(seen, settled, peer.name):
                continue
            comes_in = peer.received_ago is not None and peer.received_ago < _FRESH
            found.add((node, peer.name) if comes_in else (peer.name, node))
    return found


def _other_way(seen: Seen, sender: str) -> str:
    """Of the direction that nothing was found against: known only where the sender was asked, too."""
    return ", but the other way round" if sender in seen.examined else ""


def _runs(seen: Seen, settled: Mapping[str, NodeFacts], node: str) -> bool:
    """Whether that node's agent has been there long enough to be heard."""
    if node in seen.examined:
        return node in settled
    agent = seen.herald.agent_on(node)
    return agent is not None and agent.ready
