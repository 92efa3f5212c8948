"""One owner for each address, agreed without a word: nodes that see the same members and objects choose the same.

Of the candidates that live, serve and have an interface for the address, those that are not on probation come
first, then the heaviest by preference. Among these the addresses are shared out (see `rendezvous`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.desired import Announceable
from heraldlb.speaker.interfaces import Offer, interface_for
from heraldlb.speaker.rendezvous import share_out
from heraldlb.speaker.standing import ELIGIBLE, Standing


class Ineligible(StrEnum):
    """Why a node cannot announce an address."""

    NOT_CANDIDATE = "NotCandidate"
    """The cluster's objects do not allow it: policy, labels or no endpoint."""
    NOT_ALIVE = "NotAlive"
    """Its agent is not heard."""
    NOT_SERVING = "NotServing"
    """Its agent is starting, leaving or isolated."""
    NO_INTERFACE = "NoInterface"
    """No interface that is allowed and has carrier."""
    NO_PREFIX = "NoPrefix"
    """Such an interface, but no prefix that holds the address."""


@dataclass(frozen=True, slots=True)
class Member:
    """A live node as elections see it."""

    name: str
    standing: Standing
    offers: tuple[Offer, ...] | None
    """None: known to live only through others, interfaces unknown. Taken to have one: a node that announces in vain
    is found out by its users, two that announce at once harm everybody."""


Electorate = frozenset[str]
"""Nodes that share addresses among them."""


def elect(wanted: Mapping[IPAddress, Announceable], members: Mapping[str, Member]) -> dict[IPAddress, str | None]:
    """The owner of each address, None where no member can announce it. Depends on no order of anything."""
    owners: dict[IPAddress, str | None] = dict.fromkeys(wanted)
    for electorate, addresses in _electorates(wanted, members).items():
        if len(electorate) == 1:
            owners.update(dict.fromkeys(addresses, *electorate))
        elif electorate:
            owners.update(share_out(tuple(addresses), electorate))
    return owners


def electorates(
    wanted: Mapping[IPAddress, Announceable], members: Mapping[str, Member]
) -> dict[IPAddress, Electorate]:
    """For each address all nodes of which one would be elected."""
    found = _electorates(wanted, members)
    return {address: electorate for electorate, addresses in found.items() for address in addresses}


def explain(wanted: Announceable, members: Mapping[str, Member], nodes: Iterable[str]) -> dict[str, Ineligible]:
    """What keeps each of these nodes from announcing the address; those that could are left out."""
    reasons: dict[str, Ineligible] = {}
    for name in nodes:
        if name not in wanted.candidates:
            reasons[name] = Ineligible.NOT_CANDIDATE
        elif (member := members.get(name)) is None:
            reasons[name] = Ineligible.NOT_ALIVE
        elif (objection := _objection(wanted, member)) is not None:
            offered = any(wanted.interfaces.allows(offer.name) for offer in member.offers or ())
            lacking = offered and objection is Ineligible.NO_INTERFACE
            reasons[name] = Ineligible.NO_PREFIX if lacking else objection
    return reasons


def _electorates(
    wanted: Mapping[IPAddress, Announceable], members: Mapping[str, Member]
) -> dict[Electorate, list[IPAddress]]:
    """The addresses by the nodes that share them."""
    prefixes = {prefix for member in members.values() for offer in member.offers or () for prefix in offer.prefixes}
    # In numbers, since this is asked of every address at every election.
    tests: dict[int, list[tuple[int, int, int]]] = {4: [], 6: []}
    for bit, prefix in enumerate(prefixes):
        shift = prefix.max_prefixlen - prefix.prefixlen
        tests[prefix.version].append((shift, int(prefix.network_address) >> shift, 1 << bit))
    # Addresses of equal wishes that lie in the same prefixes have the same nodes. A snapshot shares what is equal.
    known: dict[tuple[int, int, tuple[tuple[str, int], ...], int], Electorate] = {}
    found: dict[Electorate, list[IPAddress]] = {}
    for address, each in wanted.items():
        number = int(address)
        inside = 0
        for shift, head, bit in tests[address.version]:
            if number >> shift == head:
                inside |= bit
        key = (id(each.candidates), id(each.interfaces), tuple(each.weights.items()), inside)
        electorate = known.get(key)
        if electorate is None:
            electorate = known[key] = _electorate(each, members)
        found.setdefault(electorate, []).append(address)
    return found


def _electorate(wanted: Announceable, members: Mapping[str, Member]) -> Electorate:
    able = [
        member
        for name in wanted.candidates
        if (member := members.get(name)) is not None and _objection(wanted, member) is None
    ]
    proven = [member.name for member in able if member.standing is not Standing.PROBATION]
    names = proven or [member.name for member in able]
    heaviest = max((wanted.weights.get(name, 0) for name in names), default=0)
    return frozenset(name for name in names if wanted.weights.get(name, 0) == heaviest)


def _objection(wanted: Announceable, member: Member) -> Ineligible | None:
    if member.standing not in ELIGIBLE:
        return Ineligible.NOT_SERVING
    if member.offers is not None and interface_for(wanted.address, wanted.interfaces, member.offers) is None:
        return Ineligible.NO_INTERFACE
    return None
