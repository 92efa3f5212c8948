"""Many members in one process, each with a socket and an address of its own.

Run as `python -m benchmarks.speaker.crowd JSON`.

JSON: `key` (hexadecimal), `addresses`: {NODE: ADDRESS} of all members of the cluster, `here`: the names of those in
this process. They speak the protocol of the agents, in datagrams on the network, but own nothing. Says, an object a
line, how many of them know all others to live, whenever that has changed. SIGTERM ends it.
"""

from __future__ import annotations

import heapq
import json
import os
import selectors
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any, Final

from heraldlb.speaker.constants import FAILURE_TIMEOUT, HEARTBEAT_INTERVAL, MAX_MESSAGE_SIZE, MEMBERSHIP_PORT
from heraldlb.speaker.interfaces import Offer
from heraldlb.speaker.membership import Membership
from heraldlb.speaker.messages import MessageError, decode, encode
from heraldlb.speaker.standing import Standing

_STANDING: Final = Standing.ESTABLISHED
_SAY_EVERY: Final = 0.5
"""Seconds."""
_PRIORITY: Final = -15
_LATE: Final = HEARTBEAT_INTERVAL / 2
_START_EVERY: Final = 0.25
"""Seconds between two starts. A node that joins a hundred costs all of them together more than a thousand
datagrams, each of which this process both sends and receives: what a hundred nodes can do at once, it cannot."""


@dataclass(slots=True)
class _Member:
    name: str
    membership: Membership
    socket: socket.socket
    offers: tuple[Offer, ...]
    next_beat: float
    started: bool = False


class Crowd:
    """The members of this process. Raises OSError if one of their addresses is not here."""

    def __init__(self, key: bytes, addresses: dict[str, str], here: list[str]) -> None:
        self._key = key
        self._addresses = addresses
        self._selector = selectors.DefaultSelector()
        self._stood_still = 0.0
        self._started = self._clock()
        self._members = [self._member(name, number) for number, name in enumerate(here)]
        self._timers = [(member.next_beat, number) for number, member in enumerate(self._members)]
        heapq.heapify(self._timers)

    def turn(self, limit: float) -> None:
        """Handle what is due and what has arrived, or wait for either, at the most `limit` seconds."""
        wait = max(0.0, min(limit, self._timers[0][0] - self._clock()))
        began = time.monotonic()
        ready = self._selector.select(wait)
        begun = time.monotonic()
        self._stood_still += max(0.0, begun - began - wait - _LATE)
        now = self._clock()
        for key, _ in ready:
            self._receive(key.data, now)
        while self._timers[0][0] <= now:
            _, number = heapq.heappop(self._timers)
            member = self._members[number]
            # It may have begun a round since, before its time.
            if member.next_beat <= now:
                self._beat(member, now)
            heapq.heappush(self._timers, (member.next_beat, number))
        # With more to do than it can, it lives more slowly: no member is dead because others are busy.
        self._stood_still += max(0.0, time.monotonic() - begun - _LATE)

    def complete(self) -> int:
        """How many members know all others to live."""
        return sum(len(each.membership.members()) == len(self._addresses) - 1 for each in self._members)

    def _clock(self) -> float:
        """Seconds but those that this process had no processor for, or was busy for too many at once, which makes
        nobody late for another here."""
        return time.monotonic() - self._stood_still

    def _member(self, name: str, number: int) -> _Member:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        membership = Membership(name, time.time_ns(), FAILURE_TIMEOUT, HEARTBEAT_INTERVAL)
        membership.configure(self._addresses)
        offer = Offer("eth0", bytes((2, 0, 0, 1, number >> 8, number & 255)))
        return _Member(name, membership, opened, (offer,), self._started + number * _START_EVERY)

    def _start(self, member: _Member) -> None:
        member.socket.bind((self._addresses[member.name], MEMBERSHIP_PORT))
        self._selector.register(member.socket, selectors.EVENT_READ, member)
        member.started = True

    def _beat(self, member: _Member, now: float) -> None:
        if not member.started:
            self._start(member)
        member.membership.expire(now)
        for peer in member.membership.begin_round(now, _STANDING, member.offers):
            self._send(member, peer, now)
        member.next_beat = now + member.membership.interval

    def _receive(self, member: _Member, now: float) -> None:
        while True:
            try:
                datagram = member.socket.recv(MAX_MESSAGE_SIZE + 1)
            except BlockingIOError:
                break
            except OSError:
                continue
            try:
                message = decode(datagram, [self._key])
            except MessageError:
                continue
            if member.membership.receive(message, now).answer:
                member.membership.begin_answer(now, _STANDING, member.offers)
                self._send(member, message.sender, now)
        if member.membership.urgent:
            self._beat(member, now)

    def _send(self, member: _Member, peer: str, now: float) -> None:
        datagram = encode(member.membership.message_to(peer, now), self._key)
        try:
            member.socket.sendto(datagram, (self._addresses[peer], MEMBERSHIP_PORT))
        except OSError:
            # Its address does not answer ARP; the next round tries again.
            return


def main() -> None:
    raw: dict[str, Any] = json.loads(sys.argv[1])
    # It stands for other machines, which do not wait for a processor of this one.
    os.nice(_PRIORITY)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    crowd = Crowd(bytes.fromhex(raw["key"]), raw["addresses"], raw["here"])
    last, next_say = -1, 0.0
    while not ended.is_set():
        crowd.turn(_SAY_EVERY)
        if time.monotonic() >= next_say:
            next_say = time.monotonic() + _SAY_EVERY
            if (complete := crowd.complete()) != last:
                print(json.dumps({"complete": complete}), flush=True)
                last = complete


if __name__ == "__main__":
    main()
