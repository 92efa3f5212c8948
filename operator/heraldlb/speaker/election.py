"""One owner for each address, agreed without a word: rendezvous hashing (highest random weight).

Every node ranks an address's candidates by a hash of address and name. The owner is the first that lives,
serves and has an interface for it. Nodes that see the same members choose the same owner; a node that dies
moves only the addresses it owned, one that comes takes only its share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hashlib import blake2b

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.desired import Announceable
from heraldlb.speaker.interfaces import Offer, interface_for
from heraldlb.speaker.standing import Standing


class Ineligible(StrEnum):
    """Why a node cannot announce an address."""

    NOT_CANDIDATE = "NotCandidate"
    """The cluster's objects do not allow it: policy, labels or no endpoint."""
    NOT_ALIVE = "NotAlive"
    """Its agent is not heard."""
    NOT_SERVING = "NotServing"
    """Its agent is starting, leaving or isolated."""
    NO_INTERFACE = "NoInterface"
    """No interface that is allowed, has carrier and a prefix that holds the address."""


@dataclass(frozen=True, slots=True)
class Member:
    """A live node as elections see it."""

    name: str
    standing: Standing
    offers: tuple[Offer, ...] | None
    """None: known to live only through others, interfaces unknown. Taken to have one: a node that announces in vain
    is found out by its users, two that announce at once harm everybody."""


def elect(wanted: Announceable, members: Mapping[str, Member]) -> str | None:
    """The owner's name, or None if no member can announce the address."""
    for name in _ranked(wanted.address, wanted.candidates):
        member = members.get(name)
        if member is not None and _objection(wanted, member) is None:
            return name
    return None


def explain(wanted: Announceable, members: Mapping[str, Member], nodes: Iterable[str]) -> dict[str, Ineligible]:
    """What keeps each of these nodes from announcing the address; those that could are left out."""
    reasons: dict[str, Ineligible] = {}
    for name in nodes:
        if name not in wanted.candidates:
            reasons[name] = Ineligible.NOT_CANDIDATE
        elif (member := members.get(name)) is None:
            reasons[name] = Ineligible.NOT_ALIVE
        elif (objection := _objection(wanted, member)) is not None:
            reasons[name] = objection
    return reasons


def _objection(wanted: Announceable, member: Member) -> Ineligible | None:
    if member.standing is not Standing.SERVING:
        return Ineligible.NOT_SERVING
    if member.offers is not None and interface_for(wanted.address, wanted.interfaces, member.offers) is None:
        return Ineligible.NO_INTERFACE
    return None


# A ranking changes only with the cluster's objects, while a failover asks for all of them at once.
@lru_cache(maxsize=16_384)
def _ranked(address: IPAddress, candidates: frozenset[str]) -> tuple[str, ...]:
    packed = address.packed

    def weight(name: str) -> bytes:
        return blake2b(packed + name.encode(), digest_size=8).digest()

    # The name breaks the tie of equal hashes, so that no order depends on how a set is stored.
    return tuple(sorted(candidates, key=lambda name: (weight(name), name), reverse=True))
