"""What the speaker tells the rest of the agent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.election import Ineligible
from heraldlb.speaker.losses import Outlook


@dataclass(frozen=True, slots=True)
class Announcing:
    """This node answers for the address, with this interface's hardware address, since this time (Unix seconds).

    Comes again for an address already announced when its interface or that interface's hardware address changes.
    """

    address: IPAddress
    interface: str
    mac: str
    since: float


@dataclass(frozen=True, slots=True)
class ClientsShared:
    """These nodes, this one among them, share the clients of an address that this node announces. With none, this
    node serves all of them.

    Comes after Announcing, and again when the nodes change. Withdrawn ends it, too.
    """

    address: IPAddress
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """This node stopped answering for the address; `new_owner` is the node it believes answers now."""

    address: IPAddress
    new_owner: str | None


@dataclass(frozen=True, slots=True)
class NotEligible:
    """No node can announce the address: why not, node by node. With `reasons` empty there is no node at all.

    Comes from every node that serves, and again when a reason changes, until NotEligibleOver.
    """

    address: IPAddress
    reasons: Mapping[str, Ineligible]


@dataclass(frozen=True, slots=True)
class NotEligibleOver:
    """What NotEligible said holds no more: a node can announce the address, nobody asks for it, or this node does
    not serve and cannot know."""

    address: IPAddress


@dataclass(frozen=True, slots=True)
class Conflict:
    """A host that is no agent claims an address of this node. Comes once for each foreign hardware address."""

    address: IPAddress
    mac: str
    interface: str
    announced: bool = True
    """Whether this node announces the address, too; else it was found in use before that, and waits."""


@dataclass(frozen=True, slots=True)
class ConflictOver:
    """Nobody has claimed the address for a while, or it is this node's no more."""

    address: IPAddress


@dataclass(frozen=True, slots=True)
class PeersChanged:
    """Which other nodes' agents live, or which were lost without a goodbye, is not what it was."""

    outlook: Outlook


@dataclass(frozen=True, slots=True)
class OwnersChanged:
    """Whose the addresses are, or by which hardware addresses agents are known, is not what it was.

    Comes before this node acts on it: also while another still answers, or nobody.
    """

    owners: Mapping[IPAddress, str | None]
    """All addresses."""
    stations: Mapping[str, frozenset[str]]
    """Of each node, this and dead ones included, the hardware addresses of the interfaces that its agent offers."""

    @property
    def macs(self) -> frozenset[str]:
        """All of these."""
        return frozenset().union(*self.stations.values())


AddressChange = Announcing | ClientsShared | Withdrawn | NotEligible | NotEligibleOver | Conflict | ConflictOver

Change = AddressChange | PeersChanged | OwnersChanged
