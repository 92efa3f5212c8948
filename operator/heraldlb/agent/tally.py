"""Counts how and how fast addresses came to this node, and who disputes them: numbers for metrics. Pure."""

from __future__ import annotations

from typing import Final

from prometheus_client import Histogram

from heraldlb.agent.cluster import Cluster
from heraldlb.api.ranges import IPAddress
from heraldlb.api.serviceaddress import ServiceAddress
from heraldlb.kube.mirror import Change
from heraldlb.speaker.changes import AddressChange, Announcing, Conflict, Withdrawn

DURATION_BUCKETS: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)


class Tally:
    """Fed with every change that the speaker reports, after the cluster knows who was lost."""

    def __init__(self, cluster: Cluster, node_name: str) -> None:
        self._cluster = cluster
        self._node_name = node_name
        self._here: set[IPAddress] = set()
        self._moved: dict[IPAddress, str] = {}
        self._unannounced: dict[IPAddress, float] = {}
        self.durations = Histogram(
            "heraldlb_speaker_announce_duration_seconds",
            "Time from when an address was given to a Service, as this node saw, until this node, as the first, "
            "announced it. Waiting for a ready endpoint and probing are part of it.",
            registry=None,
            buckets=DURATION_BUCKETS,
        )
        self.failovers = 0
        """Addresses taken over from a node that was lost."""
        self.handovers = 0
        """Addresses taken over from a node that lives, or said goodbye."""
        self.conflicts = 0
        """Strangers found to claim an address."""

    def record_changed(self, change: Change[ServiceAddress], now: float) -> None:
        """A ServiceAddress came, changed or went. `now`: Unix seconds."""
        record = change.after
        if record is None or record.node:
            if (known := record or change.before) is not None:
                self._unannounced.pop(known.address, None)
        elif change.before is None:
            self._unannounced[record.address] = now

    def take(self, change: AddressChange) -> None:
        """Count it."""
        match change:
            case Announcing(address=address, since=since) if address not in self._here:
                self._here.add(address)
                if (given := self._unannounced.pop(address, None)) is not None:
                    self.durations.observe(max(since - given, 0.0))
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
