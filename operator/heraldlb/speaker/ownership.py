"""From members and interfaces to what this node answers for, and from one such state to the next as changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.changes import Announcing, Change, NotEligible, NotEligibleOver, Withdrawn
from heraldlb.speaker.desired import Desired
from heraldlb.speaker.election import Ineligible, Member, elect, explain
from heraldlb.speaker.ethernet import format_mac
from heraldlb.speaker.interfaces import Link, interface_for
from heraldlb.speaker.standing import ELIGIBLE


@dataclass(frozen=True, slots=True)
class Placement:
    """The interface that an owned address is announced on."""

    index: int
    interface: str
    mac: bytes


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who owns what, as this node sees it."""

    owners: Mapping[IPAddress, str | None] = field(default_factory=dict)
    """Whose each address should be by the election."""
    owned: Mapping[IPAddress, Placement] = field(default_factory=dict)
    """The addresses that this node answers for, and where. While one is handed over, its owner is another
    already."""
    ineligible: Mapping[IPAddress, Mapping[str, Ineligible]] = field(default_factory=dict)
    """Addresses without an owner; empty while this node does not serve, since then it cannot know."""


NOTHING_ASSIGNED = Assignment()


def assign(desired: Desired, members: Mapping[str, Member], me: str, links: Iterable[Link]) -> Assignment:
    """The outcome of an election: the owner of every desired address. `members` includes this node, whose name is
    `me`."""
    by_name = {link.name: link for link in links}
    own = members[me]
    owners = elect(desired.addresses, members)
    owned: dict[IPAddress, Placement] = {}
    ineligible: dict[IPAddress, Mapping[str, Ineligible]] = {}
    for address, owner in owners.items():
        if owner == me:
            wanted = desired.addresses[address]
            offer = interface_for(address, wanted.interfaces, own.offers or ())
            if offer is not None and (link := by_name.get(offer.name)) is not None:
                owned[address] = Placement(link.index, link.name, link.mac)
        elif owner is None and own.standing in ELIGIBLE:
            wanted = desired.addresses[address]
            ineligible[address] = explain(wanted, members, sorted({me, *desired.peers, *wanted.candidates}))
    return Assignment(owners, owned, ineligible)


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
    for address, reasons in after.ineligible.items():
        if before.ineligible.get(address) != reasons:
            yield NotEligible(address, reasons)


def owner_changes(before: Assignment, after: Assignment) -> int:
    """The number of addresses that have another owner than before; new addresses do not count."""
    return sum(
        address in before.owners and before.owners[address] != owner for address, owner in after.owners.items()
    )
