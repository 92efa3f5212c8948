"""A cluster of agreements on a simulated clock and network: no sockets, no threads, no waiting.

Messages are signed, encoded, decoded and checked as on a real network. Time advances in steps of some milliseconds.
Links can be cut one way; nodes can die, be stopped and continued, or restarted.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address, ip_network

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.agreement import Agreement
from heraldlb.speaker.desired import Announceable, Desired, Peer
from heraldlb.speaker.interfaces import Link
from heraldlb.speaker.membership import Receipt
from heraldlb.speaker.messages import MessageError, decode, encode
from heraldlb.speaker.settings import SpeakerSettings

STEP = 0.01
DELAY = 0.002
OVERLAP = 0.1
"""Seconds for which two nodes that hear each other may both answer."""
KEY = b"k" * 32
Snapshot = Mapping[IPAddress, frozenset[str]]
"""Candidates of each address."""

ADDRESSES: tuple[IPAddress, ...] = tuple(IPv4Address("10.0.0.100") + n for n in range(12))


def link(number: int, *, carrier: bool = True) -> Link:
    prefixes = (ip_network("10.0.0.0/24"), ip_network("fd00::/64"))
    return Link(2, "eth0", bytes((2, 0, 0, 0, 0, number)), prefixes, carrier=carrier)


@dataclass(slots=True)
class Node:
    name: str
    agreement: Agreement
    key: bytes
    clock_offset: float
    running: bool = True
    inbox: list[bytes] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    announced: dict[IPAddress, float] = field(default_factory=dict)
    """When each address was announced last."""

    @property
    def owned(self) -> set[IPAddress]:
        return set(self.agreement.assignment.owned)


@dataclass(slots=True)
class Cluster:
    """Nodes named `names`; all are candidates for ADDRESSES unless `snapshot` says otherwise."""

    names: tuple[str, ...]
    now: float = 1_000.0
    loss: float = 0.0
    nodes: dict[str, Node] = field(default_factory=dict)
    cut: set[tuple[str, str]] = field(default_factory=set)
    tapped: list[tuple[str, bytes]] = field(default_factory=list)
    dropped: int = 0
    _flying: list[tuple[float, str, bytes]] = field(default_factory=list)
    _chance: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - reproducible

    snapshot: Snapshot | None = None
    probation: float = 10.0
    per_client: bool = False
    """Whether the nodes share the clients of each address."""
    probe: bool = False
    """Whether the addresses were never announced; a node that takes one finds it free at once."""

    def start(
        self,
        *names: str,
        key: bytes = KEY,
        incarnation: int | None = None,
        clock_offset: float = 0.0,
        witness: Callable[[], float | None] | None = None,
    ) -> None:
        """Start or restart nodes; what they had in memory is gone."""
        for name in names or self.names:
            settings = SpeakerSettings(name, key, witness=witness, probation=self.probation)
            at = self.now + clock_offset
            agreement = Agreement(settings, incarnation or int(at * 1e9), at)
            agreement.use([link(self.names.index(name))])
            agreement.apply(self.desired(name, self.snapshot), at)
            self.nodes[name] = Node(name, agreement, key, clock_offset)

    def desired(self, name: str, snapshot: Snapshot | None) -> Desired:
        if snapshot is None:
            snapshot = dict.fromkeys(ADDRESSES, frozenset(self.names))
        peers = {each: Peer(each, (ip_address("10.0.0.1"),)) for each in self.names if each != name}
        wanted = {
            address: Announceable(address, candidates=names, per_client=self.per_client, probe=self.probe)
            for address, names in snapshot.items()
        }
        return Desired(wanted, peers)

    def show(self, snapshot: Snapshot, *names: str) -> None:
        """Let these nodes, or all, know of another state of the cluster's objects."""
        if not names:
            self.snapshot = snapshot
        for name in names or tuple(self.nodes):
            if (node := self.nodes.get(name)) is not None:
                node.agreement.apply(self.desired(name, snapshot), self.now + node.clock_offset)

    def kill(self, name: str) -> None:
        del self.nodes[name]

    def stop(self, name: str) -> None:
        """As SIGSTOP: what is sent to it piles up."""
        self.nodes[name].running = False

    def resume(self, name: str) -> None:
        self.nodes[name].running = True

    def leave(self, name: str) -> None:
        node = self.nodes[name]
        node.agreement.leave(self.now + node.clock_offset)
        self._beat(node, self.now + node.clock_offset)

    def isolate(self, *side: str) -> None:
        """Cut every link between `side` and the rest."""
        for one in side:
            for other in set(self.names) - set(side):
                self.cut |= {(one, other), (other, one)}

    def heal(self) -> None:
        self.cut.clear()

    def inject(self, receiver: str, datagram: bytes) -> None:
        self.nodes[receiver].inbox.append(datagram)

    def run(self, seconds: float) -> None:
        for _ in self.steps(seconds):
            pass

    def steps(self, seconds: float) -> Iterator[float]:
        """Advance; yields after every step."""
        for _ in range(round(seconds / STEP)):
            self.now += STEP
            self._deliver()
            for node in list(self.nodes.values()):
                if node.running:
                    self._turn(node)
            yield self.now

    def owners(self, address: IPAddress, among: Iterable[str] | None = None) -> list[str]:
        """The running nodes that would answer for the address now."""
        names = self.nodes if among is None else among
        return [name for name in names if name in self.nodes and address in self._answered_by(self.nodes[name])]

    def answering(self) -> dict[str, set[IPAddress]]:
        """What each node would answer for now."""
        return {name: set(self._answered_by(node)) for name, node in self.nodes.items()}

    def _answered_by(self, node: Node) -> Collection[IPAddress]:
        return node.agreement.assignment.owned.keys() if self._may_answer(node) else ()

    def _may_answer(self, node: Node) -> bool:
        return node.running and self.now + node.clock_offset < node.agreement.answer_until

    def answering_client(self, address: IPAddress, station: bytes) -> list[str]:
        """The nodes that would answer this client for the address now."""
        found = []
        for name, node in self.nodes.items():
            share = node.agreement.assignment.shares.get(address) if self._may_answer(node) else None
            if share.answers(station) if share is not None else address in self._answered_by(node):
                found.append(name)
        return found

    def everything_owned_once(self, among: Iterable[str] | None = None) -> bool:
        return all(len(self.owners(address, among)) == 1 for address in ADDRESSES)

    def hear_each_other(self, *names: str) -> bool:
        """Whether all of these know of each of the others, from itself, that it lives, and can go on hearing it."""
        nodes = [self.nodes[name] for name in names]
        if any(cut <= set(names) for cut in map(set, self.cut)):
            return False
        return all(node.running and set(names) - {node.name} <= node.agreement.heard for node in nodes)

    @contextmanager
    def hardly_two_owners(self, seconds: float) -> Iterator[None]:
        """Advance, after what the block did, and fail if two answer for an address longer than a message flies.

        So long they may: who takes over begins before the other stops, so that nobody's question is lost.
        """
        yield
        both: dict[IPAddress, float] = {}
        for now in self.steps(seconds):
            for address in ADDRESSES:
                if len(self.owners(address)) <= 1:
                    both[address] = now
                assert now - both.get(address, now) <= OVERLAP, (address, self.owners(address))

    def _turn(self, node: Node) -> None:
        now, agreement = self.now + node.clock_offset, node.agreement
        agreement.fence(now)
        waiting, node.inbox = node.inbox, []
        for datagram in waiting:
            try:
                message = decode(datagram, [node.key])
            except MessageError:
                self.dropped += 1
                continue
            receipt = agreement.receive(message, now)
            node.receipts.append(receipt)
            if receipt.answer:
                self._send(node, message.sender, encode(agreement.answer_to(message.sender, now), node.key))
        if agreement.step(now):
            self._beat(node, now)
        before = node.owned
        agreement.elect(now)
        taken = (node.owned - before) | agreement.to_announce_again()
        node.announced.update(dict.fromkeys(taken, self.now))
        agreement.announced(taken, now)
        for peer, message in agreement.letters(now):
            self._send(node, peer, encode(message, node.key))

    def _beat(self, node: Node, now: float) -> None:
        for peer in node.agreement.beat(now):
            self._send(node, peer, encode(node.agreement.message_to(peer, now), node.key))

    def _send(self, node: Node, receiver: str, datagram: bytes) -> None:
        self.tapped.append((receiver, datagram))
        if (node.name, receiver) not in self.cut and self._chance.random() >= self.loss:
            self._flying.append((self.now + DELAY, receiver, datagram))

    def _deliver(self) -> None:
        landed = [each for each in self._flying if each[0] <= self.now]
        self._flying = [each for each in self._flying if each[0] > self.now]
        for _, receiver, datagram in landed:
            if receiver in self.nodes:
                self.nodes[receiver].inbox.append(datagram)


def settled(*names: str, seconds: float = 2.0) -> Cluster:
    """Nodes that have started together and own every address once."""
    made = Cluster(names)
    made.start()
    made.run(seconds)
    assert made.everything_owned_once()
    return made
