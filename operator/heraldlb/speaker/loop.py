"""The speaker's one thread: waits on sockets and timers, asks the pure parts, does what they say.

A turn has a fixed order. First it asks whether this process was away too long; if so it owns nothing from here
on. Then heartbeats, because they decide who answers; then decisions and this node's own heartbeats; and only
then frames and announcements, a bounded number of them.
"""

from __future__ import annotations

import logging
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker import constants
from heraldlb.speaker.changes import Change, Conflict, ConflictOver
from heraldlb.speaker.defence import Defences
from heraldlb.speaker.desired import NOTHING_DESIRED, Desired
from heraldlb.speaker.election import Member
from heraldlb.speaker.ethernet import format_mac
from heraldlb.speaker.interfaces import Offer, offers
from heraldlb.speaker.links import LinkMonitor
from heraldlb.speaker.membership import Membership, Verdict
from heraldlb.speaker.messages import MessageError, SignatureError, decode, encode
from heraldlb.speaker.ownership import NOTHING_ASSIGNED, Assignment, Placement, assign, changes
from heraldlb.speaker.pacing import AnnouncementSchedule
from heraldlb.speaker.port import Port, Source
from heraldlb.speaker.settings import SpeakerSettings
from heraldlb.speaker.sockets import endpoint, open_membership_sockets
from heraldlb.speaker.standing import Standing, Surroundings, next_standing
from heraldlb.speaker.stats import AddressCounters, Counters, SpeakerStats

log = logging.getLogger(__name__)

OnChange = Callable[[Change], None]


def clock() -> float:
    """Seconds that go on while the machine is suspended, so that a node that was notices."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Loop:
    """Opens everything when made, in the thread and network namespace that make it; `run` closes everything.

    Raises OSError if the membership port is taken or the process lacks CAP_NET_RAW.
    """

    def __init__(self, settings: SpeakerSettings, on_change: OnChange) -> None:
        self._settings = settings
        self._on_change = on_change
        self._me = settings.node_name
        now = clock()
        self.turned = now
        self.counters = Counters()
        self.standing = Standing.JOINING
        self._membership = Membership(
            self._me, time.time_ns(), settings.failure_timeout, settings.heartbeat_interval
        )
        self._schedule = AnnouncementSchedule()
        self._defences = Defences()
        self._assignment: Assignment = NOTHING_ASSIGNED
        self._alive: Mapping[str, Member] = {}
        self._ports: dict[int, Port] = {}
        self._broken: set[int] = set()

        self._inbox: Desired | None = None
        self._leave_asked = False
        self._leave_at: float | None = None
        self._stopped = False

        self._desired: Desired | None = None
        self._endpoints: dict[str, tuple[int, tuple[str, int]]] = {}
        self._offers: tuple[Offer, ...] = ()
        self._agent_macs: frozenset[bytes] = frozenset()
        self._joined_at = now
        self._last_beat = now
        self._next_beat = now
        self._next_expiry: float | None = None
        self._seen_version = -1
        self._stale = True

        self._selector = selectors.DefaultSelector()
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._links = LinkMonitor()
        self._sockets = open_membership_sockets(settings.membership_port)
        self._selector.register(self._woken, selectors.EVENT_READ, self._on_wake)
        self._selector.register(self._links, selectors.EVENT_READ, self._on_links)
        for version in self._sockets:
            on_messages = partial(self._on_messages, version)
            self._selector.register(self._sockets[version], selectors.EVENT_READ, on_messages)

    # Called from any thread. Each is one assignment and a wake-up, so no lock is needed.

    def apply(self, desired: Desired) -> None:
        """Take up this snapshot at the next turn, instead of any handed in before."""
        self._inbox = desired
        self._wake_up()

    def leave(self) -> None:
        """Say goodbye, let others take over, then end `run`."""
        self._leave_asked = True
        self._wake_up()

    def stats(self) -> SpeakerStats:
        """A snapshot of the counters."""
        return self.counters.read(self.standing, len(self._membership.peers()), len(self._alive))

    def _wake_up(self) -> None:
        # Full: it is awake already. Closed: there is nobody to wake.
        with suppress(OSError):
            self._wake.send(b"\0")

    # The thread itself.

    def run(self) -> None:
        """Turn until asked to leave. However it ends, nothing is answered any more."""
        try:
            while not self._stopped:
                self._turn()
        finally:
            self._close()

    def _turn(self) -> None:
        deadline = self._deadline()
        ready = self._selector.select(max(0.0, deadline - clock()))
        now = clock()
        undecided = now >= deadline
        self.turned = now
        if now - self._last_beat > self._settings.fence_after:
            self._fence(now)
            undecided = True
        packets: list[Callable[[], None]] = []
        for key, _ in ready:
            if isinstance(key.data, tuple):
                packets.append(partial(self._on_frames, *key.data))
            else:
                key.data(now)
                undecided = True
        if undecided or self._stale:
            self._decide(now)
        for handle in packets:
            handle()
        for address in self._schedule.due(now, constants.ANNOUNCEMENTS_PER_TURN):
            self._announce(address)

    def _deadline(self) -> float:
        if self._stale:
            return 0.0
        times = (self._next_beat, self._next_expiry, self._schedule.next_due(), self._leave_at)
        return min(each for each in times if each is not None)

    # Events.

    def _on_wake(self, now: float) -> None:
        self._woken.recv(4_096)
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            if self._desired is None:
                # Nobody could be heard before it was known whom to listen to.
                self._joined_at = now
            self._desired = inbox
            self._membership.configure(inbox.peers)
            self._endpoints = self._reachable(inbox)
            self._offer()
            self._stale = True
        if self._leave_asked and self._leave_at is None:
            self._begin_leave(now)

    def _on_links(self, now: float) -> None:
        if self._links.read():
            self._broken.clear()
            self._offer()
            self._stale = True

    def _on_messages(self, version: int, now: float) -> None:
        keys = self._settings.keys()
        for _ in range(constants.MESSAGES_PER_TURN):
            try:
                datagram = self._sockets[version].recv(constants.MAX_MESSAGE_SIZE + 1)
            except BlockingIOError:
                return
            except OSError:
                # An ICMP error about an earlier heartbeat: the peer's silence says as much.
                continue
            try:
                message = decode(datagram, keys)
            except SignatureError:
                self.counters.messages["BadSignature"] += 1
                continue
            except MessageError:
                self.counters.messages["Malformed"] += 1
                continue
            receipt = self._membership.receive(message, now)
            self.counters.messages[receipt.verdict] += 1
            if receipt.verdict is Verdict.ACCEPTED and receipt.round_trip is not None:
                self.counters.measured(receipt.round_trip)
            if receipt.answer:
                self._membership.begin_round(now)
                self._send_heartbeat(message.sender, now)

    def _on_frames(self, port: Port, source: Source) -> None:
        if self._ports.get(port.placement.index) is not port:
            return
        for claim in port.serve(source, clock, self._last_beat + self._settings.fence_after):
            self._on_claim(claim.address, claim.mac, port.placement)

    def _on_claim(self, address: IPAddress, mac: bytes, placement: Placement) -> None:
        by_agent = mac in self._agent_macs
        defence = self._defences.claimed(address, mac, by_agent=by_agent, now=clock())
        if defence.report:
            self._tell(Conflict(address, format_mac(mac), placement.interface))
        if defence.announce and self.standing is not Standing.LEAVING:
            self._announce(address)

    # Decisions.

    def _fence(self, now: float) -> None:
        """This process was away so long that its peers have given its addresses to others."""
        log.warning("away for %.3f s: owning nothing until peers are heard", now - self._last_beat)
        self.counters.fenced += 1
        self._membership.forget()
        self._last_beat = self._next_beat = now
        if self._leave_at is not None:
            self._leave_at = now
        else:
            self._joined_at = now
            self._change_standing(Standing.JOINING)
        self._reassign(NOTHING_DESIRED)

    def _decide(self, now: float) -> None:
        self._membership.expire(now)
        if self._leave_at is not None:
            if now >= self._leave_at:
                self._stopped = True
            elif now >= self._next_beat:
                self._beat(now)
            return
        if self._desired is None:
            if now >= self._next_beat:
                self._beat(now)
            return
        self._update_standing(now)
        # Peers first: what they learn now they need not find out by waiting.
        if self._stale or now >= self._next_beat:
            self._beat(now)
        if self._stale or self._membership.version != self._seen_version:
            self._stale = False
            self._seen_version = self._membership.version
            self._reassign(self._desired)
        self._next_expiry = self._membership.next_expiry()

    def _update_standing(self, now: float) -> None:
        while True:
            around = Surroundings(
                peers=len(self._membership.peers()),
                heard=len(self._membership.heard()),
                grace_over=now >= self._joined_at + self._settings.grace,
                witnessed=self._witnessed(),
            )
            following = next_standing(self.standing, around)
            if following is self.standing:
                return
            if following is Standing.JOINING:
                self._joined_at = now
            self._change_standing(following)

    def _witnessed(self) -> bool:
        age = self._settings.witness() if self._settings.witness is not None else None
        return age is not None and age <= constants.WITNESS_MAX_AGE

    def _change_standing(self, standing: Standing) -> None:
        if standing is not self.standing:
            log.info("standing: %s, was %s", standing.name, self.standing.name)
            self.standing = standing
            self._stale = True

    def _offer(self) -> None:
        filters = {each.interfaces for each in self._desired.addresses.values()} if self._desired else set()
        self._offers = offers((link for link in self._links.links() if link.index not in self._broken), filters)

    def _reassign(self, desired: Desired) -> None:
        """Elect, then make ports, schedules and the agent's knowledge agree with the outcome."""
        self.counters.elections += 1
        self._alive = self._membership.members()
        self._agent_macs = self._membership.macs() | {offer.mac for offer in self._offers}
        members = {**self._alive, self._me: Member(self._me, self.standing, self._offers)}
        before = self._assignment
        after = self._assignment = assign(desired, members, self._me, self._links.links())
        self._arrange_ports(after.owned)
        now = clock()
        for address in before.owned.keys() - after.owned.keys():
            self._schedule.stop(address)
            self.counters.addresses.pop(address, None)
            if self._defences.released(address):
                self._tell(ConflictOver(address))
        for address, placement in after.owned.items():
            if before.owned.get(address) != placement:
                self.counters.addresses.setdefault(address, AddressCounters())
                self._schedule.start(address, now)
        for change in changes(before, after, time.time()):
            self._tell(change)

    def _arrange_ports(self, owned: Mapping[IPAddress, Placement]) -> None:
        wanted: dict[Placement, list[IPAddress]] = {}
        for address, placement in owned.items():
            wanted.setdefault(placement, []).append(address)
        for port in list(self._ports.values()):
            if port.placement not in wanted:
                self._close_port(port)
        for placement, addresses in wanted.items():
            try:
                if placement.index not in self._ports:
                    self._open_port(placement)
                self._ports[placement.index].own(addresses)
            except OSError as error:
                # Others can serve what this interface cannot, once they hear that it is not offered.
                log.warning(
                    "cannot announce on %s, leaving it out until it changes: %s", placement.interface, error
                )
                self._broken.add(placement.index)
                self._offer()
                self._stale = True

    def _open_port(self, placement: Placement) -> None:
        port = self._ports[placement.index] = Port(placement, self.counters)
        for source in port.sources:
            self._selector.register(source.socket, selectors.EVENT_READ, (port, source))

    def _close_port(self, port: Port) -> None:
        del self._ports[port.placement.index]
        for source in port.sources:
            self._selector.unregister(source.socket)
        port.close()

    # Going out.

    def _beat(self, now: float) -> None:
        self._membership.begin_round(now)
        for peer in self._membership.targets():
            self._send_heartbeat(peer, now)
        self._last_beat = now
        self._next_beat = now + self._settings.heartbeat_interval
        for address in self._defences.over(now):
            self._tell(ConflictOver(address))

    def _send_heartbeat(self, peer: str, now: float) -> None:
        version, where = self._endpoints.get(peer, (0, ("", 0)))
        via = self._sockets.get(version)
        if via is None:
            return
        message = self._membership.message_to(peer, now, self.standing, self._offers)
        try:
            via.sendto(encode(message, self._settings.keys()[0]), where)
            self.counters.sent += 1
        except OSError:
            self.counters.send_errors += 1

    def _announce(self, address: IPAddress) -> None:
        placement = self._assignment.owned.get(address)
        port = self._ports.get(placement.index) if placement is not None else None
        if port is not None:
            port.announce(address)

    def _reachable(self, desired: Desired) -> dict[str, tuple[int, tuple[str, int]]]:
        """Where each peer's heartbeats go: its first address of a family this node speaks."""
        found: dict[str, tuple[int, tuple[str, int]]] = {}
        for peer in desired.peers.values():
            for address in peer.addresses:
                if address.version in self._sockets:
                    found[peer.name] = (address.version, endpoint(address, self._settings.membership_port))
                    break
        return found

    def _tell(self, change: Change) -> None:
        try:
            self._on_change(change)
        except Exception:
            log.exception("the receiver of %s failed", change)

    # The end.

    def _begin_leave(self, now: float) -> None:
        """Go on answering for a moment while others, told at once, announce."""
        self._change_standing(Standing.LEAVING)
        for _ in range(constants.LEAVE_COPIES):
            self._beat(now)
        for address in self._assignment.owned:
            self._schedule.stop(address)
        relieved = self._assignment.owned and self._alive
        self._leave_at = now + (self._settings.leave_linger if relieved else 0.0)

    def _close(self) -> None:
        for port in list(self._ports.values()):
            self._close_port(port)
        self._selector.close()
        self._links.close()
        for each in (*self._sockets.values(), self._wake, self._woken):
            each.close()
        self.standing = Standing.LEAVING
        self._reassign(self._desired or NOTHING_DESIRED)
