"""From members and interfaces to what this node answers for, and from one such state to the next as changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.changes import Announcing, Change, ClientsShared, NotEligible, NotEligibleOver, Withdrawn
from heraldlb.speaker.desired import Desired
from heraldlb.speaker.election import Electorate, Ineligible, Member, elect, electorates, explain
from heraldlb.speaker.ethernet import format_mac
from heraldlb.speaker.interfaces import Link, interface_for
from heraldlb.speaker.rendezvous import favourite
from heraldlb.speaker.standing import ELIGIBLE


@dataclass(frozen=True, slots=True)
class Placement:
    """The interface that an owned address is announced on."""

    index: int
    interface: str
    mac: bytes


@dataclass(frozen=True, slots=True)
class Share:
    """One node's part in an address whose clients several nodes share.

    A client is a station, known by its hardware address: it has one neighbour cache entry for the address,
    whichever protocol addresses of its own it asks from.
    """

    address: IPAddress
    me: str
    sharers: frozenset[str]
    """The nodes that share the clients from here on. At least one."""
    placement: Placement
    lead: bool = False
    """Whether this node is the address' owner, who besides answers those that ask whether the address is free."""
    former: frozenset[str] = frozenset()
    """Not empty: this node shares no more, and for a moment still answers its clients of when these shared."""

    def owner(self, station: bytes) -> str:
        """The node that the client belongs to."""
        return favourite(self.address.packed + station, self.sharers)

    def answers(self, station: bytes) -> bool:
        """Whether this node answers that client."""
        return favourite(self.address.packed + station, self.former or self.sharers) == self.me


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who owns what, as this node sees it."""

    owners: Mapping[IPAddress, str | None] = field(default_factory=dict)
    """Whose each address should be by the election."""
    owned: Mapping[IPAddress, Placement] = field(default_factory=dict)
    """The addresses that this node answers for, and where. While one is handed over, its owner is another
    already."""
    shares: Mapping[IPAddress, Share] = field(default_factory=dict)
    """Of these addresses, owned or not, it answers its own clients only."""
    electorates: Mapping[IPAddress, Electorate] = field(default_factory=dict)
    """The nodes that should share each address' clients, by the election; other addresses are left out."""
    shareable: Mapping[IPAddress, Placement] = field(default_factory=dict)
    """Where this node can, of those that it should share."""
    ineligible: Mapping[IPAddress, Mapping[str, Ineligible]] = field(default_factory=dict)
    """Addresses without an owner; empty while this node does not serve, since then it cannot know."""

    def placement(self, address: IPAddress) -> Placement | None:
        """Where this node answers for the address, for all clients or some."""
        if (placement := self.owned.get(address)) is not None:
            return placement
        return share.placement if (share := self.shares.get(address)) is not None else None

    def placements(self) -> AbstractSet[IPAddress]:
        """All addresses that this node answers for, for all clients or some."""
        return self.owned.keys() | self.shares.keys() if self.shares else self.owned.keys()

    def sharers(self, address: IPAddress) -> frozenset[str]:
        """The nodes that share the clients of an owned address; empty where one serves them all."""
        share = self.shares.get(address)
        return share.sharers if share is not None and share.lead and len(share.sharers) > 1 else frozenset()


NOTHING_ASSIGNED = Assignment()


def assign(desired: Desired, members: Mapping[str, Member], me: str, links: Iterable[Link]) -> Assignment:
    """The outcome of an election: the owner of every desired address. `members` includes this node, whose name is
    `me`."""
    by_name = {link.name: link for link in links}
    own = members[me]
    owners = elect(desired.addresses, members)
    owned: dict[IPAddress, Placement] = {}
    shared = electorates({a: each for a, each in desired.addresses.items() if each.per_client}, members)
    shareable: dict[IPAddress, Placement] = {}
    ineligible: dict[IPAddress, Mapping[str, Ineligible]] = {}
    for address, owner in owners.items():
        if owner == me or me in shared.get(address, ()):
            offer = interface_for(address, desired.addresses[address].interfaces, own.offers or ())
            if offer is not None and (link := by_name.get(offer.name)) is not None:
                placement = Placement(link.index, link.name, link.mac)
                if owner == me:
                    owned[address] = placement
                if address in shared:
                    shareable[address] = placement
        elif owner is None and own.standing in ELIGIBLE:
            wanted = desired.addresses[address]
            ineligible[address] = explain(wanted, members, sorted({me, *desired.peers, *wanted.candidates}))
    return Assignment(owners, owned, electorates=shared, shareable=shareable, ineligible=ineligible)


def changes(before: Assignment, after: Assignment, wall_time: float) -> Iterator[Change]:
    """What to tell the agent about the step from one assignment to the next. `wall_time` in Unix seconds."""
    for address in before.owned:
        if address not in after.owned:
            yield Withdrawn(address, after.owners.get(address))
    for address in before.ineligible:
        if address not in after.ineligible:
            yield NotEligibleOver(address)
    for address, placement in after.owned.items():
        if before.owned.get(address) != placement:
            yield Announcing(address, placement.interface, format_mac(placement.mac), wall_time)
        known = before.sharers(address) if address in before.owned else frozenset()
        if (sharers := after.sharers(address)) != known:
            yield ClientsShared(address, tuple(sorted(sharers)))
    for address, reasons in after.ineligible.items():
        if before.ineligible.get(address) != reasons:
            yield NotEligible(address, reasons)


def owner_changes(before: Assignment, after: Assignment) -> int:
    """The number of addresses that have another owner than before; new addresses do not count."""
    return sum(
        address in before.owners and before.owners[address] != owner for address, owner in after.owners.items()
    )
