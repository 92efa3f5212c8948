"""The story as text. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from heraldlb.cli.kubectl.ages import age
from heraldlb.cli.kubectl.explain.allocation import AllocationChapter, Answer, PoolAnswer, RequestChapter
from heraldlb.cli.kubectl.explain.announcing import AddressChapter, NodeStanding, Standing
from heraldlb.cli.kubectl.explain.forwarding import ForwardingChapter, PortChapter
from heraldlb.cli.kubectl.explain.report import StoryReport
from heraldlb.cli.kubectl.happenings import Happened
from heraldlb.cli.kubectl.output import plural
from heraldlb.cli.kubectl.services.render import coloured
from heraldlb.cli.kubectl.style import bad, doubtful, faint, good, heading
from heraldlb.cli.kubectl.text import wrapped

LISTED_EVENTS = 5
"""Events that are shown; -o wide shows all."""

LISTED_NODES = 20
"""Nodes that are all listed; of more, the one that announces and as many others."""

YES, NO, MAYBE = "✓", "✗", "·"


def render(report: StoryReport, wide: bool, width: int) -> Iterator[str]:
    """Lines of `kubectl herald explain`."""
    yield f"{heading(f'Service {report.service}')}: {coloured(report.state)}"
    yield from wrapped(report.headline, width)
    yield from _chapter("Request", _request(report.request), width)
    yield from _chapter("Pools", _allocation(report.allocation, report.now), width)
    for address in report.addresses:
        yield from _chapter(f"Address {address.address}", _address(address, report.now, wide), width)
    yield from _chapter("Forwarding", _forwarding(report.forwarding, report.unread.get("slices", "")), width)
    yield from _chapter("Events", _events(report, wide), width)
    yield from _chapter("What next", (f"- {each}" for each in report.advice), width)


def _chapter(title: str, lines: Iterable[str], width: int) -> Iterator[str]:
    yield ""
    yield heading(title)
    for line in lines:
        yield from wrapped(line, width)


def _request(chapter: RequestChapter) -> Iterator[str]:
    yield f"families: {', '.join(chapter.families)} ({chapter.family_policy})"
    yield f"addresses: {', '.join(map(str, chapter.addresses)) or 'any'}, pool: {chapter.pool or 'any'}"
    if chapter.sharing_key:
        yield f'sharing key: "{chapter.sharing_key}"' + (", must share" if chapter.must_share else "")
    whose = "which Herald serves" if chapter.served else bad("which Herald does not serve")
    yield f"type: {chapter.type}, load balancer class: {chapter.load_balancer_class or 'none'}, {whose}"
    if chapter.problem:
        yield bad(f"cannot be followed: {chapter.problem}")


def _allocation(chapter: AllocationChapter, now: float) -> Iterator[str]:
    for walk in chapter.walks:
        if not walk.pools:
            yield f"{walk.family}: there is no pool"
        else:
            yield f"{walk.family}, in the order in which pools are tried:"
        longest = max((len(each.pool) for each in walk.pools), default=0)
        for each in walk.pools:
            yield f"  {_mark(each)} {each.pool:{longest}}  {_words(each)}"
    if chapter.decision is None:
        yield "Herald gives it no address, and asks no pool for one."
        return
    colour = good if chapter.decision.satisfied else bad
    yield f"so: {colour(chapter.decision.reason)}" + (
        f", which the controller says, too, since {age(chapter.said_since, now)}" if chapter.agrees else ""
    )
    if chapter.agrees:
        return
    yield f"  {chapter.decision.message}"
    if chapter.said is None:
        yield doubtful("the controller has not said anything about it yet")
    else:
        yield doubtful(f"the controller has said otherwise: {chapter.said.reason}: {chapter.said.message}")


def _mark(answer: PoolAnswer) -> str:
    match answer.answer:
        case Answer.GAVE:
            return good(YES)
        case Answer.REFUSES:
            return bad(NO)
        case _:
            return faint(MAYBE)


def _words(answer: PoolAnswer) -> str:
    reasons = f" ({', '.join(answer.reasons)})" if answer.reasons else ""
    return f"{answer.message}{reasons}"


def _address(chapter: AddressChapter, now: float, wide: bool) -> Iterator[str]:
    if chapter.shared_with:
        yield f"shared with {', '.join(map(str, chapter.shared_with))}"
    if chapter.node:
        yield good(f"announced since {age(chapter.since, now)}") + f": {chapter.message}"
    else:
        yield bad("announced by nobody") + f": {chapter.message}"
    if chapter.contested:
        yield bad(f"contested: {chapter.contested}")
    if chapter.policies:
        yield f"allowed by L2Announcement {', '.join(chapter.policies)}"
    if chapter.nodes:
        longest = max(len(each.node) for each in chapter.nodes)
        shown = chapter.nodes if wide or len(chapter.nodes) <= LISTED_NODES else _telling(chapter.nodes)
        for each in shown:
            yield f"  {_node_mark(each)} {each.node:{longest}}  {_node_words(each)}"
        if len(shown) < len(chapter.nodes):
            yield f"  {faint(MAYBE)} and {len(chapter.nodes) - len(shown)} more nodes (-o wide)"
    yield from _requests(chapter)


def _telling(nodes: tuple[NodeStanding, ...]) -> list[NodeStanding]:
    own = [each for each in nodes if each.standing is Standing.ANNOUNCES]
    rest = [each for each in nodes if each.standing is not Standing.ANNOUNCES]
    return own + sorted(rest, key=lambda each: not each.why)[: LISTED_NODES - len(own)]


def _node_mark(node: NodeStanding) -> str:
    match node.standing:
        case Standing.ANNOUNCES | Standing.SHARES:
            return good(YES)
        case Standing.MAY_NOT:
            return bad(NO)
        case _:
            return faint(MAYBE)


def _node_words(node: NodeStanding) -> str:
    match node.standing:
        case Standing.ANNOUNCES:
            return "announces it" + (f", though {', '.join(node.why)}" if node.why else "")
        case Standing.SHARES:
            return "announces it to its share of clients"
        case Standing.MAY:
            return "may take over, as far as objects say"
        case Standing.MAY_NOT:
            return f"may not: {', '.join(node.why)}"


def _requests(chapter: AddressChapter) -> Iterator[str]:
    kind = "ARP requests" if chapter.address.version == 4 else "neighbour solicitations"
    for node, counters in chapter.counters.items():
        line = f"{kind} at {node} since it announces it: {counters.requests} seen, {counters.answers} answered"
        yield line + f", {counters.announcements} announcements"
        if counters.foreign_claims:
            yield doubtful(f"{counters.foreign_claims} claims of others seen at {node}")
    for node, why in chapter.unasked.items():
        yield f"{kind} seen and answered at {node}: not known, {why}"
    if chapter.node and not chapter.counters and not chapter.unasked:
        yield f"{kind} seen and answered: not known, the agent of {chapter.node} could not be asked"


def _forwarding(chapter: ForwardingChapter, unread: str) -> Iterator[str]:
    if unread:
        yield doubtful(f"not known: {unread}")
        return
    for port in chapter.ports:
        yield _port(port, several=len({each.family for each in chapter.ports}) > 1)
    if chapter.not_ready:
        yield f"{plural(chapter.not_ready, 'endpoint')} more, not ready"
    if chapter.local:
        yield "externalTrafficPolicy is Local: only nodes with endpoints announce, and each forwards to its own"
    if chapter.source_ranges:
        yield f"only clients of {', '.join(chapter.source_ranges)} are let in"
    for forwarder in dict.fromkeys(chapter.forwarders.values()):
        nodes = [node for node, each in chapter.forwarders.items() if each == forwarder]
        yield f"forwarded by {forwarder} on {', '.join(nodes)}"


def _port(port: PortChapter, *, several: bool) -> str:
    name = f"{port.port}/{port.protocol}" + (f" {port.name}" if port.name else "")
    name += f" {port.family}" if several else ""
    if port.problem:
        return f"{bad(NO)} {name}: {port.problem}"
    where = ", ".join(f"{count} on {node or 'no node'}" for node, count in port.endpoints.items())
    return f"{good(YES)} {name}: {plural(sum(port.endpoints.values()), 'endpoint')}: {where}"


def _events(report: StoryReport, wide: bool) -> Iterator[str]:
    if why := report.unread.get("events"):
        yield doubtful(f"not known: {why}")
        return
    shown = report.happened if wide else report.happened[:LISTED_EVENTS]
    if not shown:
        yield "none of Herald's, or they have expired"
    for each in shown:
        yield _event(each, report.now)
    if len(shown) < len(report.happened):
        yield faint(f"and {len(report.happened) - len(shown)} older ones (-o wide)")


def _event(event: Happened, now: float) -> str:
    times = f" (x{event.count})" if event.count > 1 else ""
    reason = bad(event.reason) if event.warning else event.reason
    return f"{age(event.last, now) or '?':>6} ago  {reason}{times}: {event.note}"
