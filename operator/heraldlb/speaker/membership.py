"""Who of the other agents lives, from authenticated heartbeats.

A message counts only if it is *fresh*: it echoes a message that this node sent within the failure timeout. So a
recording proves nothing, nor does what piled up in a socket while this process was stopped, and no two clocks
need to agree. A peer is alive while it is heard directly, or while a peer that is heard directly hears it: a
cut between two nodes that both reach a third makes neither think the other dead.

States of a peer: unknown -> known (authentic, newest so far, not shown to be fresh: enough to echo) -> heard ->
known ...
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from heraldlb.speaker.election import Member
from heraldlb.speaker.interfaces import Offer
from heraldlb.speaker.messages import Echo, Message, node_id
from heraldlb.speaker.standing import Standing


class Verdict(StrEnum):
    """What became of an authentic message; a metric label."""

    ACCEPTED = "Accepted"
    UNCONFIRMED = "Unconfirmed"
    """The first of a peer that has not heard this node yet."""
    STALE = "Stale"
    """Echoes too old a message, or one of an earlier incarnation: delayed, recorded, or its sender no longer
    hears us."""
    REPLAYED = "Replayed"
    """Not newer than one already seen."""
    UNKNOWN_SENDER = "UnknownSender"
    """The cluster's objects name no such node."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The outcome of one message. `answer`: send this peer a heartbeat at once, so that it need not wait for
    the next."""

    verdict: Verdict
    answer: bool = False
    round_trip: float | None = None
    """Seconds to the peer and back, without the time it held the message."""


@dataclass(slots=True)
class _Record:
    incarnation: int = 0
    sequence: int = 0
    received: float = float("-inf")
    confirmed: float = float("-inf")
    answered: float = float("-inf")
    heard: bool = False
    standing: Standing = Standing.JOINING
    offers: tuple[Offer, ...] | None = None
    hears: dict[bytes, Standing] = field(default_factory=dict)


class Membership:
    """The other agents, as one node knows them. Times are seconds on one monotonic clock of the caller's."""

    def __init__(self, me: str, incarnation: int, failure_timeout: float, heartbeat_interval: float) -> None:
        self._me = me
        self._incarnation = incarnation
        self._timeout = failure_timeout
        self._interval = heartbeat_interval
        self._sequence = 0
        self._sent: dict[int, float] = {}
        self._records: dict[str, _Record] = {}
        self._hears: dict[bytes, Standing] = {}
        self.version = 0
        """Changes whenever `members` or `heard` may have."""

    def configure(self, peers: Iterable[str]) -> None:
        """Set the peers' names; what is known of those that stay is kept."""
        names = set(peers) - {self._me}
        if names != self._records.keys():
            self._records = {name: self._records.get(name) or _Record() for name in sorted(names)}
            self.version += 1

    def begin_round(self, now: float) -> None:
        """Number the messages that `message_to` makes from here on."""
        self._sequence += 1
        self._sent[self._sequence] = now
        self._hears = {node_id(name): each.standing for name, each in self._records.items() if each.heard}
        for sequence in [s for s, at in self._sent.items() if now - at > self._timeout]:
            del self._sent[sequence]

    def targets(self) -> Iterable[str]:
        """Whom to send the heartbeats of a round: everybody."""
        return self._records

    def message_to(self, peer: str, now: float, standing: Standing, offers: tuple[Offer, ...]) -> Message:
        """This round's message to one peer."""
        record = self._records[peer]
        echo = None
        if now - record.received <= self._timeout:
            echo = Echo(record.incarnation, record.sequence, int((now - record.received) * 1e6))
        return Message(self._me, self._incarnation, self._sequence, standing, echo, self._hears, offers)

    def receive(self, message: Message, now: float) -> Receipt:
        """Take in one authentic message."""
        record = self._records.get(message.sender)
        if record is None:
            return Receipt(Verdict.UNKNOWN_SENDER)
        if not self._is_news(record, message, now):
            return Receipt(Verdict.REPLAYED)
        if message.incarnation != record.incarnation and record.heard:
            # Its predecessor is dead, whatever its own standing will be.
            self._lose(record)
        record.incarnation, record.sequence, record.received = message.incarnation, message.sequence, now
        sent = self._echoed(message.echo)
        if sent is None or now - sent > self._timeout or message.echo is None:
            verdict = Verdict.UNCONFIRMED if message.echo is None else Verdict.STALE
            return Receipt(verdict, answer=self._may_answer(record, now))
        self._confirm(record, message, now)
        round_trip = max(0.0, now - sent - message.echo.held / 1e6)
        return Receipt(Verdict.ACCEPTED, self._newly_heard(record, now), round_trip)

    def expire(self, now: float) -> None:
        """Give up peers not heard for the failure timeout."""
        for record in self._records.values():
            if record.heard and now - record.confirmed >= self._timeout:
                self._lose(record)

    def forget(self) -> None:
        """Hear nobody, until heard anew: for a node that was itself away."""
        self._sent.clear()
        for record in self._records.values():
            if record.heard:
                self._lose(record)

    def next_expiry(self) -> float | None:
        """When `expire` may have something to do, or None."""
        return min((r.confirmed + self._timeout for r in self._records.values() if r.heard), default=None)

    def peers(self) -> frozenset[str]:
        """The names of all configured peers."""
        return frozenset(self._records)

    def heard(self) -> frozenset[str]:
        """The peers heard directly."""
        return frozenset(name for name, record in self._records.items() if record.heard)

    def members(self) -> dict[str, Member]:
        """The live peers: those heard, and those that the heard ones hear."""
        relayed: dict[bytes, Standing] = {}
        for record in sorted((r for r in self._records.values() if r.heard), key=lambda each: each.confirmed):
            relayed.update(record.hears)
        found = {}
        for name, record in self._records.items():
            if record.heard:
                found[name] = Member(name, record.standing, record.offers)
            elif (standing := relayed.get(node_id(name))) is not None and record.standing is not Standing.LEAVING:
                found[name] = Member(name, standing, record.offers)
        return found

    def departed(self) -> frozenset[str]:
        """The peers whose last word was that they leave."""
        return frozenset(name for name, record in self._records.items() if record.standing is Standing.LEAVING)

    def macs(self) -> frozenset[bytes]:
        """Hardware addresses of all agents ever heard that are still configured, dead ones included."""
        return frozenset(offer.mac for record in self._records.values() for offer in record.offers or ())

    def _is_news(self, record: _Record, message: Message, now: float) -> bool:
        if message.incarnation == record.incarnation:
            return message.sequence > record.sequence
        # A lower incarnation is a recording, or an agent restarted on a clock set back: only silence tells which.
        return message.incarnation > record.incarnation or now - record.received > self._timeout

    def _echoed(self, echo: Echo | None) -> float | None:
        return self._sent.get(echo.sequence) if echo is not None and echo.incarnation == self._incarnation else None

    def _confirm(self, record: _Record, message: Message, now: float) -> None:
        before = (record.standing, record.offers, record.hears)
        record.standing, record.offers, record.hears = message.standing, message.offers, dict(message.heard)
        record.confirmed = now
        if before != (record.standing, record.offers, record.hears):
            self.version += 1
        if message.standing is Standing.LEAVING and record.heard:
            self._lose(record)

    def _newly_heard(self, record: _Record, now: float) -> bool:
        """Mark the peer as heard; whether it should learn at once that it is."""
        if record.heard or record.standing is Standing.LEAVING:
            return False
        record.heard = True
        self.version += 1
        return self._may_answer(record, now)

    def _may_answer(self, record: _Record, now: float) -> bool:
        """Whether to answer at once: never twice within half an interval, so that two nodes cannot chase each
        other."""
        if now - record.answered < self._interval / 2:
            return False
        record.answered = now
        return True

    def _lose(self, record: _Record) -> None:
        record.heard = False
        record.hears = {}
        self.version += 1
