"""One node's part in the agreement on who announces what: membership, standing and election put together. No I/O.

Whoever drives it (`loop`, or a simulation) hands in snapshots, interfaces, messages and the time, sends
heartbeats when told to, and acts on the assignment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from heraldlb.speaker.constants import WITNESS_MAX_AGE
from heraldlb.speaker.desired import NOTHING_DESIRED, Desired
from heraldlb.speaker.election import Member
from heraldlb.speaker.interfaces import Link, Offer, offers
from heraldlb.speaker.losses import Losses, Outlook
from heraldlb.speaker.membership import Membership, Receipt
from heraldlb.speaker.messages import Message
from heraldlb.speaker.ownership import NOTHING_ASSIGNED, Assignment, assign
from heraldlb.speaker.settings import SpeakerSettings
from heraldlb.speaker.standing import Standing, Surroundings, next_standing


class Agreement:
    """Times are seconds on one clock of the caller's that never goes back."""

    def __init__(self, settings: SpeakerSettings, incarnation: int, now: float) -> None:
        self._settings = settings
        self._me = settings.node_name
        self._membership = Membership(self._me, incarnation, settings.failure_timeout, settings.heartbeat_interval)
        self.standing = Standing.JOINING
        self.assignment: Assignment = NOTHING_ASSIGNED
        self.alive: Mapping[str, Member] = {}
        """The live peers at the last election."""
        self.elections = 0
        self.outlook = Outlook()
        """The peers at the last election, the lost ones included."""
        self._losses = Losses()
        self._desired: Desired | None = None
        self._links: tuple[Link, ...] = ()
        self._offers: tuple[Offer, ...] = ()
        self._joined = now
        self._last_beat = now
        self._next_beat = now
        self._next_expiry: float | None = None
        self._elected_version = -1
        self._changed = False

    @property
    def answer_until(self) -> float:
        """When to stop answering unless heartbeats go out before: from then on peers may think this node dead."""
        return self._last_beat + self._settings.fence_after

    @property
    def deadline(self) -> float:
        """When `step` wants to be called, at the latest."""
        if self._changed or self._elected_version != self._membership.version:
            return self._last_beat
        return self._next_beat if self._next_expiry is None else min(self._next_beat, self._next_expiry)

    @property
    def peers(self) -> frozenset[str]:
        """The names of all other nodes."""
        return self._membership.peers()

    def agent_macs(self) -> frozenset[bytes]:
        """Hardware addresses of interfaces that agents offer, this one's included."""
        return self._membership.macs() | {offer.mac for offer in self._offers}

    def apply(self, desired: Desired, now: float) -> None:
        """Act on this snapshot from here on."""
        if self._desired is None:
            # Nobody could be heard before it was known whom to listen to.
            self._joined = now
        self._desired = desired
        self._membership.configure(desired.peers)
        self.use(self._links)
        self._changed = True

    def use(self, links: Iterable[Link]) -> None:
        """Announce on these interfaces and no others."""
        self._links = tuple(links)
        wanted = self._desired or NOTHING_DESIRED
        self._offers = offers(self._links, {each.interfaces for each in wanted.addresses.values()})
        self._changed = True

    def receive(self, message: Message, now: float) -> Receipt:
        """Take in an authentic message."""
        return self._membership.receive(message, now)

    def fence(self, now: float) -> bool:
        """Whether this node was away so long that its peers have given its addresses to others.

        If so it owns nothing from this moment, and starts over as if it had just come. Call before anything else.
        """
        if now < self.answer_until:
            return False
        self._membership.forget()
        self._last_beat = self._next_beat = self._joined = now
        if self.standing is not Standing.LEAVING:
            self._stand(Standing.JOINING)
        self.relinquish()
        return True

    def step(self, now: float) -> bool:
        """Give up silent peers and find this node's standing; whether heartbeats are to go out now."""
        self._membership.expire(now)
        if self._desired is not None:
            while (following := next_standing(self.standing, self._surroundings(now))) is not self.standing:
                if following is Standing.JOINING:
                    self._joined = now
                self._stand(following)
        self._next_expiry = self._membership.next_expiry()
        # What changed here the peers should learn at once, before this node acts on it.
        return self._changed or now >= self._next_beat

    def beat(self, now: float) -> Iterable[str]:
        """Begin a round of heartbeats; the peers to send one."""
        self._membership.begin_round(now)
        self._last_beat = now
        self._next_beat = now + self._settings.heartbeat_interval
        return self._membership.targets()

    def message_to(self, peer: str, now: float) -> Message:
        """The heartbeat for a peer in this round."""
        return self._membership.message_to(peer, now, self.standing, self._offers)

    def answer_to(self, peer: str, now: float) -> Message:
        """A heartbeat for one peer outside the rounds."""
        self._membership.begin_round(now)
        return self.message_to(peer, now)

    def elect(self) -> Assignment:
        """The assignment, renewed if anything it depends on has changed. A leaving node keeps what it has."""
        due = self._changed or self._elected_version != self._membership.version
        self._changed = False
        self._elected_version = self._membership.version
        if due and self._desired is not None and self.standing is not Standing.LEAVING:
            self._elect(self._desired)
        return self.assignment

    def leave(self) -> None:
        """Tell peers, from the next heartbeat on, not to count on this node."""
        self._stand(Standing.LEAVING)

    def relinquish(self) -> Assignment:
        """Own nothing, as long as the standing is not SERVING again."""
        if self._desired is not None:
            self._elect(self._desired)
        return self.assignment

    def _elect(self, desired: Desired) -> None:
        self.elections += 1
        self.alive = self._membership.members()
        departed = self._membership.departed()
        self.outlook = self._losses.update(self.standing, self.peers, self.alive.keys(), departed)
        members = {**self.alive, self._me: Member(self._me, self.standing, self._offers)}
        self.assignment = assign(desired, members, self._me, self._links)

    def _stand(self, standing: Standing) -> None:
        if standing is not self.standing:
            self.standing = standing
            self._changed = True

    def _surroundings(self, now: float) -> Surroundings:
        age = self._settings.witness() if self._settings.witness is not None else None
        return Surroundings(
            peers=len(self._membership.peers()),
            heard=len(self._membership.heard()),
            grace_over=now >= self._joined + self._settings.grace,
            witnessed=age is not None and age <= WITNESS_MAX_AGE,
        )
