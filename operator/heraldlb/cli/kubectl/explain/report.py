"""The whole story of one Service. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from heraldlb.agent.announceable import rules
from heraldlb.api.objects import NamespacedName, text
from heraldlb.api.serviceaddress import record_key
from heraldlb.api.services import Service, parse_service
from heraldlb.cli.kubectl.explain.advice import advice
from heraldlb.cli.kubectl.explain.allocation import (
    AllocationChapter,
    RequestChapter,
    allocation_chapter,
    request_chapter,
    sharers,
)
from heraldlb.cli.kubectl.explain.announcing import AddressChapter, Standing, address_chapter
from heraldlb.cli.kubectl.explain.counters import Counters, Scrape
from heraldlb.cli.kubectl.explain.forwarding import ForwardingChapter, forwarding_chapter
from heraldlb.cli.kubectl.happenings import Happened, happenings
from heraldlb.cli.kubectl.installation import Installation, installation
from heraldlb.cli.kubectl.services.report import State, service_report
from heraldlb.cli.kubectl.snapshot import Snapshot, agent_view, controller_view


@dataclass(frozen=True, slots=True)
class StoryReport:
    """Chapter by chapter, from the request to the packet."""

    service: NamespacedName
    state: State
    works: bool
    """It has what it asks for, nodes answer for it, and connections reach an endpoint at every port."""
    headline: str
    request: RequestChapter
    allocation: AllocationChapter
    addresses: tuple[AddressChapter, ...]
    forwarding: ForwardingChapter
    happened: tuple[Happened, ...]
    """The latest first."""
    advice: tuple[str, ...]
    """What to try next, the most promising first."""
    unread: Mapping[str, str]
    """What these credentials may not read, and so is not told."""
    now: float
    """Unix seconds."""


def subject(snapshot: Snapshot, key: NamespacedName) -> Service | None:
    """The Service that the story is about."""
    for raw in snapshot.services:
        if (text(raw, "metadata", "namespace"), text(raw, "metadata", "name")) == (key.namespace, key.name):
            return parse_service(raw)
    return None


def others(snapshot: Snapshot, service: Service) -> tuple[NamespacedName, ...]:
    """Other Services that hold an address of this one: their endpoints count for announcing, too."""
    names = {record_key(address).name for address in service.ingress}
    records = tuple(raw for raw in snapshot.records if text(raw, "metadata", "name") in names)
    return sharers(service.ingress, controller_view(Snapshot(snapshot.now, records=records)), service)


def informants(report: StoryReport, herald: Installation) -> list[str]:
    """The nodes whose agents can tell of requests: those that announce an address, or share its clients."""
    telling = {Standing.ANNOUNCES, Standing.SHARES}
    nodes = {each.node for chapter in report.addresses for each in chapter.nodes if each.standing in telling}
    return sorted(node for node in nodes if herald.agent_on(node) is not None)


def story(snapshot: Snapshot, service: Service) -> StoryReport:
    """The story from a snapshot with every kind, before any agent was asked."""
    cluster, herald = controller_view(snapshot), installation(snapshot)
    view = agent_view(snapshot, cluster)
    settings = herald.controller_settings
    under = rules(view, ignore_exclude_label=herald.ignores_exclude_label, ignore_cordon=herald.ignores_cordon)
    records = (cluster.record(address) for address in service.ingress)
    summary = service_report(service, cluster, settings)
    endpoints_known = "slices" not in snapshot.unread
    forwarding = forwarding_chapter(service, view.slices_of(service.id) if endpoints_known else None)
    served = not any(port.problem for port in forwarding.ports)
    report = StoryReport(
        service=service.id,
        state=summary.state,
        works=summary.state is State.ANNOUNCED and served,
        headline=summary.message,
        request=request_chapter(service, cluster, settings),
        allocation=allocation_chapter(service, cluster, settings, snapshot.now),
        addresses=tuple(
            address_chapter(record, service.id, view, under, herald, endpoints_known=endpoints_known)
            for record in records
            if record is not None
        ),
        forwarding=forwarding,
        happened=tuple(each for each in happenings(snapshot.events) if each.service == service.id),
        advice=(),
        unread=snapshot.unread,
        now=snapshot.now,
    )
    return replace(report, advice=advice(report, herald))


def with_answers(report: StoryReport, answers: Mapping[str, Scrape | str], herald: Installation) -> StoryReport:
    """The story with what agents have said of themselves, by node."""
    addresses = tuple(_counted(chapter, answers) for chapter in report.addresses)
    forwarders = {
        node: "Herald" if said.forwards else said.proxy or "nobody: forwarding is off"
        for node, said in answers.items()
        if isinstance(said, Scrape) and said.forwards is not None
    }
    report = replace(report, addresses=addresses, forwarding=replace(report.forwarding, forwarders=forwarders))
    return replace(report, advice=advice(report, herald))


def _counted(chapter: AddressChapter, answers: Mapping[str, Scrape | str]) -> AddressChapter:
    counters: dict[str, Counters] = {}
    unasked: dict[str, str] = {}
    for standing in chapter.nodes:
        said = answers.get(standing.node)
        if isinstance(said, str):
            unasked[standing.node] = said
        elif said is not None and (found := said.of(chapter.address)) is not None:
            counters[standing.node] = found
    return replace(chapter, counters=counters, unasked=unasked)
