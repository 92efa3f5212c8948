"""One node's part in the agreement on who announces what: membership, standing and election put together. No I/O.

Whoever drives it (`loop`, or a simulation) hands in snapshots, interfaces, messages and the time, sends
heartbeats when told to, and acts on the assignment.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import WITNESS_MAX_AGE
from heraldlb.speaker.damping import Damping
from heraldlb.speaker.desired import NOTHING_DESIRED, Desired
from heraldlb.speaker.election import Member, explain
from heraldlb.speaker.handover import Handover, View
from heraldlb.speaker.interfaces import Link, Offer, interface_for, offers, usable
from heraldlb.speaker.losses import Losses, Outlook
from heraldlb.speaker.membership import Membership, Receipt, Verdict
from heraldlb.speaker.messages import Message
from heraldlb.speaker.ownership import NOTHING_ASSIGNED, Assignment, Placement, assign
from heraldlb.speaker.settings import SpeakerSettings
from heraldlb.speaker.sharing import Sharing, Standpoint
from heraldlb.speaker.standing import ELIGIBLE, Standing, Surroundings, next_standing
from heraldlb.speaker.stats import PeerStats


class Agreement:
    """Times are seconds on one clock of the caller's that never goes back."""

    def __init__(self, settings: SpeakerSettings, incarnation: int, now: float) -> None:
        self._settings = settings
        self._me = settings.node_name
        self._membership = Membership(self._me, incarnation, settings.failure_timeout, settings.heartbeat_interval)
        self._handover = Handover(self._me)
        self._sharing = Sharing(self._me)
        self._damping = Damping(settings.probation)
        self.standing = Standing.JOINING
        self.assignment: Assignment = NOTHING_ASSIGNED
        """Whose each address should be, and what this node answers for."""
        self.alive: Mapping[str, Member] = {}
        """The live peers at the last election."""
        self.answer_until = now + settings.fence_after
        """When to stop answering unless heartbeats go out before: from then on peers may think this node dead."""
        self._last_beat = now
        self.elections = 0
        self.outlook = Outlook()
        """The peers at the last election, the lost ones included."""
        self._losses = Losses()
        self._desired: Desired | None = None
        self._links: tuple[Link, ...] = ()
        self._offers: tuple[Offer, ...] = ()
        self._joined = now
        self._hold_until = now
        self._leave_at: float | None = None
        self._letters: list[Message] = []
        self._elected = NOTHING_ASSIGNED
        self._places: frozenset[tuple[int, bytes]] = frozenset()
        # Something changed that the shares rest on.
        self._reshare = False
        self._next_beat = now
        self._next_expiry: float | None = None
        self._elected_version = -1
        self._changed = False

    @property
    def deadline(self) -> float:
        """When `step` wants to be called, at the latest."""
        if (
            self._changed
            or self._letters
            or self._reshare
            or self._membership.urgent
            or self._elected_version != self._membership.version
        ):
            return self._last_beat
        times = (self._next_beat, self._next_expiry, self._handover.next_due(), self._sharing.next_due())
        return min(each for each in times if each is not None)

    @property
    def peers(self) -> frozenset[str]:
        """The names of all other nodes."""
        return self._membership.peers()

    @property
    def heard(self) -> frozenset[str]:
        """Those of them that are heard directly."""
        return self._membership.heard()

    @property
    def offered(self) -> tuple[Offer, ...]:
        """The interfaces that this node announces on, or would."""
        return self._offers

    def seen(self) -> Iterator[PeerStats]:
        """The other nodes as the membership knows them. May be called from any thread."""
        return self._membership.seen(self.alive)

    @property
    def peers_lost(self) -> int:
        """Times a peer that lived was lost."""
        return self._losses.count

    @property
    def heartbeats_missed(self) -> int:
        """Intervals in which a heartbeat of a peer was due and did not come."""
        return self._membership.missed

    def agent_macs(self) -> dict[str, frozenset[bytes]]:
        """Hardware addresses of interfaces that agents offer, by node; this one's included."""
        return {**self._membership.macs(), self._me: frozenset(offer.mac for offer in self._offers)}

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
        receipt = self._membership.receive(message, now)
        # Judged after the next election, which may be due to the very same message. Only what is fresh counts.
        if receipt.verdict is Verdict.ACCEPTED:
            self._reshare |= self._sharing.heard(message.sender, message.incarnation)
            if message.claims or message.ceded or message.shares:
                self._letters.append(message)
        return receipt

    def fence(self, now: float) -> bool:
        """Whether this node was away so long that its peers have given its addresses to others.

        If so it owns nothing from this moment, and starts over as if it had just come. Call before anything else.
        """
        if now < self.answer_until:
            return False
        self._membership.forget()
        self._beaten(now)
        self._next_beat = now
        if self.standing is not Standing.LEAVING:
            self._damping.failed(now)
            self._stand(Standing.JOINING, now)
        self.relinquish(now)
        return True

    def step(self, now: float) -> bool:
        """Give up silent peers and find this node's standing; whether heartbeats are to go out now."""
        self._membership.expire(now)
        if self._desired is not None:
            while (following := next_standing(self.standing, self._surroundings(now))) is not self.standing:
                if following is Standing.ISOLATED:
                    self._damping.failed(now)
                self._stand(following, now)
        self._next_expiry = self._membership.next_expiry()
        # What changed here the peers should learn at once, before this node acts on it.
        return self._changed or self._membership.urgent or now >= self._next_beat

    def beat(self, now: float) -> Iterable[str]:
        """Begin a round of heartbeats; the peers to send one."""
        targets = self._membership.begin_round(now, self.standing, self._offers)
        self._beaten(now)
        self._next_beat = now + self._membership.interval
        return targets

    def polls(self, peer: str) -> tuple[Sequence[Offer], Sequence[Offer]] | None:
        """For a peer that fell silent: what it offered last, and what this node offers; for others None."""
        theirs = self._membership.last_offers(peer)
        return (theirs, self._offers) if theirs else None

    def message_to(self, peer: str, now: float) -> Message:
        """The heartbeat for a peer in this round."""
        return self._membership.message_to(peer, now)

    def answer_to(self, peer: str, now: float) -> Message:
        """A heartbeat for one peer outside the rounds."""
        self._membership.begin_answer(now, self.standing, self._offers)
        return self.message_to(peer, now)

    def elect(self, now: float) -> Assignment:
        """The assignment, renewed if anything it depends on has changed."""
        version = self._handover.version
        if self._desired is not None and (self._changed or self._elected_version != self._membership.version):
            self._elect(self._desired, now)
        letters, self._letters = self._letters, []
        for message in letters:
            self._handover.claimed(message.sender, message.claims, now)
            self._handover.ceded(message.sender, message.ceded, now)
            self._sharing.told(message.sender, message.incarnation, message.shares)
        self._handover.step(now)
        moved = self._handover.version != version
        shares = self._sharing.shares
        if self._desired is not None and (moved or letters or self._reshare or self._sharing.ended(now)):
            self._share(now)
        if moved or self._sharing.shares is not shares:
            self._assign()
        return self.assignment

    def announced(self, addresses: Iterable[IPAddress], now: float) -> None:
        """These were announced just now."""
        self._handover.announced(addresses, now)
        self._reshare |= bool(self._elected.electorates)

    def to_announce_again(self) -> frozenset[IPAddress]:
        """Addresses that another node answered for, too; each is told once."""
        return self._handover.again()

    def station_of(self, node: str, address: IPAddress) -> bytes | None:
        """The hardware address at which a live peer answers for the address, or None where that is not known."""
        member = self.alive.get(node)
        wanted = self._desired.addresses.get(address) if self._desired is not None else None
        if member is None or wanted is None:
            return None
        offer = interface_for(address, wanted.interfaces, member.offers or ())
        return offer.mac if offer is not None else None

    def contest(self, address: IPAddress, mac: bytes) -> bool:
        """A frame of `mac` claims an address that this node answers for. Returns whether it is a live peer's, which
        is told whose the address is."""
        for peer in self.alive.values():
            if any(offer.mac == mac for offer in peer.offers or ()):
                self._handover.contested(peer.name, address)
                return True
        return False

    def letters(self, now: float) -> Iterator[tuple[str, Message]]:
        """What to tell which peer about single addresses. To be asked after what is due was announced."""
        for letter in self._handover.letters(now):
            if letter.peer in self.peers:
                yield (
                    letter.peer,
                    replace(self.answer_to(letter.peer, now), claims=letter.claims, ceded=letter.ceded),
                )
        for peer, shares in self._sharing.letters(now):
            if peer in self.peers:
                yield peer, replace(self.answer_to(peer, now), shares=shares)

    def leave(self, now: float) -> None:
        """Tell peers, from the next heartbeat on, not to count on this node, and hand over to them."""
        self._leave_at = now + self._settings.leave_linger
        self._stand(Standing.LEAVING, now)

    def relinquish(self, now: float) -> Assignment:
        """Answer for nothing from this moment on, until elected again."""
        self._handover.clear()
        self._sharing.clear()
        self._letters.clear()
        if self._desired is not None:
            self._elect(self._desired, now)
        self._assign()
        return self.assignment

    def _elect(self, desired: Desired, now: float) -> None:
        self._changed = False
        self._elected_version = self._membership.version
        self.elections += 1
        self.alive = self._membership.members()
        departed = self._membership.departed()
        self.outlook = self._losses.update(self.standing, self.peers, self.alive.keys(), departed)
        members = {**self.alive, self._me: Member(self._me, self.standing, self._offers)}
        self._elected = assign(desired, members, self._me, self._links)
        stands = self.standing in ELIGIBLE or self.standing is Standing.LEAVING
        places = {(link.index, link.mac) for link in self._links if usable(link)} if stands else ()
        self._places = frozenset(places)
        self._reshare = True

        def eligible(address: IPAddress) -> bool:
            return not explain(desired.addresses[address], members, (self._me,))

        view = View(
            self._elected.owners,
            self._elected.owned,
            alive=frozenset(self.alive),
            heard=self._membership.reached(),
            may_linger=self._may_linger,
            eligible=eligible,
            leave_at=self._leave_at,
        )
        self._handover.elected(view, now)

    def _may_linger(self, placement: Placement) -> bool:
        return (placement.index, placement.mac) in self._places

    def _share(self, now: float) -> None:
        self._reshare = False
        wanted = (self._desired or NOTHING_DESIRED).addresses
        standpoint = Standpoint(
            self._elected,
            self._handover.answered,
            alive=frozenset(self.alive),
            serving=frozenset(name for name, each in self.alive.items() if each.standing in ELIGIBLE),
            reached=self._membership.reached(),
            leaving=self.standing is Standing.LEAVING,
            proven=lambda address: not wanted[address].probe or self._handover.was_announced(address),
            may_linger=self._may_linger,
        )
        self._sharing.update(standpoint, now)

    def _assign(self) -> None:
        owners = self._elected.owners
        if claimants := self._handover.claimants():
            owners = {**owners, **claimants}
        owned = dict(self._handover.answered)
        self.assignment = replace(self._elected, owners=owners, owned=owned, shares=self._sharing.shares)

    def _beaten(self, now: float) -> None:
        self._last_beat = now
        self.answer_until = now + self._settings.fence_after

    def _stand(self, standing: Standing, now: float) -> None:
        if standing is not self.standing:
            self.standing = standing
            self._changed = True
        if standing is Standing.JOINING:
            self._joined = now
        elif standing is Standing.PROBATION:
            self._hold_until = now + self._damping.probation(now)
        elif standing is Standing.SERVING:
            self._hold_until = now + self._settings.probation

    def _surroundings(self, now: float) -> Surroundings:
        listening = self.standing in (Standing.JOINING, Standing.PROBATION)
        peers = self._membership.members().values() if listening else ()
        age = self._settings.witness() if self._settings.witness is not None else None
        return Surroundings(
            peers=len(self._membership.peers()),
            heard=len(self._membership.heard()),
            grace_over=now >= self._joined + self._settings.grace,
            witnessed=age is not None and age <= WITNESS_MAX_AGE,
            established=any(peer.standing is Standing.ESTABLISHED for peer in peers),
            held_out=now >= self._hold_until,
        )
