"""Counters of a speaker, for metrics, and what it sees, for who asks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.interfaces import Link
from heraldlb.speaker.standing import Standing


@dataclass(frozen=True, slots=True)
class AddressStats:
    """Of one address, since this node took it."""

    requests: int
    """ARP requests and neighbour solicitations for it."""
    answers: int
    announcements: int
    """Times it was announced (for IPv4 two frames each)."""
    sharers: int
    """Nodes that share its clients, this one among them; 1 where this node serves them all."""
    claims: int
    """Frames in which somebody else claimed it."""
    since: float = 0.0
    """When this node took it, on the speaker's clock."""


@dataclass(frozen=True, slots=True)
class PeerStats:
    """Another node, as the membership knows it. Times are on the speaker's clock."""

    name: str
    alive: bool
    """It is heard, or a node that is heard hears it."""
    heard: bool
    """Heard directly: its heartbeats are fresh, and show that it hears this node."""
    expected: bool
    """To be heard directly if its agent runs: everybody, or the neighbours on the ring of a large cluster."""
    confirmed: float | None
    """When a heartbeat came last that showed that it hears this node."""
    received: float | None
    """When any authentic datagram of it came last."""


@dataclass(frozen=True, slots=True)
class SpeakerView:
    """What a speaker sees at one moment."""

    now: float
    """On the speaker's clock."""
    interfaces: tuple[str, ...] = ()
    """Those that it announces on, or would."""
    peers: tuple[PeerStats, ...] = ()
    reached: Mapping[str, IPAddress] = field(default_factory=dict)
    """Where heartbeats to each peer go."""
    placements: Mapping[IPAddress, str] = field(default_factory=dict)
    """The interface of each address that it answers for."""
    links: tuple[Link, ...] = ()
    """All of the node's."""


@dataclass(frozen=True, slots=True)
class SpeakerStats:
    """A snapshot. Counters grow from the speaker's start."""

    standing: Standing
    peers: int
    alive: int
    """Live peers, heard directly or through others."""
    addresses: Mapping[IPAddress, AddressStats]
    """Of the addresses owned now."""
    messages: Mapping[str, int]
    """Membership datagrams by what became of them: `membership.Verdict`, `Malformed`, `BadSignature`."""
    refused: Mapping[str, float]
    """When the last with each outcome but `Accepted` came, on the speaker's clock."""
    frames: Mapping[str, int]
    """ARP and neighbour discovery frames by what became of them: `responder.Outcome`."""
    sent: int
    """Heartbeats sent."""
    send_errors: int
    """Frames and heartbeats that the kernel did not take."""
    client_updates: int
    """Times a client was told that it belongs to another of the nodes that share an address."""
    probes: int
    """Probes sent for addresses that nobody had announced before."""
    probe_conflicts: int
    """Times probing found a host that has the address."""
    fenced: int
    """Times the node found that it had been away and gave everything up."""
    elections: int
    owner_changes: int
    """Addresses that another node than before is to announce, as elections found."""
    peers_lost: int
    """Times a peer that lived fell silent."""
    missed: int
    """Intervals in which a heartbeat of a peer was due and did not come."""
    round_trip: float | None
    """Seconds, smoothed over peers; None before the first."""


@dataclass(slots=True)
class AddressCounters:
    """What `AddressStats` is read from; written by the speaker's thread only."""

    requests: int = 0
    answers: int = 0
    announcements: int = 0
    sharers: int = 1
    claims: int = 0
    since: float = 0.0

    def read(self) -> AddressStats:
        """As they are now."""
        return AddressStats(self.requests, self.answers, self.announcements, self.sharers, self.claims, self.since)


@dataclass(slots=True)
class Counters:
    """What `SpeakerStats` is read from; written by the speaker's thread only."""

    addresses: dict[IPAddress, AddressCounters] = field(default_factory=dict)
    messages: Counter[str] = field(default_factory=Counter)
    refused: dict[str, float] = field(default_factory=dict)
    frames: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    send_errors: int = 0
    client_updates: int = 0
    probes: int = 0
    probe_conflicts: int = 0
    fenced: int = 0
    owner_changes: int = 0
    round_trip: float | None = None

    def refuse(self, outcome: str, now: float) -> None:
        """Count a membership datagram that was not accepted."""
        self.messages[outcome] += 1
        self.refused[outcome] = now

    def measured(self, round_trip: float) -> None:
        """Take in one round trip, in seconds (smoothed as RFC 6298 section 2 does)."""
        self.round_trip = round_trip if self.round_trip is None else self.round_trip * 0.875 + round_trip * 0.125

    def read(
        self, standing: Standing, peers: int, alive: int, elections: int, *, peers_lost: int, missed: int
    ) -> SpeakerStats:
        """A snapshot. May be called from any thread: `list` of a dict's items is one step of the interpreter."""
        return SpeakerStats(
            standing=standing,
            peers=peers,
            alive=alive,
            addresses={address: each.read() for address, each in list(self.addresses.items())},
            messages=dict(list(self.messages.items())),
            refused=dict(list(self.refused.items())),
            frames=dict(list(self.frames.items())),
            sent=self.sent,
            send_errors=self.send_errors,
            client_updates=self.client_updates,
            probes=self.probes,
            probe_conflicts=self.probe_conflicts,
            fenced=self.fenced,
            elections=elections,
            owner_changes=self.owner_changes,
            peers_lost=peers_lost,
            missed=missed,
            round_trip=self.round_trip,
        )
