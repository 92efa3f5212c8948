"""Puts together what the node tells when it is examined: what the roles know, and what the kernel says."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping

from heraldlb import __version__
from heraldlb.agent.cluster import Cluster
from heraldlb.agent.pathways import PathwaysRole
from heraldlb.agent.settings import AgentSettings
from heraldlb.agent.switching import ForwardingSwitch
from heraldlb.api.ranges import FAMILIES, IPAddress, family_of
from heraldlb.examination import network, reading, sysctl
from heraldlb.examination.facts import (
    AddressFacts,
    ForwardingFacts,
    Hindrance,
    LinkFacts,
    NodeFacts,
    PeerFacts,
    ProxyFacts,
    RefusedFacts,
    SpeakerFacts,
)
from heraldlb.examination.survey import Question, Survey
from heraldlb.forwarding.preflight import Finding, preflight
from heraldlb.speaker.speaker import Speaker
from heraldlb.speaker.stats import SpeakerStats, SpeakerView


class Examiner:
    """Reads nothing until it is asked."""

    def __init__(
        self,
        cluster: Cluster,
        settings: AgentSettings,
        speaker: Callable[[], Speaker | None],
        switch: ForwardingSwitch,
        pathways: PathwaysRole,
    ) -> None:
        """`speaker`: the one that has started, or None."""
        self._cluster = cluster
        self._settings = settings
        self._speaker = speaker
        self._switch = switch
        self._pathways = pathways
        self._started = time.time()

    async def read(self) -> NodeFacts:
        """The node at this moment. Raises OSError."""
        speaker = self._speaker()
        told, view = SpeakerFacts(), None
        if speaker is not None:
            view = speaker.view()
            told = speaker_facts(view, speaker.stats(), self._settings.membership_port)
        links, settings, findings = await asyncio.to_thread(self._look, view)
        return NodeFacts(
            node=self._settings.node_name,
            version=__version__,
            kernel=os.uname().release,
            clock=time.time(),
            started=self._started,
            links=links,
            settings=settings,
            hindrances=tuple(Hindrance(each.subject, each.message, each.blocking) for each in findings),
            forwarding=self._forwarding(),
            speaker=told,
            tunnel_port=self._pathways.tunnel_port,
        )

    async def ask(self, question: Question, links: tuple[LinkFacts, ...]) -> Survey:
        """Ask the network by these links."""
        return await network.survey(question, links, self._in_use)

    def _in_use(self, address: IPAddress) -> bool:
        record = self._cluster.record(address)
        return record is not None and bool(record.holders or record.node)

    def _look(
        self, view: SpeakerView | None
    ) -> tuple[tuple[LinkFacts, ...], Mapping[str, str], tuple[Finding, ...]]:
        """Links, settings and what is amiss. Blocks."""
        known, announcing = (view.links, view.interfaces) if view is not None else (reading.known_links(), ())
        links = reading.read_links(known, announcing)
        return links, reading.read_settings(sysctl.watched(announcing)), self._findings()

    def _findings(self) -> tuple[Finding, ...]:
        found = (*self._switch.findings, *self._pathways.findings)
        stance = self._switch.stance
        if stance is None or not stance.forwards:
            return found
        node = self._cluster.node(self._settings.node_name)
        families = {family_of(each) for each in node.internal_ips} if node is not None else FAMILIES
        return (*preflight(os.uname().release, families), *found)

    def _forwarding(self) -> ForwardingFacts:
        stance = self._switch.stance
        return ForwardingFacts(
            mode=self._switch.mode,
            active=stance is not None and stance.forwards,
            reason=stance.reason if stance is not None else "",
            proxies=tuple(ProxyFacts(each.name, each.alive, each.serves) for each in self._switch.sightings),
        )


def speaker_facts(view: SpeakerView, stats: SpeakerStats, port: int) -> SpeakerFacts:
    """What the speaker saw and counted at one moment, in ages instead of times."""

    def ago(at: float | None) -> float | None:
        return None if at is None else max(0.0, view.now - at)

    return SpeakerFacts(
        standing=stats.standing.name,
        membership_port=port,
        peers=tuple(
            PeerFacts(
                name=peer.name,
                address=view.reached.get(peer.name),
                alive=peer.alive,
                heard=peer.heard,
                expected=peer.expected,
                heard_ago=ago(peer.confirmed),
                received_ago=ago(peer.received),
            )
            for peer in view.peers
        ),
        refused=tuple(
            RefusedFacts(str(verdict), stats.messages.get(verdict, 0), ago(at))
            for verdict, at in stats.refused.items()
        ),
        addresses=tuple(
            AddressFacts(
                address=address,
                link=view.placements[address],
                seconds=max(0.0, view.now - each.since),
                requests=each.requests,
                answers=each.answers,
                announcements=each.announcements,
                foreign_claims=each.claims,
                sharers=each.sharers,
            )
            for address, each in stats.addresses.items()
            if address in view.placements
        ),
    )
