"""Asks the hosts of one link whether they have addresses: the rim of `neighbours`, with sockets of its own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from heraldlb.api.ranges import IPAddress
from heraldlb.examination.facts import LinkFacts
from heraldlb.examination.neighbours import claim, question
from heraldlb.examination.survey import Answerer
from heraldlb.speaker.bpf import ARP_PATTERN, NDP_PATTERN, cover
from heraldlb.speaker.constants import FILTER_RANGES
from heraldlb.speaker.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV6, format_mac, parse_mac
from heraldlb.speaker.sockets import attach_filter, open_packet_socket

ROUNDS: Final = 3
"""Times that an address is asked for, as RFC 5227 section 1.1 has it (PROBE_NUM): frames get lost."""

PACE: Final = 0.005
"""Seconds between two questions on a link, which has at most 200 of them a second."""

MAX_STATIONS: Final = 4
"""Told of one address. Bounds what a host that forges answers can have told."""

PAUSE: Final = 0.3
"""Seconds after each round for answers to come. Most take a millisecond; hosts that save power, some more."""

_LARGEST: Final = 2_048
_FRAMES_AT_ONCE: Final = 64

_Heard = Callable[[IPAddress, bytes], None]

_LANES: Final = {4: (ETHERTYPE_ARP, ARP_PATTERN), 6: (ETHERTYPE_IPV6, NDP_PATTERN)}


async def probe(link: LinkFacts, addresses: Collection[IPAddress]) -> frozenset[Answerer]:
    """Every station on the link that has one of these addresses. Who has answered is not asked again.

    Takes a second, and for each hundred addresses one and a half more. Raises OSError.
    """
    mac = parse_mac(link.mac)
    found: dict[IPAddress, set[bytes]] = {address: set() for address in addresses}

    def heard(address: IPAddress, station: bytes) -> None:
        stations = found.get(address)
        if stations is not None and station != mac and len(stations) < MAX_STATIONS:
            stations.add(station)

    with ExitStack() as stack:
        lanes = {
            version: stack.enter_context(_lane(link.name, version, addresses, heard))
            for version in {each.version for each in addresses}
        }
        for _ in range(ROUNDS):
            for address in addresses:
                if not found[address]:
                    lanes[address.version].send(question(address, mac))
                    await asyncio.sleep(PACE)
            await asyncio.sleep(PAUSE)
    return frozenset(
        Answerer(address, format_mac(station), link.name)
        for address, stations in found.items()
        for station in stations
    )


@contextmanager
def _lane(link: str, version: int, addresses: Collection[IPAddress], heard: _Heard) -> Iterator[socket.socket]:
    """A socket to ask through, whose answers about those of the addresses that are of this IP version are heard."""
    ethertype, pattern = _LANES[version]
    words = (int(each) & 0xFFFF_FFFF for each in addresses if each.version == version)
    loop = asyncio.get_running_loop()
    with open_packet_socket(link, ethertype) as opened:
        # Who asks from no address of its own is answered to all nodes (RFC 4861 section 7.2.4), whose group the
        # kernel is in wherever it has an IPv6 network.
        attach_filter(opened, pattern, cover(words, FILTER_RANGES))
        loop.add_reader(opened, _read, opened, heard)
        try:
            yield opened
        finally:
            loop.remove_reader(opened)


def _read(opened: socket.socket, heard: _Heard) -> None:
    for _ in range(_FRAMES_AT_ONCE):
        try:
            frame = opened.recv(_LARGEST)
        except OSError:
            # Nothing left, or the link went down: then sending says so.
            return
        if (claimed := claim(frame)) is not None:
            heard(*claimed)
