"""From what elections say to what this node answers for: make before break, and never two for long. No I/O.

An election says whose an address should be; nodes learn at different times what it rests on. So an address passes
from one to another by a claim:

    none -> held           elected: announce it, then claim it from all peers
    held -> lingering      another is elected: cede it to that one, and go on answering
    lingering -> none      the other claims it, or the limit is over
    lingering -> held      elected again before anybody claimed it
    held -> yielded        another claims it though this node is elected: answer no more
    yielded -> held        a while later, or when the claimant is gone or cedes it: claim it back

Claims are ordered by term, then by name. Who takes an address takes the next term after the highest that it knows,
so of two claims the later wins where one knew of the other, and one of them wins anywhere. A node that hears a
claim lower than its own answers with its own, from which the other learns its term; and announces again, since the
other answered till then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.claims import Letter, Letters
from heraldlb.speaker.constants import (
    CEDE_INTERVAL,
    HANDOVER_LIMIT,
    MAX_TERM,
    RECLAIM_AFTER,
    RECLAIM_MAX,
    SETTLED_AFTER,
    UNHEARD_HANDOVER_LIMIT,
)
from heraldlb.speaker.ownership import Placement

Rank = tuple[int, str]
"""A term and the name of who claimed it."""


@dataclass(frozen=True, slots=True)
class View:
    """The outcome of an election, and what it rests on as far as it matters here."""

    owners: Mapping[IPAddress, str | None] = field(default_factory=dict)
    mine: Mapping[IPAddress, Placement] = field(default_factory=dict)
    """Where this node is elected, and can answer."""
    alive: frozenset[str] = frozenset()
    """The peers that live."""
    heard: frozenset[str] = frozenset()
    """Those of them whose claims reach this node."""
    may_linger: Callable[[Placement], bool] = lambda _: False
    """Whether this node may go on answering there for what is another's."""
    eligible: Callable[[IPAddress], bool] = lambda _: False
    """Whether it could announce the address if it were elected."""
    leave_at: float | None = None
    """When a leaving node answers no more."""


@dataclass(slots=True)
class _Tenure:
    term: int
    announced: float


@dataclass(slots=True)
class _Lingering:
    heir: str
    until: float | None
    """None: as long as nobody claims the address."""
    remind_at: float


@dataclass(slots=True)
class _Yielded:
    claimant: str
    at: float
    wait: float

    @property
    def until(self) -> float:
        return self.at + self.wait


class Handover:
    """What one node, `me`, answers for. Times are seconds on one clock of the caller's that never goes back."""

    def __init__(self, me: str) -> None:
        self._me = me
        self._view = View()
        self.answered: dict[IPAddress, Placement] = {}
        """What this node answers for now, and where. Not to be changed by others."""
        self.version = 0
        """Changes whenever `answered` may have."""
        self._known: dict[IPAddress, Rank] = {}
        self._announced: dict[IPAddress, _Tenure] = {}
        self._unannounced: dict[IPAddress, set[str]] = {}
        self._lingering: dict[IPAddress, _Lingering] = {}
        self._yielded: dict[IPAddress, _Yielded] = {}
        # The terms of what was given up to a claimant, who is told so: it may not know that another answered.
        self._given_up: dict[IPAddress, int] = {}
        self._again: set[IPAddress] = set()
        self._letters = Letters()

    def elected(self, view: View, now: float) -> None:
        """Act on the outcome of an election."""
        before, self._view = self._view, view
        self.version += 1
        self._known = {address: rank for address, rank in self._known.items() if address in view.owners}
        self._given_up = {address: term for address, term in self._given_up.items() if address in view.owners}
        for address, placement in list(self.answered.items()):
            if (own := view.mine.get(address)) is not None:
                self._lingering.pop(address, None)
                self.answered[address] = own
            elif (heir := view.owners.get(address)) is None or heir == self._me or not view.may_linger(placement):
                self._drop(address)
            elif address in self._unannounced:
                # Nobody was told, as while it is probed: there is nothing to hand over.
                self._drop(address)
            else:
                self._linger(address, heir, now)
        for address in [each for each in self._yielded if each not in view.mine]:
            del self._yielded[address]
        for address in view.mine:
            if address not in self.answered and not self._holds_back(address, now):
                self._take(address, before.owners.get(address))
        for peer in view.alive - before.alive:
            self._letters.claim(peer, [each for each in self._announced if each in view.mine])
            self._letters.cede(peer, self._lingering)

    def announced(self, addresses: Iterable[IPAddress], now: float) -> None:
        """These were announced just now: those newly taken are claimed from here on."""
        by_peer: dict[str, list[IPAddress]] = {}
        for address in addresses:
            others = self._unannounced.pop(address, None)
            if others is not None:
                self._outbid(address, now)
                for peer in others | self._view.alive:
                    by_peer.setdefault(peer, []).append(address)
        for peer, claimed in by_peer.items():
            self._letters.claim(peer, claimed)

    def claimed(self, sender: str, claims: Mapping[IPAddress, int], now: float) -> None:
        """A peer says that it owns these, each with its term. To be told only of what it said just now."""
        for address, term in claims.items():
            if address not in self._view.owners or sender not in self._view.alive:
                continue
            rank, highest = (term, sender), self._known.get(address, (0, ""))
            if rank > highest:
                self._known[address] = rank
                self._yield(address, sender, now)
            elif rank != highest and address in self._lingering:
                self._letters.cede(sender, [address])
            elif rank != highest and address in self._announced:
                self._letters.claim(sender, [address])
                self._announce_again(address, now)

    def ceded(self, sender: str, ceded: Mapping[IPAddress, int], now: float) -> None:
        """A peer says that it answers for these, each with its term, and does not take them to be its own."""
        for address, term in ceded.items():
            if address not in self._view.owners:
                continue
            highest = self._known.get(address, (0, ""))
            self._known[address] = max(highest, (term, sender))
            if address in self._lingering:
                # Each takes it to be another's. Of two that only wait, one is enough.
                if highest < (term, sender):
                    self._drop(address)
            elif address in self._announced:
                self._announce_again(address, now)
                if highest < (term, sender):
                    self._outbid(address, self._announced[address].announced)
                self._letters.claim(sender, [address])
            elif address in self._view.mine:
                self._yielded.pop(address, None)
                self._take(address, sender)
                # Yielded to the same peer just before, maybe: then nobody else sees that it was taken anew.
                self._again.add(address)

    def contested(self, peer: str, address: IPAddress) -> None:
        """A peer announced an address that this node answers for. What it said of it may have been lost."""
        self._letters.claim(peer, [address])

    def step(self, now: float) -> None:
        """Do what time asks for."""
        for address, lingering in list(self._lingering.items()):
            if lingering.until is not None and now >= lingering.until:
                self._drop(address)
            elif now >= lingering.remind_at:
                lingering.remind_at = now + CEDE_INTERVAL
                self._letters.cede(lingering.heir, [address])
        for address in list(self._yielded):
            if address not in self.answered and not self._holds_back(address, now):
                self._take(address, None)

    def letters(self, now: float) -> Iterator[Letter]:
        """What to tell which peer now."""
        return self._letters.due(now, self._claimed_term, self._ceded_term)

    def again(self) -> frozenset[IPAddress]:
        """Addresses to announce from the beginning, because another node answers or answered, too; each is told
        once."""
        found, self._again = frozenset(self._again), set()
        return found

    def was_announced(self, address: IPAddress) -> bool:
        """Whether some node has announced the address, as claims say; no other host has it then."""
        return address in self._known

    def claimants(self) -> dict[IPAddress, str]:
        """Who answers for what this node has yielded."""
        return {address: each.claimant for address, each in self._yielded.items() if address not in self.answered}

    def next_due(self) -> float | None:
        """When `step` or `letters` has something to do, or None."""
        times = [self._letters.next_due()]
        for lingering in self._lingering.values():
            times += [lingering.until, lingering.remind_at]
        times += [each.until for address, each in self._yielded.items() if address not in self.answered]
        return min((each for each in times if each is not None), default=None)

    def clear(self) -> None:
        """Answer for nothing from this moment, and owe nobody anything."""
        for address in list(self.answered):
            self._drop(address)
        self._yielded.clear()
        self._letters.clear()
        self._view = View()

    def _claimed_term(self, address: IPAddress) -> int | None:
        tenure = self._announced.get(address)
        return tenure.term if tenure is not None and address not in self._lingering else None

    def _ceded_term(self, address: IPAddress) -> int | None:
        tenure = self._announced.get(address)
        if tenure is not None and address in self._lingering:
            return tenure.term
        return self._given_up.get(address)

    def _outbid(self, address: IPAddress, announced: float) -> None:
        """Take the next term."""
        term = min(self._known.get(address, (0, ""))[0] + 1, MAX_TERM)
        self._known[address] = (term, self._me)
        self._announced[address] = _Tenure(term, announced)

    def _take(self, address: IPAddress, former: str | None) -> None:
        if address not in self.answered:
            self.version += 1
            self._given_up.pop(address, None)
            self.answered[address] = self._view.mine[address]
            self._unannounced[address] = set()
        if former is not None and former != self._me and address in self._unannounced:
            self._unannounced[address].add(former)

    def _linger(self, address: IPAddress, heir: str, now: float) -> None:
        until = self._view.leave_at
        if until is None and heir not in self._view.heard:
            until = now + UNHEARD_HANDOVER_LIMIT
        elif until is None and not self._view.eligible(address):
            until = now + HANDOVER_LIMIT
        lingering = self._lingering.get(address)
        if lingering is not None and lingering.until is not None and until is not None:
            until = min(until, lingering.until)
        if lingering is None or lingering.heir != heir:
            self._lingering[address] = _Lingering(heir, until, now + CEDE_INTERVAL)
            self._letters.cede(heir, [address])
        else:
            lingering.until = until

    def _yield(self, address: IPAddress, claimant: str, now: float) -> None:
        if (tenure := self._announced.get(address)) is not None:
            self._given_up[address] = tenure.term
            self._letters.cede(claimant, [address])
        self._drop(address)
        if address in self._view.mine:
            last = self._yielded.get(address)
            wait = RECLAIM_AFTER
            if last is not None and now - last.at < 2 * RECLAIM_MAX:
                wait = min(2 * last.wait, RECLAIM_MAX)
            self._yielded[address] = _Yielded(claimant, now, wait)

    def _holds_back(self, address: IPAddress, now: float) -> bool:
        yielded = self._yielded.get(address)
        return yielded is not None and now < yielded.until and yielded.claimant in self._view.alive

    def _drop(self, address: IPAddress) -> None:
        if self.answered.pop(address, None) is not None:
            self.version += 1
        self._announced.pop(address, None)
        self._unannounced.pop(address, None)
        self._lingering.pop(address, None)
        self._again.discard(address)

    def _announce_again(self, address: IPAddress, now: float) -> None:
        tenure = self._announced[address]
        if now - tenure.announced >= SETTLED_AFTER:
            tenure.announced = now
            self._again.add(address)
