"""Asks peers that fell silent for their hardware addresses, as often as heartbeats go to them.

The kernel asks for a neighbour that does not answer by broadcast, once a second
(net.ipv4.neigh.default.retrans_time_ms), and holds back what is to go there until it knows. So after a cut of some
seconds the first heartbeat across could be as late, and two nodes would answer for an address all that time.

A poll goes to the hardware address that the peer offered last. The answer is the kernel's to take in; and the
peer's kernel learns from the question where this node is, so that one poll that arrives opens both directions.

The kernel's own entries are left alone: what else this node sends to a dead one fails as it always does, and a peer
that came back with another hardware address is found as ever, by its own polls at the latest.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from heraldlb.api.announcements import ANY_INTERFACE
from heraldlb.api.ranges import IPAddress
from heraldlb.speaker import arp, ndp
from heraldlb.speaker.ethernet import decode_header
from heraldlb.speaker.interfaces import Offer, interface_for
from heraldlb.speaker.stats import Counters

# Of the discard service (RFC 863); nothing is sent there.
_ANY_PORT: Final = 9


class Poller:
    """A packet socket to ask through. Raises OSError: the process lacks CAP_NET_RAW."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        # Protocol 0: it receives nothing.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)

    def poll(self, address: IPAddress, theirs: Iterable[Offer], ours: Iterable[Offer]) -> None:
        """Ask the peer at `address` that offered `theirs` last, if it is a neighbour on an interface of `ours`."""
        station = interface_for(address, ANY_INTERFACE, theirs)
        via = interface_for(address, ANY_INTERFACE, ours)
        if station is None or via is None:
            return
        try:
            frame = _question(address, station.mac, via.mac)
            self._socket.sendto(frame, (via.name, decode_header(frame).ethertype))
        except OSError:
            self._counters.send_errors += 1

    def close(self) -> None:
        """Ask no more."""
        self._socket.close()


def _question(address: IPAddress, station: bytes, mac: bytes) -> bytes:
    if isinstance(address, IPv4Address):
        return arp.poll(address, station, IPv4Address(_source(socket.AF_INET, address)), mac)
    return ndp.poll(address, station, IPv6Address(_source(socket.AF_INET6, address)), mac)


def _source(family: int, address: IPAddress) -> str:
    """The address that the kernel would send from. Raises OSError where it knows no way there."""
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect((str(address), _ANY_PORT))
        own: str = asking.getsockname()[0]
        return own
