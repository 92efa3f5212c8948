"""Many memberships on a simulated clock and network: who they think lives, and what it costs them to know.

Event by event instead of step by step, so that a hundred nodes or an hour of two take seconds. Every node beats at
times of its own. Messages take half a millisecond to two, may overtake each other and get lost.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count

from heraldlb.speaker.constants import FAILURE_TIMEOUT, HEARTBEAT_INTERVAL
from heraldlb.speaker.interfaces import Offer
from heraldlb.speaker.membership import Membership, Verdict
from heraldlb.speaker.messages import Message, SignatureError, decode, encode
from heraldlb.speaker.standing import Standing

KEY = b"k" * 32
ETHERNET_IP_UDP = 14 + 20 + 8
FASTEST, SLOWEST = 0.0005, 0.002


@dataclass(slots=True)
class Node:
    membership: Membership
    offers: tuple[Offer, ...]
    standing: Standing = Standing.SERVING
    next_beat: float = 0.0
    keys: tuple[bytes, ...] = (KEY,)
    """The first signs, all are accepted."""

    @property
    def alive(self) -> frozenset[str]:
        return frozenset(self.membership.members())


@dataclass(slots=True)
class Network:
    """Nodes named `names`; those in different `sides` do not reach each other, nor do the two of a `cut`."""

    names: tuple[str, ...]
    loss: float = 0.0
    seed: int = 1
    now: float = 1_000.0
    nodes: dict[str, Node] = field(default_factory=dict)
    sides: dict[str, int] = field(default_factory=dict)
    cut: set[tuple[str, str]] = field(default_factory=set)
    signed: bool = False
    """Whether messages go through their encoding, with the keys of both ends, and are weighed. Slower."""
    sent: Counter[str] = field(default_factory=Counter)
    received: Counter[str] = field(default_factory=Counter)
    octets: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    """Messages signed with a key that the receiver does not accept."""
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    recorded: list[tuple[str, Message]] | None = None
    turned: str = ""
    """The node that the last event was for."""
    _order: Iterator[int] = field(default_factory=count)
    _events: list[tuple[float, int, str, Message | bytes | None]] = field(default_factory=list)
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 - reproducible

    def start(self, *names: str, incarnation: int | None = None) -> None:
        for name in names or self.names:
            membership = Membership(name, incarnation or int(self.now * 1e9), FAILURE_TIMEOUT, HEARTBEAT_INTERVAL)
            membership.configure(self.names)
            number = self.names.index(name)
            offer = Offer("eth0", bytes((2, 0, 0, 0, number // 256, number % 256)))
            node = self.nodes[name] = Node(membership, (offer,))
            self._schedule(name, node, self.now + self._chance.random() * HEARTBEAT_INTERVAL)

    def kill(self, *names: str) -> None:
        for name in names:
            del self.nodes[name]

    def leave(self, name: str) -> None:
        self.nodes[name].standing = Standing.LEAVING
        self._beat(name, self.nodes[name])

    def goodbye(self, name: str) -> None:
        """Leave, and end a moment later."""
        self.leave(name)
        self.run(0.01)
        self.kill(name)

    def part(self, *sides: Iterable[str]) -> None:
        """Cut the network so that only nodes of one side reach each other; those in none reach nobody."""
        self.sides = {name: -number for number, name in enumerate(self.names, 1)}
        self.sides |= {name: number for number, side in enumerate(sides) for name in side}

    def heal(self) -> None:
        self.sides.clear()
        self.cut.clear()

    def hand(self, receiver: str, message: Message | bytes, delay: float = 0.0) -> None:
        """Deliver this message, whatever is cut."""
        heapq.heappush(self._events, (self.now + delay, next(self._order), receiver, message))

    def run(self, seconds: float) -> None:
        for _ in self.steps(seconds):
            pass

    def steps(self, seconds: float) -> Iterator[float]:
        """Advance; yields after every event."""
        until = self.now + seconds
        while self._events and self._events[0][0] <= until:
            self.now, _, name, message = heapq.heappop(self._events)
            node = self.nodes.get(name)
            if node is None:
                continue
            self.turned = name
            if message is not None:
                self._receive(name, node, message)
            node.membership.expire(self.now)
            if node.membership.urgent or self.now >= node.next_beat:
                self._beat(name, node)
            yield self.now
        self.now = until

    def agreed(self, names: Iterable[str]) -> bool:
        """Whether these think that they live, and nobody else."""
        wanted = frozenset(names)
        return all(self.nodes[name].alive == wanted - {name} for name in wanted)

    def until_agreed(self, *sides: Iterable[str], limit: float) -> float:
        """Advance until each side agrees; the seconds that it took."""
        began = self.now
        while not all(self.agreed(side) for side in sides):
            if self.now - began > limit:
                raise AssertionError(f"not agreed after {limit} s")
            self.run(0.005)
        return self.now - began

    def _receive(self, name: str, node: Node, message: Message | bytes) -> None:
        self.received[name] += 1
        if isinstance(message, bytes):
            self.octets[name] += len(message) + ETHERNET_IP_UDP
            try:
                message = decode(message, node.keys)
            except SignatureError:
                self.refused += 1
                return
        receipt = node.membership.receive(message, self.now)
        self.verdicts[receipt.verdict] += 1
        if receipt.answer:
            node.membership.begin_answer(self.now, node.standing, node.offers)
            self._send(name, message.sender, node.membership.message_to(message.sender, self.now))

    def _beat(self, name: str, node: Node) -> None:
        # In an order that does not depend on how this interpreter hashes, lest chance fall differently in each run.
        for peer in sorted(node.membership.begin_round(self.now, node.standing, node.offers)):
            self._send(name, peer, node.membership.message_to(peer, self.now))
        self._schedule(name, node, self.now + node.membership.interval)

    def _schedule(self, name: str, node: Node, at: float) -> None:
        node.next_beat = at
        # Expiry is looked at twice between beats, more often than any timer is late.
        for part in (1 / 3, 2 / 3, 1):
            heapq.heappush(self._events, (self.now + (at - self.now) * part, next(self._order), name, None))

    def _send(self, name: str, peer: str, message: Message) -> None:
        self.sent[name] += 1
        datagram = encode(message, self.nodes[name].keys[0]) if self.signed else None
        if datagram is not None:
            self.octets[name] += len(datagram) + ETHERNET_IP_UDP
        if self.recorded is not None:
            self.recorded.append((peer, message))
        linked = self.sides.get(name) == self.sides.get(peer) and (name, peer) not in self.cut
        if linked and self._chance.random() >= self.loss:
            self.hand(peer, datagram or message, self._chance.uniform(FASTEST, SLOWEST))
