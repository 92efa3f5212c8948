"""The last chapter: what to try next. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from heraldlb.api.explanations import EXPLANATIONS
from heraldlb.api.group import EXCLUDE_NODE_LABEL, LOAD_BALANCER_CLASS
from heraldlb.api.reasons import Hindrance, Reason
from heraldlb.cli.kubectl.explain.announcing import AddressChapter
from heraldlb.cli.kubectl.findings import listed
from heraldlb.cli.kubectl.installation import Installation
from heraldlb.cli.kubectl.services.report import State

if TYPE_CHECKING:
    from heraldlb.cli.kubectl.explain.report import StoryReport

_NODE_ADVICE: Final[Mapping[Hindrance, str]] = {
    Hindrance.NO_LOCAL_ENDPOINT: "Run a pod of the Service on {nodes}, or set externalTrafficPolicy to Cluster.",
    Hindrance.NO_PREFIX: "Give {nodes} an address of the network of {address}, or move the pool to one of theirs.",
    Hindrance.NO_INTERFACE: "See that {nodes} has an interface with carrier that L2Announcements allow.",
    Hindrance.NOT_SELECTED: "Have an L2Announcement cover this pool and this Service on {nodes}.",
    Hindrance.CORDONED: "kubectl uncordon {nodes}; or let cordoned nodes announce: agent.ignoreCordon.",
    Hindrance.EXCLUDED: f"Take the label {EXCLUDE_NODE_LABEL} off {{nodes}}, or set agent.ignoreExcludeLabel.",
    Hindrance.NETWORK_UNAVAILABLE: "See to the network plugin on {nodes}: its condition NetworkUnavailable holds.",
    Hindrance.NOT_HEARD: "Look at the agent on {nodes}, and open UDP port 7947 between the nodes.",
    Hindrance.NOT_SERVING: "Wait for the agent on {nodes}, which is starting or cut off; else read its log.",
}
"""What to do where that keeps nodes from announcing. Of endpoints, forwarding has more to say."""

_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")


def advice(report: StoryReport, herald: Installation) -> tuple[str, ...]:
    """Sentences, the most promising first; of a Service that works, how to see it work."""
    return tuple(dict.fromkeys(_advice(report, herald)))


def remedy(reason: str) -> str:
    """What to do about one of Herald's reasons, as plain text; empty: nothing, or it is no reason of ours."""
    if reason not in set(Reason):
        return ""
    text = EXPLANATIONS[Reason(reason)].remedy
    return "" if text == "Nothing." else _LINK.sub(r"\1", text).replace("`", "")


def _advice(report: StoryReport, herald: Installation) -> Iterator[str]:
    if report.state is State.FOREIGN and report.request.type != "LoadBalancer":
        yield "Set spec.type to LoadBalancer, if it is to have an address of Herald's."
        return
    if report.state is State.FOREIGN:
        yield (
            f"Herald leaves it alone: it serves Services of type LoadBalancer whose loadBalancerClass is"
            f" {herald.controller_settings.load_balancer_class or LOAD_BALANCER_CLASS}"
            + (" or not set." if herald.controller_settings.default_class else ".")
            + " The class of a Service cannot be changed: to have it served, make the Service anew."
        )
        return
    yield from _controller(report, herald)
    decision = report.allocation.decision
    if decision is not None and not decision.satisfied:
        yield remedy(decision.reason)
    yield from _announcing(report, herald)
    for port in report.forwarding.ports:
        if port.problem:
            yield f"Have a ready pod behind the Service: {port.problem}."
    if report.works:
        yield from _proof(report)


def _controller(report: StoryReport, herald: Installation) -> Iterator[str]:
    """Where it has not said what follows from the objects, the first question is whether it runs."""
    if report.allocation.agrees:
        return
    if herald.controllers and not any(each.ready for each in herald.controllers):
        namespace = herald.controllers[0].pod.namespace
        yield (
            "No controller is ready, so nothing is decided: kubectl get pods"
            f" -n {namespace} -l app.kubernetes.io/component=controller"
        )
    elif herald.leadership is None or not herald.leadership.holder or herald.leadership.expired:
        yield "No controller acts, so nothing is decided: see that its pods run, and read their logs."
    else:
        yield (
            "Ask again in a few seconds: the controller has not said yet what follows from the objects as they are"
            " now. If that stays so, read the logs of the controller."
        )


def _announcing(report: StoryReport, herald: Installation) -> Iterator[str]:
    for chapter in report.addresses:
        if chapter.contested:
            yield remedy(Reason.ADDRESS_CONFLICT)
        if chapter.node:
            continue
        if not herald.agents and "pods" not in report.unread:
            yield "No agent runs in this cluster, so nobody announces addresses: see to the chart's DaemonSet."
        elif herald.agents and not any(agent.ready for agent in herald.agents):
            yield (
                "No agent is ready, so nobody announces addresses: kubectl get pods -A"
                " -l app.kubernetes.io/component=agent"
            )
        elif chapter.reason == Reason.ADDRESS_CONFLICT:
            yield remedy(chapter.reason)
        else:
            yield from _nearest(chapter)


def _nearest(chapter: AddressChapter) -> Iterator[str]:
    """What to do for those nodes that lack the least."""
    least = min((len(each.why) for each in chapter.nodes), default=0)
    near = [each for each in chapter.nodes if len(each.why) == least]
    for hindrance, words in _NODE_ADVICE.items():
        if names := [each.node for each in near if hindrance in each.hindrances]:
            yield words.format(nodes=listed(names), address=chapter.address)
    if not least:
        yield "Ask again in a few seconds: a node may announce the address, and has yet to say that it does."


def _proof(report: StoryReport) -> Iterator[str]:
    if not report.forwarding.ports:
        yield "Nothing is wrong, as far as these credentials can see."
        return
    chapter, port = report.addresses[0], report.forwarding.ports[0]
    host = f"[{chapter.address}]" if chapter.address.version == 6 else str(chapter.address)
    if port.protocol == "TCP":
        yield f"Nothing is wrong. From a host of the same network: curl http://{host}:{port.port}/"
    else:
        yield f"Nothing is wrong. Try it from a host of the same network: {host}, port {port.port}/{port.protocol}."
    if report.forwarding.source_ranges:
        yield f"Only clients of {', '.join(report.forwarding.source_ranges)} are let in."
    asked = [each for chapter in report.addresses for each in chapter.counters.values()]
    if asked and not any(each.requests for each in asked):
        yield (
            "No request for the address has come to the node yet. If clients were trying, they are on another"
            " network, or something between them and the node filters ARP (Wi-Fi, port security of a switch)."
        )
