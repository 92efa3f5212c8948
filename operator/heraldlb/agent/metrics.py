"""The agent's metrics, read from the roles when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from heraldlb.agent.tally import Tally
from heraldlb.forwarding.mode import Mode, Stance
from heraldlb.speaker.courier import BAD_SIGNATURE, MALFORMED
from heraldlb.speaker.membership import Verdict
from heraldlb.speaker.responder import Outcome
from heraldlb.speaker.standing import ELIGIBLE, Standing
from heraldlb.speaker.stats import SpeakerStats

_MESSAGES: Final[Mapping[str, int]] = dict.fromkeys((*Verdict, MALFORMED, BAD_SIGNATURE), 0)
_FRAMES: Final[Mapping[str, int]] = dict.fromkeys(Outcome, 0)


class SpeakerCollector(Collector):
    """Metrics of the speaker, `heraldlb_speaker_*`."""

    def __init__(self, stats: Callable[[], SpeakerStats], tally: Tally) -> None:
        self._stats = stats
        self._tally = tally

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        stats = self._stats()
        yield _gauge("peers", "Other nodes that the cluster names.", stats.peers)
        yield _gauge(
            "peers_alive", "Of those, the ones whose agent is heard, directly or through others.", stats.alive
        )
        yield _gauge("serving", "1 while this node may own addresses.", float(stats.standing in ELIGIBLE))
        yield _gauge(
            "probation",
            "1 while it owns only what no established node can announce, since it has just come or come back.",
            float(stats.standing is Standing.PROBATION),
        )
        yield _counter(
            "fenced", "Times this node gave everything up because it had been stopped or starved.", stats.fenced
        )
        yield _counter("elections", "Times owners were worked out anew.", stats.elections)
        yield _counter(
            "owner_changes", "Addresses that by election changed their owner, on any node.", stats.owner_changes
        )
        yield _counter("failovers", "Addresses taken over from a node that was lost.", self._tally.failovers)
        yield _counter(
            "handovers", "Addresses taken over from a node that lives or said goodbye.", self._tally.handovers
        )
        yield from self._tally.durations.collect()
        yield _counter("conflicts", "Strangers found to claim an address of this node.", self._tally.conflicts)
        yield _counter(
            "client_updates",
            "Times a client was told which of the nodes that share an address it belongs to now.",
            stats.client_updates,
        )
        yield _counter("probes", "Probes for addresses that nobody had announced before.", stats.probes)
        yield _counter("probe_conflicts", "Times probing found a host with the address.", stats.probe_conflicts)
        yield _counter("heartbeats_sent", "Heartbeats sent.", stats.sent)
        yield _counter("heartbeats_missed", "Heartbeats of peers that were due and did not come.", stats.missed)
        yield _counter("peers_lost", "Times a peer fell silent without a goodbye.", stats.peers_lost)
        if stats.round_trip is not None:
            yield _gauge(
                "heartbeat_round_trip_seconds", "To a peer and back, smoothed over peers.", stats.round_trip
            )
        yield _counter("send_errors", "Frames and heartbeats that the kernel did not take.", stats.send_errors)
        yield _labelled("messages", "Membership datagrams by what became of them.", {**_MESSAGES, **stats.messages})
        yield _labelled(
            "frames", "ARP and neighbour discovery frames by what became of them.", {**_FRAMES, **stats.frames}
        )
        yield from _addresses(stats)


class ForwarderCollector(Collector):
    """Metrics of the forwarder, `heraldlb_forwarder_*`."""

    def __init__(self, mode: Mode, stance: Callable[[], Stance | None], forgotten: Callable[[], int]) -> None:
        """`forgotten`: conntrack entries deleted so far."""
        self._mode = mode
        self._stance = stance
        self._forgotten = forgotten

    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        stance = self._stance()
        if stance is not None:
            active = GaugeMetricFamily(
                "heraldlb_forwarder_active",
                "1 while this agent forwards Services; 0 while it leaves that to the proxy named, or is off.",
                labels=["mode", "proxy"],
            )
            active.add_metric([self._mode, stance.proxy], float(stance.forwards))
            yield active
        yield CounterMetricFamily(
            "heraldlb_forwarder_forgotten_flows",
            "Conntrack entries deleted since they led to no endpoint that serves.",
            value=self._forgotten(),
        )


def _addresses(stats: SpeakerStats) -> Iterator[Metric]:
    announced = GaugeMetricFamily(
        "heraldlb_speaker_announced", "1 for each address answered for, alone or with others.", labels=["address"]
    )
    sharers = GaugeMetricFamily(
        "heraldlb_speaker_sharers", "Nodes that share its clients, this one among them.", labels=["address"]
    )
    requests = CounterMetricFamily("heraldlb_speaker_requests", "Requests for an address.", labels=["address"])
    answers = CounterMetricFamily("heraldlb_speaker_answers", "Answers to those.", labels=["address"])
    gratuitous = CounterMetricFamily(
        "heraldlb_speaker_announcements",
        "Times it was announced unasked: two ARP frames, or one neighbour advertisement.",
        labels=["address"],
    )
    claims = CounterMetricFamily("heraldlb_speaker_foreign_claims", "Others' claims to it.", labels=["address"])
    for address, each in stats.addresses.items():
        announced.add_metric([str(address)], 1)
        sharers.add_metric([str(address)], each.sharers)
        requests.add_metric([str(address)], each.requests)
        answers.add_metric([str(address)], each.answers)
        gratuitous.add_metric([str(address)], each.announcements)
        claims.add_metric([str(address)], each.claims)
    yield from (announced, sharers, requests, answers, gratuitous, claims)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"heraldlb_speaker_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"heraldlb_speaker_{name}", text, value=value)


def _labelled(name: str, text: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"heraldlb_speaker_{name}", text, labels=["outcome"])
    for outcome, count in values.items():
        family.add_metric([str(outcome)], count)
    return family
