"""Who of the other agents lives, from authenticated heartbeats.

A message counts only if it is *fresh*: it echoes a message that this node sent within the failure timeout. So a
recording proves nothing, nor does what piled up in a socket while this process was stopped, and no two clocks
need to agree. A peer is alive while it is heard directly, or while a peer that is heard directly hears it: a
cut between two nodes that both reach a third makes neither think the other dead.

In a large cluster (more than FULL_MESH_NODES) a node exchanges heartbeats with its neighbours on a `ring` only. It
tells everybody directly what changes: its own standing, its interfaces, whom it hears; and who lives follows from
that (`topology`). Such news needs no recent echo, since nobody waits for it: it counts if it names this node's
present incarnation and is newer than all that is known of its sender, so a recording proves nothing here either.
Who missed some gets it from its neighbours: their heartbeats carry a digest of what they know, and where that
differs, what it stands for.

States of a peer: unknown -> known (authentic, newest so far, not shown to be fresh: enough to echo) -> heard ->
known ...
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from heraldlb.speaker.constants import (
    FULL_MESH_NODES,
    KEEPING_TIME,
    MAX_REPORTED,
    NEWS_ROUNDS,
    PATIENT_INTERVALS,
    RING_STRETCH,
)
from heraldlb.speaker.election import Member
from heraldlb.speaker.interfaces import Offer
from heraldlb.speaker.messages import Echo, Message, Report, Summary, node_id
from heraldlb.speaker.ring import Ring
from heraldlb.speaker.standing import Standing
from heraldlb.speaker.stats import PeerStats
from heraldlb.speaker.topology import Version, connected, digest

# An echo says for how many microseconds its sender has not heard the receiver. Nothing tells how long, or much too
# long: it wants to be answered at once.
_NO_ANSWER: Final = 0
_ANSWER_ME: Final = 0xFFFF_FFFF
_LATE_INTERVALS: Final = 1.5


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
    standing: Standing = Standing.JOINING
    offers: tuple[Offer, ...] | None = None
    hears: dict[bytes, Standing] = field(default_factory=dict)
    since: int = 0
    learned: float = float("-inf")
    digest: int = 0
    differs: int = 0

    @property
    def version(self) -> Version:
        return Version(self.incarnation, self.since)


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
        self._peers: frozenset[str] = frozenset()
        self._members: tuple[int, dict[str, Member]] = (-1, {})
        self._heard: dict[str, _Record] = {}
        self._names: dict[bytes, str] = {}
        self._ring = Ring()
        self._meshed = True
        self._standing = Standing.JOINING
        self._offers: tuple[Offer, ...] = ()
        self._hears: dict[bytes, Standing] = {}
        self._since = 0
        self._news = 0
        self._introduce = NEWS_ROUNDS
        self._greeted: frozenset[str] = frozenset()
        self._owed: set[str] = set()
        self._began = float("-inf")
        self._view: tuple[int, int, frozenset[str], int] = (-1, 0, frozenset(), 0)
        self.version = 0
        """Changes whenever `members` or `heard` may have."""
        self.missed = 0
        """Intervals in which a heartbeat of a peer that is heard was due and did not come."""
        self.urgent = False
        """Whether to begin a round now: a peer was lost, and the others should learn at once that it is heard no
        more; or the node before this one on the ring has begun one."""

    def configure(self, peers: Iterable[str]) -> None:
        """Set the peers' names; what is known of those that stay is kept."""
        names = set(peers) - {self._me}
        if names != self._records.keys():
            self._records = {name: self._records.get(name) or _Record() for name in sorted(names)}
            self._peers = frozenset(names)
            self._owed &= names
            self._heard = {name: record for name, record in self._heard.items() if name in names}
            self._names = {node_id(name): name for name in names}
            self._ring.arrange(self._me, names)
            self._meshed = len(names) < FULL_MESH_NODES
            self.version += 1

    @property
    def interval(self) -> float:
        """Seconds from one round to the next, unless `urgent` asks for it earlier."""
        return self._period if self._ring.pacemaker is None else self._period * KEEPING_TIME[1]

    @property
    def _period(self) -> float:
        return self._interval if self._meshed else self._interval * RING_STRETCH

    def begin_round(self, now: float, standing: Standing, offers: tuple[Offer, ...]) -> Collection[str]:
        """Begin a round of messages that say this of the node; the peers to send one."""
        self.urgent = False
        self._began = now
        if self._meshed:
            self.begin_answer(now, standing, offers)
            return self._records.keys()
        self._choose_neighbours(now)
        self.begin_answer(now, standing, offers)
        alive = self._alive()
        targets = {*self._ring.neighbours, *self._ring.asked, *self._owed}
        self._owed.clear()
        if alive is not self._greeted:
            targets |= alive - self._greeted
            known = frozenset(name for name in alive if self._records[name].since)
            self._greeted = alive if known == alive else known
        if self._news:
            self._news -= 1
            # Who has just come, or hears nobody, does not know who lives.
            targets |= alive if alive and not self._introduce else self._records.keys()
        self._introduce = max(0, self._introduce - 1)
        return targets

    def begin_answer(self, now: float, standing: Standing, offers: tuple[Offer, ...]) -> None:
        """Number the messages that `message_to` makes from here on, and say this of the node in them."""
        self._sequence += 1
        self._sent[self._sequence] = now
        for sequence in [s for s, at in self._sent.items() if now - at > self._timeout]:
            del self._sent[sequence]
        hears = {node_id(name): each.standing for name, each in self._heard.items()}
        told = (self._standing, self._offers, self._hears.keys())
        if not self._since or (standing, offers, hears.keys()) != told:
            self._since = self._sequence
            self._news = NEWS_ROUNDS
        self._standing, self._offers, self._hears = standing, offers, hears

    def message_to(self, peer: str, now: float) -> Message:
        """This round's message to one peer."""
        record = self._records[peer]
        echo = self._echo_for(peer, record, now)
        number = (self._me, self._incarnation, self._sequence, self._standing, echo)
        if self._meshed:
            return Message(*number, self._hears, self._offers)
        summary = Summary(self._since, self._digest())
        heard = peer in self._heard
        if heard and record.digest == summary.digest:
            return Message(*number, complete=False, summary=summary)
        # Once is no more than a message that crossed ours.
        reports = self._reports(record) if heard and record.differs > 1 else ()
        return Message(*number, self._hears, self._offers, summary=summary, reports=reports)

    def receive(self, message: Message, now: float) -> Receipt:
        """Take in one authentic message."""
        record = self._records.get(message.sender)
        if record is None:
            return Receipt(Verdict.UNKNOWN_SENDER)
        if not self._is_news(record, message, now):
            return Receipt(Verdict.REPLAYED)
        if message.incarnation != record.incarnation:
            # Its predecessor is dead, whatever its own standing will be.
            self._succeed(message.sender, record)
        if message.sender in self._heard:
            self.missed += max(0, round((now - record.received) / self._period) - 1)
        record.incarnation, record.sequence, record.received = message.incarnation, message.sequence, now
        echo = message.echo
        wants_answer = echo is None or echo.held > _LATE_INTERVALS * self._period * 1e6
        sent = self._echoed(echo)
        if echo is None or not (self._is_recent(sent, now) or self._is_addressed(echo)):
            verdict = Verdict.UNCONFIRMED if echo is None else Verdict.STALE
            return Receipt(verdict, self._may_answer(message.sender, record, now))
        # Who was not known cannot have been told this node's state in a way that counts.
        newly_known = not self._meshed and not record.since
        self._learn(record, message, now)
        round_trip = None
        newly_heard = False
        if sent is not None and self._is_recent(sent, now):
            newly_heard = self._confirm(message.sender, record, message, now)
            round_trip = max(0.0, now - sent - echo.held / 1e6)
            if message.sender == self._ring.pacemaker and now - self._began >= KEEPING_TIME[0] * self._period:
                self.urgent = True
        answer = (wants_answer or newly_known or newly_heard) and self._may_answer(message.sender, record, now)
        return Receipt(Verdict.ACCEPTED, answer, round_trip)

    def expire(self, now: float) -> None:
        """Give up peers not heard for the failure timeout."""
        for name, record in list(self._heard.items()):
            if now - record.confirmed >= self._timeout:
                self._lose(name, record)
                self.urgent = True

    def forget(self) -> None:
        """Hear nobody, until heard anew: for a node that was itself away.

        It comes back as another incarnation: what was sent to it meanwhile was not meant for this one.
        """
        self._incarnation += 1
        self._sent.clear()
        self._since = 0
        self._introduce = NEWS_ROUNDS
        self._greeted = frozenset()
        self.version += 1
        for name, record in self._records.items():
            if name in self._heard:
                self._lose(name, record)
            record.received = record.confirmed = float("-inf")
            record.hears = {}
            record.since = 0

    def next_expiry(self) -> float | None:
        """When `expire` may have something to do, or None."""
        return min((each.confirmed + self._timeout for each in self._heard.values()), default=None)

    def last_offers(self, peer: str) -> tuple[Offer, ...]:
        """What a peer that lives no more offered last; nothing for one that lives or never offered anything."""
        record = self._records.get(peer)
        return () if record is None or peer in self._alive() else record.offers or ()

    def peers(self) -> frozenset[str]:
        """The names of all configured peers."""
        return self._peers

    def heard(self) -> frozenset[str]:
        """The peers heard directly."""
        return frozenset(self._heard)

    def seen(self, alive: Container[str]) -> Iterator[PeerStats]:
        """All configured peers, of which some are `alive`. May be called from any thread."""
        # Who lives and does not answer is still asked before a node further on becomes the neighbour.
        nearby = {*list(self._ring.neighbours), *(name for name in self._ring.asked if name in alive)}
        for name, record in self._records.items():
            yield PeerStats(
                name,
                alive=name in alive,
                heard=name in self._heard,
                expected=self._meshed or name in nearby,
                confirmed=_known(record.confirmed),
                received=_known(record.received),
            )

    def reached(self) -> frozenset[str]:
        """The live peers that can tell this node something: those heard; in a large cluster, where news goes to
        everybody directly, all."""
        return frozenset(self._heard) if self._meshed else frozenset(self._alive())

    def members(self) -> Mapping[str, Member]:
        """The live peers: those heard, and those that the heard ones hear; in a large cluster on and on."""
        if self._members[0] != self.version:
            self._members = (self.version, self._find_members())
        return self._members[1]

    def _find_members(self) -> dict[str, Member]:
        relayed: dict[bytes, Standing] = {}
        for record in sorted(self._heard.values(), key=lambda each: each.confirmed):
            relayed.update(record.hears)
        found = {}
        for name in sorted(self._alive()):
            record = self._records[name]
            known = name in self._heard or record.since
            standing = record.standing if known else relayed.get(node_id(name), record.standing)
            found[name] = Member(name, standing, record.offers)
        return found

    def departed(self) -> frozenset[str]:
        """The peers whose last word was that they leave."""
        return frozenset(name for name, record in self._records.items() if record.standing is Standing.LEAVING)

    def macs(self) -> dict[str, frozenset[bytes]]:
        """Hardware addresses of all agents ever heard that are still configured, dead ones included; by node."""
        return {
            name: frozenset(offer.mac for offer in record.offers)
            for name, record in self._records.items()
            if record.offers
        }

    def _alive(self) -> frozenset[str]:
        return self._look()[2]

    def _digest(self) -> int:
        return self._look()[3]

    def _look(self) -> tuple[int, int, frozenset[str], int]:
        """The view, made anew if anything it depends on has changed."""
        if self._view[:2] != (self.version, self._since):
            records = self._records
            if self._meshed:
                # What was last heard of a peer that is not heard any more says nothing.
                hears = {name: each.hears if name in self._heard else () for name, each in records.items()}
            else:
                hears = {name: each.hears for name, each in records.items()}
            found = connected(self._heard, hears, self._names)
            alive = frozenset(name for name in found if records[name].standing is not Standing.LEAVING)
            versions = [(node_id(name), records[name].version) for name in alive]
            own = (node_id(self._me), Version(self._incarnation, self._since))
            self._view = (self.version, self._since, alive, 0 if self._meshed else digest([own, *versions]))
        return self._view

    def _choose_neighbours(self, now: float) -> None:
        patience = PATIENT_INTERVALS * self._period

        def answers(name: str) -> bool:
            record = self._records[name]
            return now - record.confirmed <= patience and record.standing is not Standing.LEAVING

        self._ring.choose(now, self._alive(), answers)
        neighbours = {
            name: self._records[name]
            for name in self._ring.neighbours
            if now - self._records[name].confirmed < self._timeout
        }
        if neighbours.keys() != self._heard.keys():
            self.version += 1
        self._heard = neighbours

    def _reports(self, receiver: _Record) -> tuple[Report, ...]:
        """What to tell a neighbour that knows other things: the latest news, and of the rest some in turn."""
        alive = [(name, self._records[name]) for name in self._alive()]
        latest = sorted(alive, key=lambda each: (-each[1].learned, each[0]))
        half = MAX_REPORTED // 2
        rest = latest[half:]
        start = receiver.differs * half % len(rest) if rest else 0
        chosen = latest[:half] + (rest[start:] + rest[:start])[:half]
        return tuple(
            Report(node_id(name), *each.version, each.standing, tuple(each.hears), each.offers or ())
            for name, each in chosen
            if each.since
        )

    def _take_report(self, report: Report, now: float) -> None:
        name = self._names.get(report.node)
        if name is None:
            return
        record = self._records[name]
        if name in self._heard or now - record.confirmed <= self._timeout:
            return
        if report.incarnation == record.incarnation:
            newer = report.since > record.since
        else:
            newer = report.incarnation > record.incarnation or name not in self._alive()
        if newer:
            if report.incarnation != record.incarnation:
                self._succeed(name, record)
                record.sequence = 0
            record.incarnation, record.since = report.incarnation, report.since
            record.sequence = max(record.sequence, report.since)
            record.standing, record.offers = report.standing, report.offers
            record.hears = dict.fromkeys(report.heard, Standing.SERVING)
            record.learned = now
            self.version += 1

    def _is_news(self, record: _Record, message: Message, now: float) -> bool:
        if message.incarnation == record.incarnation:
            return message.sequence > record.sequence
        # A lower incarnation is a recording, or an agent restarted on a clock set back: only silence tells which.
        return message.incarnation > record.incarnation or (
            now - record.received > self._timeout and (self._meshed or message.sender not in self._alive())
        )

    def _echoed(self, echo: Echo | None) -> float | None:
        return self._sent.get(echo.sequence) if echo is not None and self._is_mine(echo) else None

    def _is_recent(self, sent: float | None, now: float) -> bool:
        return sent is not None and now - sent <= self._timeout

    def _is_addressed(self, echo: Echo) -> bool:
        """Whether news that comes without a recent echo was meant for this node since it started."""
        return not self._meshed and self._is_mine(echo)

    def _is_mine(self, echo: Echo) -> bool:
        return echo.incarnation == self._incarnation

    def _echo_for(self, peer: str, record: _Record, now: float) -> Echo | None:
        if now - record.received <= self._timeout:
            return Echo(record.incarnation, record.sequence, int((now - record.received) * 1e6))
        if self._meshed or not record.incarnation:
            return None
        wanted = peer in self._ring.asked or not record.since
        return Echo(record.incarnation, 0, _ANSWER_ME if wanted else _NO_ANSWER)

    def _learn(self, record: _Record, message: Message, now: float) -> None:
        before = (record.standing, record.offers, record.hears)
        since = record.since
        record.standing = message.standing
        if message.complete:
            record.offers, record.hears = message.offers, dict(message.heard)
            since = message.summary.since if message.summary is not None else message.sequence
        if before != (record.standing, record.offers, record.hears) or (since != record.since and not self._meshed):
            record.since = since
            record.learned = now
            self.version += 1

    def _confirm(self, name: str, record: _Record, message: Message, now: float) -> bool:
        """Take in that the peer lives; whether it should learn at once that it is heard."""
        record.confirmed = now
        if message.standing is Standing.LEAVING:
            if self._meshed and name in self._heard:
                self._lose(name, record)
            # On a ring its neighbours go on hearing it, and others through it, until they have found each other.
            return False
        if message.summary is not None and not self._meshed:
            for report in message.reports:
                self._take_report(report, now)
            record.digest = message.summary.digest
            # Only neighbours are told of others. While news come from everybody, a view for each would be too dear.
            if name in self._heard:
                record.differs = record.differs + 1 if record.digest != self._digest() else 0
        if name in self._heard or not self._meshed:
            return False
        self._heard[name] = record
        self.version += 1
        return True

    def _may_answer(self, name: str, record: _Record, now: float) -> bool:
        """Whether to answer at once: never twice within half an interval, so that two nodes cannot chase each
        other."""
        if now - record.answered < self._interval / 2:
            if not self._meshed:
                self._owed.add(name)
            return False
        record.answered = now
        return True

    def _succeed(self, name: str, record: _Record) -> None:
        """Begin with another incarnation of the peer."""
        if name in self._heard:
            self._lose(name, record)
        record.since = 0
        record.confirmed = float("-inf")
        if not self._meshed:
            record.standing, record.hears = Standing.JOINING, {}
            self.version += 1

    def _lose(self, name: str, record: _Record) -> None:
        del self._heard[name]
        self._ring.give_up(name)
        if self._meshed:
            record.hears = {}
        self.version += 1


def _known(at: float) -> float | None:
    return None if at == float("-inf") else at
