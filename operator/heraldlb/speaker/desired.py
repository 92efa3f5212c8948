"""What the cluster's objects ask of the speaker: immutable snapshots, handed in whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from heraldlb.api.announcements import ANY_INTERFACE, InterfaceFilter
from heraldlb.api.ranges import IPAddress


@dataclass(frozen=True, slots=True)
class Announceable:
    """An address that one of `candidates` is to announce.

    Candidates are the nodes that the cluster's objects allow; whether they live and have an interface for the
    address is the speaker's to find out. Whoever builds snapshots shares one frozenset among addresses with
    equal candidates.
    """

    address: IPAddress
    interfaces: InterfaceFilter = ANY_INTERFACE
    candidates: frozenset[str] = frozenset()
    weights: Mapping[str, int] = field(default_factory=dict)
    """Preferences among the candidates; one that is not named weighs 0. Of those that can announce the address, one
    of the heaviest does."""
    per_client: bool = field(default=False, kw_only=True)
    """Whether all nodes that may announce the address share its clients; else one of them serves them all."""
    probe: bool = field(default=False, kw_only=True)
    """Whether the LAN is to be probed for the address first: nobody has announced it in all its life."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node that runs an agent, with its InternalIPs. Heartbeats go to the first."""

    name: str
    addresses: tuple[IPAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class Desired:
    """Everything, keyed by address and by node name. `peers` holds every other node, never this one."""

    addresses: Mapping[IPAddress, Announceable] = field(default_factory=dict)
    peers: Mapping[str, Peer] = field(default_factory=dict)


NOTHING_DESIRED = Desired()
