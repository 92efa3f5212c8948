"""Whether an address that nobody has announced yet is free: probing (RFC 5227 section 2.1.1), which IPv6 calls
duplicate address detection (RFC 4862 section 5.4). No I/O.

An address under trial is owned and not announced: nothing is answered for it. A round is a few probes and a wait.
Nobody claims the address: it is free, for good; a few late probes follow while it is announced, and who answers
those is met as any claimant (see `defence`). Another host does: that is told, and a new round begins after a while,
until the host is gone.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import count

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import (
    CLAIM_DOUBT,
    LATE_PROBES_AFTER,
    MAX_CONFLICTS,
    PROBE_AFTER,
    PROBE_WAIT,
    RATE_LIMIT_INTERVAL,
    REPROBE_INTERVAL,
)
from heraldlb.speaker.desired import Announceable


@dataclass(frozen=True, slots=True)
class Findings:
    """What a step of time brought."""

    probe: tuple[IPAddress, ...] = ()
    """Addresses to send a probe for now."""
    free: tuple[IPAddress, ...] = ()
    """Addresses that nobody has: they are under trial no more."""
    taken: tuple[tuple[IPAddress, bytes], ...] = ()
    """Addresses that some host has, with its hardware address; told once for each host."""
    relieved: tuple[IPAddress, ...] = ()
    """Those of `free` that were told of as taken before."""


@dataclass(slots=True)
class _Trial:
    run: int
    sent: int = 0
    claimant: bytes | None = None
    """Who claimed the address in this round."""
    conflicts: int = 0
    """Rounds in which a host had the address."""
    stranger: bytes | None = None
    """Who was told of."""


class Probing:
    """The trials of the addresses that this node owns. Times are seconds on one clock of the caller's."""

    def __init__(self) -> None:
        self._unproven: frozenset[IPAddress] = frozenset()
        self._proven: set[IPAddress] = set()
        self._trials: dict[IPAddress, _Trial] = {}
        self._late: dict[IPAddress, _Trial] = {}
        self._queue: list[tuple[float, int, IPAddress]] = []
        self._runs = count()

    def __contains__(self, address: IPAddress) -> bool:
        """Whether the address is under trial."""
        return address in self._trials

    def apply(self, addresses: Mapping[IPAddress, Announceable]) -> None:
        """What the cluster's objects say of each address from here on."""
        self._unproven = frozenset(address for address, each in addresses.items() if each.probe)
        self._proven &= addresses.keys()

    def prove(self, address: IPAddress) -> None:
        """Some agent announces the address, though the cluster's objects may not say so yet."""
        self._proven.add(address)

    def needs(self, address: IPAddress) -> bool:
        """Whether the address is to be tried before it is announced: nobody has announced it yet."""
        return address in self._unproven and address not in self._proven

    def start(self, address: IPAddress, now: float) -> None:
        """Try the address from the beginning, keeping in mind what was told of it."""
        trial = self._trials.setdefault(address, _Trial(0))
        self._begin_round(address, trial, now)

    def stop(self, address: IPAddress) -> bool:
        """Send no more probes for the address. Returns whether it was under trial, and told of as taken."""
        trial = self._trials.pop(address, None)
        self._late.pop(address, None)
        return trial is not None and trial.stranger is not None

    def claimed(self, address: IPAddress, mac: bytes, now: float) -> None:
        """Another host claims an address under trial. Of several in a round, the first counts."""
        trial = self._trials[address]
        if trial.claimant is None:
            trial.claimant = mac
            self._schedule(address, trial, now + CLAIM_DOUBT)

    def step(self, now: float, agents: Collection[bytes], limit: int) -> Findings:
        """What is due, with at most `limit` probes. `agents`: the hardware addresses of agents heard by now, whose
        claims prove nothing against an address."""
        probe: list[IPAddress] = []
        free: list[IPAddress] = []
        taken: list[tuple[IPAddress, bytes]] = []
        relieved: list[IPAddress] = []
        while self._queue and self._queue[0][0] <= now and len(probe) < limit:
            _, run, address = heapq.heappop(self._queue)
            trial = self._trials.get(address) or self._late.get(address)
            if trial is None or trial.run != run:
                continue
            if trial.claimant in agents:
                self._begin_round(address, trial, now)
            elif trial.claimant is not None:
                if trial.stranger != trial.claimant:
                    trial.stranger = trial.claimant
                    taken.append((address, trial.claimant))
                trial.conflicts += 1
                pause = REPROBE_INTERVAL if trial.conflicts < MAX_CONFLICTS else RATE_LIMIT_INTERVAL
                self._begin_round(address, trial, now + pause)
            elif address not in self._trials:
                probe.append(address)
                self._probe_late(address, trial, now)
            elif trial.sent < len(PROBE_AFTER):
                probe.append(address)
                trial.sent += 1
                self._schedule(address, trial, now + _pause_after(trial.sent))
            else:
                free.append(address)
                self.prove(address)
                if self.stop(address):
                    relieved.append(address)
                self._probe_late(address, _Trial(0), now)
        return Findings(tuple(probe), tuple(free), tuple(taken), tuple(relieved))

    def next_due(self) -> float | None:
        """When `step` has something to do, or None. May be early by a trial that was stopped."""
        return self._queue[0][0] if self._queue else None

    def _probe_late(self, address: IPAddress, trial: _Trial, now: float) -> None:
        """Schedule the next of the late probes, if there is one."""
        if trial.sent == len(LATE_PROBES_AFTER):
            self._late.pop(address)
            return
        self._late[address] = trial
        before = LATE_PROBES_AFTER[trial.sent - 1] if trial.sent else 0.0
        self._schedule(address, trial, now + LATE_PROBES_AFTER[trial.sent] - before)
        trial.sent += 1

    def _begin_round(self, address: IPAddress, trial: _Trial, at: float) -> None:
        trial.sent, trial.claimant = 0, None
        self._schedule(address, trial, at)

    def _schedule(self, address: IPAddress, trial: _Trial, at: float) -> None:
        trial.run = next(self._runs)
        heapq.heappush(self._queue, (at, trial.run, address))


def _pause_after(sent: int) -> float:
    """Seconds to wait after that many probes."""
    return PROBE_AFTER[sent] - PROBE_AFTER[sent - 1] if sent < len(PROBE_AFTER) else PROBE_WAIT
