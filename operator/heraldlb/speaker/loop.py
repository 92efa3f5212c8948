"""The speaker's one thread: waits on sockets and timers, asks the pure parts, does what they say.

A turn has a fixed order. First it asks whether this process was away too long; if so it owns nothing from here on.
Then heartbeats, because they decide who answers; then decisions and this node's own heartbeats; and only then
announcements and frames, a bounded number of them.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker import constants
from heraldlb.speaker.agreement import Agreement
from heraldlb.speaker.changes import Change, Conflict, ConflictOver, OwnersChanged, PeersChanged
from heraldlb.speaker.clients import Clients, Update
from heraldlb.speaker.courier import Courier
from heraldlb.speaker.defence import Defences
from heraldlb.speaker.desired import Desired
from heraldlb.speaker.ethernet import format_mac
from heraldlb.speaker.links import LinkMonitor
from heraldlb.speaker.membership import Verdict
from heraldlb.speaker.messages import Message
from heraldlb.speaker.ownership import NOTHING_ASSIGNED, Assignment, Placement, changes, owner_changes
from heraldlb.speaker.pacing import AnnouncementSchedule
from heraldlb.speaker.polling import Poller
from heraldlb.speaker.port import Lane, Port
from heraldlb.speaker.probing import Probing
from heraldlb.speaker.responder import Claim
from heraldlb.speaker.settings import SpeakerSettings
from heraldlb.speaker.stats import AddressCounters, Counters, SpeakerStats, SpeakerView

log = logging.getLogger(__name__)

OnChange = Callable[[Change], None]


clock: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
"""Seconds that go on while the machine is suspended, so that a node that was notices."""


class Loop:
    """Opens everything when made, in the thread and network namespace that make it; `run` closes everything.

    Raises OSError if the membership port is taken, netlink cannot be read or CAP_NET_RAW is missing.
    """

    def __init__(self, settings: SpeakerSettings, on_change: OnChange) -> None:
        self._settings = settings
        self._on_change = on_change
        self.turned = clock()
        self._counters = Counters()
        self._agreement = Agreement(settings, time.time_ns(), self.turned)
        self._schedule: AnnouncementSchedule[IPAddress] = AnnouncementSchedule()
        self._clients = Clients()
        self._defences = Defences()
        self._probing = Probing()
        # The assignment without what is still under trial: what LAN and agent know of.
        self._shown = NOTHING_ASSIGNED
        self._agent_macs: frozenset[bytes] = frozenset()
        self._owners = OwnersChanged({}, {})
        self._ports: dict[int, Port] = {}
        self._broken: set[int] = set()

        self._inbox: Desired | None = None
        self._leave_asked = False
        self._leave_at: float | None = None
        self._stopped = False

        # Not `selectors`: its bookkeeping takes longer than an answer.
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[float], None]] = {}
        self._lanes: dict[int, tuple[Lane, Port]] = {}
        self._wake, self._woken = socket.socketpair()
        self._wake.setblocking(False)
        self._woken.setblocking(False)
        self._links = LinkMonitor()
        self._courier = Courier(settings, self._counters)
        self._poller = Poller(self._counters)
        self._watch(self._woken.fileno(), self._on_wake)
        self._watch(self._links.fileno(), self._on_links)
        for each in self._courier.sockets:
            self._watch(each.fileno(), partial(self._on_messages, each))
        self._agreement.use(self._links.links())
        self._due = self.turned

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
        known = self._agreement
        return self._counters.read(
            known.standing,
            len(known.peers),
            len(known.alive),
            known.elections,
            peers_lost=known.peers_lost,
            missed=known.heartbeats_missed,
        )

    def view(self) -> SpeakerView:
        """What the counters do not tell."""
        known, shown = self._agreement, self._shown
        placements = {address: shown.placement(address) for address in shown.placements()}
        return SpeakerView(
            clock(),
            tuple(offer.name for offer in known.offered),
            tuple(known.seen()),
            dict(self._courier.addresses),
            {address: at.interface for address, at in placements.items() if at is not None},
            self._links.links(),
        )

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
        ready = self._epoll.poll(max(0.0, self._due - clock()))
        now = self.turned = clock()
        # Where only frames came, nothing stands between a question and its answer.
        eventful = now >= self._due or now >= self._agreement.answer_until
        for descriptor, _ in ready:
            eventful = eventful or descriptor not in self._lanes
        if eventful:
            self._attend([descriptor for descriptor, _ in ready], now)
        for descriptor, _ in ready:
            # Closed meanwhile: what is still in its socket is nobody's to answer.
            if (lane := self._lanes.get(descriptor)) is not None:
                self._on_frames(*lane)

    def _attend(self, descriptors: Iterable[int], now: float) -> None:
        """Take in everything but frames, decide, probe and announce what is due."""
        undecided = now >= self._due
        if now >= self._agreement.answer_until:
            self._fence(now)
            undecided = True
        for descriptor in descriptors:
            if (handler := self._handlers.get(descriptor)) is not None:
                handler(now)
        # Most heartbeats say nothing new.
        undecided = undecided or now >= self._agreement.deadline
        if undecided:
            self._decide(now)
        if self._probing.next_due() is not None:
            self._probe(clock())
        # What this turn has taken is announced before any question about it is answered.
        announced = [
            address
            for address in self._schedule.due(clock(), constants.ANNOUNCEMENTS_PER_TURN)
            if self._announce(address)
        ]
        for update in self._clients.due(clock(), constants.UPDATES_PER_TURN):
            self._update(update)
        for peer, clients in self._clients.letters(clock()):
            if peer in self._agreement.peers:
                self._courier.send(peer, replace(self._agreement.answer_to(peer, now), clients=clients))
        # Who hears of a claim stops answering: the LAN must know of this node before.
        if announced or undecided:
            self._agreement.announced(announced, now)
            for peer, message in self._agreement.letters(now):
                self._courier.send(peer, message)
        self._due = self._deadline()

    def _watch(self, descriptor: int, handler: Callable[[float], None]) -> None:
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, select.EPOLLIN)

    def _deadline(self) -> float:
        due = self._agreement.deadline
        for other in (
            self._schedule.next_due(),
            self._clients.next_due(),
            self._probing.next_due(),
            self._leave_at,
        ):
            if other is not None and other < due:
                due = other
        return due

    # Events.

    def _on_wake(self, now: float) -> None:
        self._woken.recv(4_096)
        inbox, self._inbox = self._inbox, None
        if inbox is not None:
            self._courier.reach(inbox.peers)
            self._agreement.apply(inbox, now)
            self._probing.apply(inbox.addresses)
        if self._leave_asked and self._leave_at is None:
            self._begin_leave(now)

    def _on_links(self, now: float) -> None:
        if self._links.read():
            self._broken.clear()
            self._use_links()

    def _on_messages(self, source: socket.socket, now: float) -> None:
        for message in self._courier.receive(source, now):
            receipt = self._agreement.receive(message, now)
            if receipt.round_trip is not None:
                self._counters.measured(receipt.round_trip)
            if receipt.verdict is not Verdict.ACCEPTED:
                self._counters.refuse(receipt.verdict, now)
            else:
                self._counters.messages[receipt.verdict] += 1
                if message.claims or message.shares or message.clients:
                    self._learn(message)
            if receipt.answer:
                self._courier.send(message.sender, self._agreement.answer_to(message.sender, now))

    def _learn(self, message: Message) -> None:
        """What a peer says of addresses beyond the agreement."""
        for address in (*message.claims, *(each for each, does in message.shares.items() if does)):
            self._probing.prove(address)
        for sighting in message.clients:
            self._clients.seen(*sighting)

    def _on_frames(self, lane: Lane, port: Port) -> None:
        for claim in lane.serve(clock, self._agreement.answer_until):
            self._on_claim(port, claim, clock())
            self._due = self._deadline()

    def _answer_what_waits(self) -> None:
        """Before addresses are given up: what was asked until now may have come too early for their next owner."""
        for lane, port in self._lanes.values():
            for claim in lane.serve(clock, self._agreement.answer_until):
                if self._agreement.assignment.placement(claim.address) is not None:
                    self._on_claim(port, claim, clock())

    def _on_claim(self, port: Port, claim: Claim, now: float) -> None:
        by_agent = claim.mac in self._agent_macs
        if claim.address in self._probing:
            if not by_agent:
                self._probing.claimed(claim.address, claim.mac, now)
        # Agents settle it between them; an announcement would take the clients back from a new owner.
        elif (
            self._defences.claimed(claim.address, claim.mac, by_agent=by_agent, now=now)
            and not self._agreement.contest(claim.address, claim.mac)
            and self._leave_at is None
        ):
            if claim.address in self._shown.shares:
                self._clients.renew(claim.address, now)
            else:
                port.announce(claim.address)

    # Decisions.

    def _fence(self, now: float) -> None:
        before, outlook = self._agreement.assignment, self._agreement.outlook
        self._agreement.fence(now)
        if self._agreement.outlook != outlook:
            self._tell(PeersChanged(self._agreement.outlook))
        self._counters.fenced += 1
        log.warning("this process was away too long: owning nothing until peers are heard")
        if self._leave_at is not None:
            self._leave_at = now
        self._carry_out(before, self._agreement.assignment)

    def _decide(self, now: float) -> None:
        standing = self._agreement.standing
        if self._agreement.step(now):
            self._beat(now)
        if self._agreement.standing is not standing:
            log.info("standing: %s, was %s", self._agreement.standing.name, standing.name)
        before, outlook = self._agreement.assignment, self._agreement.outlook
        after = self._agreement.elect(now)
        if self._agreement.outlook != outlook:
            self._tell(PeersChanged(self._agreement.outlook))
        if after is not before:
            if before.owned.keys() - after.owned.keys():
                self._answer_what_waits()
            self._carry_out(before, after)
        for address in self._agreement.to_announce_again():
            self._schedule.start(address, now)
        if self._leave_at is not None and (now >= self._leave_at or not (after.owned or after.shares)):
            self._stopped = True

    def _carry_out(self, before: Assignment, after: Assignment) -> None:
        """Make trials, ports, schedules and the agent's knowledge agree with the assignment."""
        stations = self._agreement.agent_macs()
        self._agent_macs = frozenset().union(*stations.values())
        owners = OwnersChanged(
            after.owners, {name: frozenset(map(format_mac, macs)) for name, macs in stations.items()}
        )
        if owners != self._owners:
            self._owners = owners
            self._tell(owners)
        self._counters.owner_changes += owner_changes(before, after)
        now = clock()
        for address in before.owned.keys() - after.owned.keys():
            if self._probing.stop(address):
                self._tell(ConflictOver(address))
        for address, placement in after.owned.items():
            moved = before.owned.get(address) != placement
            if moved and address not in self._shown.owned and self._probing.needs(address):
                self._probing.start(address, now)
        self._show(after)

    def _show(self, assignment: Assignment) -> None:
        """Announce and answer for what is owned and under trial no more."""
        owned = {address: at for address, at in assignment.owned.items() if address not in self._probing}
        before, after = self._shown, replace(assignment, owned=owned)
        self._shown = after
        self._arrange_ports(assignment)
        now = clock()
        self._clients.share(after.shares, now)
        for address in before.owned.keys() - after.owned.keys():
            self._schedule.stop(address)
            if self._defences.released(address):
                self._tell(ConflictOver(address))
        for address, placement in after.owned.items():
            if address not in before.owned:
                # What it knew of claims as one of several sharers it told nobody.
                self._defences.released(address)
            # Where nobody shares it any more everybody comes here, also who never asked in this node's hearing.
            alone = before.sharers(address) and not after.sharers(address)
            if before.owned.get(address) != placement or alone:
                self._schedule.start(address, now)
        self._count(before, after)
        for change in changes(before, after, time.time()):
            self._tell(change)

    def _count(self, before: Assignment, after: Assignment) -> None:
        """Keep counters for what is answered for, alone or with others, and for nothing else."""
        counted = self._counters.addresses
        for address in before.placements() - after.placements():
            counted.pop(address, None)
        for address in after.placements() - before.placements():
            counted.setdefault(address, AddressCounters(since=clock()))
        for address in before.shares.keys() | after.shares.keys():
            if (counters := counted.get(address)) is not None:
                counters.sharers = len(after.shares[address].sharers) if address in after.shares else 1

    def _arrange_ports(self, assignment: Assignment) -> None:
        wanted: dict[Placement, list[IPAddress]] = {}
        shared = {address: share.placement for address, share in assignment.shares.items()}
        for address, placement in (shared | dict(assignment.owned)).items():
            wanted.setdefault(placement, []).append(address)
        for port in list(self._ports.values()):
            if port.placement not in wanted:
                self._close_port(port)
        for placement, addresses in wanted.items():
            try:
                if placement.index not in self._ports:
                    self._open_port(placement)
                probed = {address for address in addresses if address in self._probing}
                answered = [address for address in addresses if address not in probed]
                self._ports[placement.index].own(answered, probed, assignment.shares)
            except OSError as error:
                # Others can serve what this interface cannot, once they hear that it is not offered.
                log.warning("leaving out %s until an interface changes: %s", placement.interface, error)
                self._broken.add(placement.index)
                self._use_links()

    def _use_links(self) -> None:
        self._agreement.use(link for link in self._links.links() if link.index not in self._broken)

    def _open_port(self, placement: Placement) -> None:
        port = self._ports[placement.index] = Port(placement, self._counters, self._clients)
        for lane in port.lanes:
            self._lanes[lane.fileno()] = (lane, port)
            self._epoll.register(lane, select.EPOLLIN)

    def _close_port(self, port: Port) -> None:
        del self._ports[port.placement.index]
        for lane in port.lanes:
            self._epoll.unregister(lane)
            del self._lanes[lane.fileno()]
        port.close()

    # Going out.

    def _beat(self, now: float) -> None:
        for peer in self._agreement.beat(now):
            self._courier.send(peer, self._agreement.message_to(peer, now))
            self._poll(peer)
        # Of what is shared, its owner tells.
        for address, mac in self._defences.strangers(now, self._agent_macs):
            if address in self._shown.owned:
                self._tell(self._conflict(address, mac))
        for address in self._defences.over(now, self._agent_macs):
            if address in self._shown.owned:
                self._tell(ConflictOver(address))

    def _poll(self, peer: str) -> None:
        offers = self._agreement.polls(peer)
        address = self._courier.addresses.get(peer)
        if offers is not None and address is not None:
            self._poller.poll(address, *offers)

    def _probe(self, now: float) -> None:
        found = self._probing.step(now, self._agent_macs, constants.PROBES_PER_TURN)
        for address in found.probe:
            if (port := self._port_of(address)) is not None:
                port.probe(address)
        for address, mac in found.taken:
            self._counters.probe_conflicts += 1
            self._tell(self._conflict(address, mac))
        for address in found.relieved:
            self._tell(ConflictOver(address))
        if found.free:
            self._show(self._agreement.assignment)

    def _conflict(self, address: IPAddress, mac: bytes) -> Conflict:
        port = self._port_of(address)
        interface = port.placement.interface if port is not None else ""
        return Conflict(address, format_mac(mac), interface, announced=address not in self._probing)

    def _announce(self, address: IPAddress) -> bool:
        """Whether it was announced, and not given up meanwhile or under trial.

        An announcement would draw everybody's clients here: while others share them, they are told one by one.
        """
        port = self._port_of(address) if address in self._shown.owned else None
        if port is not None and not self._shown.sharers(address):
            port.announce(address)
        return port is not None

    def _update(self, update: Update) -> None:
        port = self._port_of(update.address)
        if port is None:
            return
        here = update.owner == self._settings.node_name
        mac = port.placement.mac if here else self._agreement.station_of(update.owner, update.address)
        if mac is not None:
            port.update(update, mac)
            self._counters.client_updates += 1

    def _port_of(self, address: IPAddress) -> Port | None:
        placement = self._agreement.assignment.placement(address)
        return self._ports.get(placement.index) if placement is not None else None

    def _tell(self, change: Change) -> None:
        try:
            self._on_change(change)
        except Exception:
            log.exception("the receiver of %s failed", change)

    # The end.

    def _begin_leave(self, now: float) -> None:
        """Go on answering until others, told at once, have announced."""
        self._agreement.leave(now)
        for _ in range(constants.LEAVE_COPIES):
            self._beat(now)
        for address in self._agreement.assignment.owned:
            self._schedule.stop(address)
        self._leave_at = now + self._settings.leave_linger

    def _close(self) -> None:
        for port in list(self._ports.values()):
            self._close_port(port)
        self._epoll.close()
        self._links.close()
        self._courier.close()
        self._poller.close()
        self._wake.close()
        self._woken.close()
        before = self._agreement.assignment
        now = clock()
        self._agreement.leave(now)
        self._carry_out(before, self._agreement.relinquish(now))
