"""Counts how addresses came to this node, and who disputes them: numbers for metrics. Pure."""

from __future__ import annotations

from heraldlb.agent.cluster import Cluster
from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.changes import AddressChange, Announcing, Conflict, Withdrawn


class Tally:
    """Fed with every change that the speaker reports, after the cluster knows who was lost."""

    def __init__(self, cluster: Cluster, node_name: str) -> None:
        self._cluster = cluster
        self._node_name = node_name
        self._here: set[IPAddress] = set()
        self._moved: dict[IPAddress, str] = {}
        self.failovers = 0
        """Addresses taken over from a node that was lost."""
        self.handovers = 0
        """Addresses taken over from a node that lives, or said goodbye."""
        self.conflicts = 0
        """Strangers found to claim an address."""

    def take(self, change: AddressChange) -> None:
        """Count it."""
        match change:
            case Announcing(address=address) if address not in self._here:
                self._here.add(address)
                former = self._former(address)
                if former in self._cluster.lost:
                    self.failovers += 1
                elif former not in ("", self._node_name):
                    self.handovers += 1
            case Withdrawn(address=address, new_owner=owner):
                self._here.discard(address)
                self._moved.pop(address, None)
                if owner is not None:
                    self._moved[address] = owner
            case Conflict():
                self.conflicts += 1

    def _former(self, address: IPAddress) -> str:
        """Who announced it last: as this node saw it go, or else as the status says."""
        record = self._cluster.record(address)
        return self._moved.pop(address, "") or (record.node if record is not None else "")
