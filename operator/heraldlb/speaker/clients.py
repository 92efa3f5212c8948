"""The clients of shared addresses that this node knows of, and what they are told when they move. No I/O.

Every sharer sees who asks everybody (broadcast ARP requests, solicitations to the solicited-node group), and what a
node that comes has missed the others tell it: each of its own clients. So whoever comes to own a client knows it,
and tells it. So does the node that the client belonged to, if that still lives."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.constants import (
    CLIENTS_INTERVAL,
    CLIENTS_PER_MESSAGE,
    MAX_CLIENTS,
    MAX_CLIENTS_PER_ADDRESS,
    UPDATE_AFTER,
)
from heraldlb.speaker.messages import Sighting
from heraldlb.speaker.ownership import Share
from heraldlb.speaker.pacing import AnnouncementSchedule

_Key = tuple[IPAddress, bytes]


@dataclass(frozen=True, slots=True)
class Update:
    """The client at `station`, which asked as `host`, is to learn that the address is at the node `owner`."""

    address: IPAddress
    station: bytes
    host: IPAddress
    owner: str


class Clients:
    """Times are seconds on one clock of the caller's."""

    def __init__(self, most_per_address: int = MAX_CLIENTS_PER_ADDRESS, most: int = MAX_CLIENTS) -> None:
        self._most_per_address = most_per_address
        self._most = most
        self._shares: Mapping[IPAddress, Share] = {}
        self._seen: dict[IPAddress, OrderedDict[bytes, IPAddress]] = {}
        self._count = 0
        self._own: AnnouncementSchedule[_Key] = AnnouncementSchedule(UPDATE_AFTER)
        self._passed_on: AnnouncementSchedule[_Key] = AnnouncementSchedule(UPDATE_AFTER, refresh=False)
        self._untold: dict[str, deque[_Key]] = {}
        self._tell_at = 0.0

    def __len__(self) -> int:
        """How many are remembered."""
        return self._count

    def seen(self, address: IPAddress, station: bytes, host: IPAddress) -> None:
        """A client asked for the address, here or elsewhere, from `host`. An address not shared is passed over."""
        clients = self._seen.get(address)
        if clients is None:
            return
        if station in clients:
            clients.move_to_end(station)
        else:
            if len(clients) >= self._most_per_address or self._count >= self._most:
                # An address whose clients are forged loses its own. One that has none takes from the fullest.
                self._forget_oldest(address if clients else max(self._seen, key=lambda a: len(self._seen[a])))
            self._count += 1
        clients[station] = host

    def share(self, shares: Mapping[IPAddress, Share], now: float) -> None:
        """These are this node's shares from here on: tell the clients that have moved to it, or from it."""
        before, self._shares = self._shares, shares
        for address in self._seen.keys() - shares.keys():
            for station in list(self._seen[address]):
                self._forget(address, station)
            del self._seen[address]
        present = {name for share in shares.values() for name in share.sharers}
        self._untold = {name: untold for name, untold in self._untold.items() if name in present}
        for address, share in shares.items():
            clients = self._seen.setdefault(address, OrderedDict())
            former = before.get(address)
            if former is None or former.sharers == share.sharers:
                continue
            self._introduce(former, share)
            for station in clients:
                was, comes = former.owner(station), share.owner(station)
                if comes == share.me != was:
                    self._passed_on.stop((address, station))
                    self._own.start((address, station), now)
                elif was == share.me != comes:
                    self._own.stop((address, station))
                    self._passed_on.start((address, station), now)

    def renew(self, address: IPAddress, now: float) -> None:
        """Tell this node's own clients of the address anew: somebody else has claimed it."""
        share = self._shares.get(address)
        for station in self._seen.get(address, ()):
            if share is not None and share.owner(station) == share.me:
                self._own.start((address, station), now)

    def due(self, now: float, limit: int) -> Iterator[Update]:
        """Up to `limit` of each kind to send now: to own clients, and to those that were."""
        for address, station in (*self._own.due(now, limit), *self._passed_on.due(now, limit)):
            host = self._seen[address][station]
            yield Update(address, station, host, self._shares[address].owner(station))

    def letters(self, now: float) -> Iterator[tuple[str, tuple[Sighting, ...]]]:
        """Which clients to tell which other sharers of now."""
        if now < self._tell_at or not self._untold:
            return
        self._tell_at = now + CLIENTS_INTERVAL
        for peer, untold in list(self._untold.items()):
            part = [untold.popleft() for _ in range(min(len(untold), CLIENTS_PER_MESSAGE))]
            known = [(address, station) for address, station in part if station in self._seen.get(address, ())]
            if not untold:
                del self._untold[peer]
            if known:
                yield peer, tuple((address, station, self._seen[address][station]) for address, station in known)

    def next_due(self) -> float | None:
        """When `due` or `letters` has something, or None. May be early by a client that was forgotten."""
        times = (self._own.next_due(), self._passed_on.next_due(), self._tell_at if self._untold else None)
        return min((each for each in times if each is not None), default=None)

    def _introduce(self, former: Share, share: Share) -> None:
        """Have those who come learn of this node's own clients; and if this node goes, everybody who stays."""
        learners = share.sharers - {share.me} if share.former else share.sharers - former.sharers
        own = [(share.address, each) for each in self._seen[share.address] if former.owner(each) == share.me]
        for peer in learners if own else ():
            self._untold.setdefault(peer, deque()).extend(own)

    def _forget_oldest(self, address: IPAddress) -> None:
        self._forget(address, next(iter(self._seen[address])))

    def _forget(self, address: IPAddress, station: bytes) -> None:
        del self._seen[address][station]
        self._count -= 1
        self._own.stop((address, station))
        self._passed_on.stop((address, station))
