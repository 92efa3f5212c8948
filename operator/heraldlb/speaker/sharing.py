"""Who shares the clients of an address: what each node says of itself, and what follows from that. No I/O.

Elections tell a node whether it should be one of an address' sharers. Whether another is, that one says itself,
since only what it believes decides what it answers. Each client belongs to one sharer by a hash of all of them
(see `ownership.Share`); so of two nodes that know of each other that they share, never both answer one client,
whatever else they know and whoever else there is. What a peer cannot tell this node is taken from its election.

    none -> sharing       elected, and the address is known to be free: say so; others leave clients to this node
    sharing -> leaving    not elected any more: say so, and go on answering until the others can have heard it
    leaving -> none       a moment later

The owner of an address shares it if any other node does, whatever its own election says: nodes learn at different
times how an address is to be served."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.claims import Letters
from heraldlb.speaker.constants import SHARE_LINGER, SHARES_REFRESH
from heraldlb.speaker.ownership import NOTHING_ASSIGNED, Assignment, Placement, Share


@dataclass(frozen=True, slots=True)
class Standpoint:
    """What the shares of this node rest on."""

    elected: Assignment = NOTHING_ASSIGNED
    answered: Mapping[IPAddress, Placement] = field(default_factory=dict)
    """The addresses that this node is the owner of, in the end."""
    alive: frozenset[str] = frozenset()
    """The peers that live."""
    serving: frozenset[str] = frozenset()
    """Those of them that may own addresses."""
    reached: frozenset[str] = frozenset()
    """Those peers that live whose word reaches this node."""
    leaving: bool = False
    """Whether this node has said goodbye, so that its peers do not count on it."""
    proven: Callable[[IPAddress], bool] = lambda _: False
    """Whether the address was announced before, so that no other host has it."""
    may_linger: Callable[[Placement], bool] = lambda _: False
    """Whether this node may go on answering there."""


@dataclass(slots=True)
class _Voices:
    """The peers that have said of an address that they share it, and that they do not."""

    yes: set[str] = field(default_factory=set)
    no: set[str] = field(default_factory=set)


class Sharing:
    """The shares of one node, `me`. Times are seconds on one clock of the caller's that never goes back."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._from = Standpoint()
        self.shares: dict[IPAddress, Share] = {}
        """This node's present shares. Replaced, never changed."""
        self._said: dict[IPAddress, int] = {}
        self._incarnations: dict[str, int] = {}
        self._voices: dict[IPAddress, _Voices] = {}
        self._ending: dict[IPAddress, float] = {}
        self._letters = Letters()
        self._refresh_at = 0.0
        self._refreshed = ""

    def heard(self, sender: str, incarnation: int) -> bool:
        """A peer sent a message. Returns whether it has started anew since it said what is known of it."""
        if self._incarnations.get(sender, incarnation) == incarnation:
            return False
        del self._incarnations[sender]
        for voices in self._voices.values():
            voices.yes.discard(sender)
            voices.no.discard(sender)
        return True

    def told(self, sender: str, incarnation: int, shares: Mapping[IPAddress, int]) -> None:
        """A peer says of these whether it shares them. To be told only of what it said just now."""
        self._incarnations[sender] = incarnation
        for address, does in shares.items():
            if address not in self._from.elected.owners:
                # It is not to wait for a node that does not know the address.
                if does:
                    self._letters.claim(sender, [address])
                continue
            voices = self._voices.setdefault(address, _Voices())
            side, other = (voices.yes, voices.no) if does else (voices.no, voices.yes)
            if sender not in side:
                # Who says something new has not been told lately, or has just come.
                side.add(sender)
                other.discard(sender)
                self._letters.claim(sender, [address])

    def update(self, standpoint: Standpoint, now: float) -> None:
        """Find this node's shares anew, and what to say of them."""
        before, self._from = self._from, standpoint
        owners = standpoint.elected.owners
        self._voices = {address: voices for address, voices in self._voices.items() if address in owners}
        told = (address for address, voices in self._voices.items() if voices.yes)
        concerned = standpoint.elected.electorates.keys() | (self._said.keys() & owners.keys()) | set(told)
        shares = {}
        for address in concerned:
            if (share := self._share(address, now)) is not None:
                shares[address] = share
        self._ending = {a: at for a, at in self._ending.items() if a in shares and shares[a].former}
        if shares != self.shares:
            self.shares = shares
        self._say({a: int(a in shares and self._me in shares[a].sharers) for a in concerned})
        for peer in standpoint.alive - before.alive:
            self._letters.claim(peer, self._said)

    def letters(self, now: float) -> Iterator[tuple[str, Mapping[IPAddress, int]]]:
        """What to tell which peer now."""
        if self._said and now >= self._refresh_at:
            # One peer after the other is told everything anew, in case it missed something.
            self._refresh_at = now + SHARES_REFRESH
            peers = sorted(self._from.alive)
            self._refreshed = next((each for each in peers if each > self._refreshed), min(peers, default=""))
            if self._refreshed:
                self._letters.claim(self._refreshed, self._said)
        for letter in self._letters.due(now, lambda address: self._said.get(address, 0), lambda _: None):
            yield letter.peer, letter.claims

    def next_due(self) -> float | None:
        """When `update` or `letters` has something to do, or None."""
        times = [self._letters.next_due(), *self._ending.values()]
        if self._said and self._from.alive:
            times.append(self._refresh_at)
        return min((each for each in times if each is not None), default=None)

    def ended(self, now: float) -> bool:
        """Whether the time of answering former clients is over somewhere, so that `update` is due."""
        return any(at <= now for at in self._ending.values())

    def clear(self) -> None:
        """Share nothing from this moment, and remember nothing of others."""
        self.shares = {}
        self._said, self._voices, self._incarnations, self._ending = {}, {}, {}, {}
        self._letters.clear()
        self._from = Standpoint()

    def _share(self, address: IPAddress, now: float) -> Share | None:
        at = self._from
        if not at.proven(address) and not self._voices.get(address, _Voices()).yes:
            return None
        others = self._others(address)
        owned = at.answered.get(address)
        lead = owned is not None
        placement = at.elected.shareable.get(address) if owned is None or at.leaving else owned
        if placement is not None:
            shared = bool(others) or address in at.elected.electorates
            return Share(address, self._me, others | {self._me}, placement, lead) if shared else None
        if not others:
            return None
        before = self.shares.get(address)
        if before is not None and (former := before.former or before.sharers) and self._me in former:
            until = self._ending.setdefault(address, now + SHARE_LINGER)
            if now < until and at.may_linger(before.placement):
                return Share(address, self._me, others, before.placement, lead, former)
        return Share(address, self._me, others, owned, lead) if owned is not None else None

    def _others(self, address: IPAddress) -> frozenset[str]:
        elected, reached = self._from.elected, self._from.reached
        # Who can be asked and has said nothing does not know yet that the address is shared, and waits for nobody.
        expected = elected.electorates.get(address, frozenset()) - reached | {elected.owners.get(address)}
        voices = self._voices.get(address, _Voices())
        return self._from.serving & (voices.yes | (expected - voices.no))

    def _say(self, now_said: dict[IPAddress, int]) -> None:
        news = [address for address, does in now_said.items() if self._said.get(address) != does]
        self._said = now_said
        if news:
            for peer in self._from.alive:
                self._letters.claim(peer, news)
