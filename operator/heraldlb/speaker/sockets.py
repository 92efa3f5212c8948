"""The kernel's sockets, opened as the speaker needs them. Everything here is non-blocking."""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import IPv6Address

from heraldlb.speaker.bpf import INSTRUCTION, Pattern, Range, assemble
from heraldlb.speaker.constants import GROUPS_PER_SOCKET, PACKET_BUFFER
from heraldlb.speaker.ndp import multicast_mac

_NO_FRAMES = Pattern((), ())

_SO_ATTACH_FILTER = 26
_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP = 1
_PACKET_DROP_MEMBERSHIP = 2
_PACKET_MR_MULTICAST = 0
# Heartbeats are network control traffic: class selector 6 (RFC 2474 section 4.2.2), as routing protocols use.
_CLASS_SELECTOR_6 = 0xC0
# TC_PRIO_INTERACTIVE, the first band of the kernel's own queues: a full link delays no heartbeat and no answer.
_INTERACTIVE = 6


def open_packet_socket(interface: str, ethertype: int) -> socket.socket:
    """An AF_PACKET socket that sends on one interface, and receives there what is let in. Raises OSError.

    Protocol 0 until a filter is in place, so that not one frame slips past it.
    """
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    try:
        attach_filter(opened, _NO_FRAMES, ())
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PACKET_BUFFER)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _INTERACTIVE)
        opened.bind((interface, ethertype))
    except OSError:
        opened.close()
        raise
    return opened


def attach_filter(opened: socket.socket, pattern: Pattern, ranges: Sequence[Range]) -> None:
    """From now on let only these frames reach the socket (see `bpf.assemble`). Raises OSError."""
    program = assemble(pattern, ranges)
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions and a pointer to them.
    request = struct.pack("@HP", len(program) // INSTRUCTION.size, ctypes.addressof(instructions))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, request)


def open_membership_sockets(port: int) -> dict[int, socket.socket]:
    """UDP sockets at `port` of all local addresses, keyed by IP version; 6 is missing where the kernel has no IPv6.

    Raises OSError if the port is taken.
    """
    sockets = {4: _open_udp(socket.AF_INET, port)}
    if socket.has_ipv6:
        with suppress(OSError):
            sockets[6] = _open_udp(socket.AF_INET6, port)
    return sockets


class MulticastGroups:
    """IPv6 multicast groups joined on one interface.

    Joined twice. Through a UDP socket, so that the kernel reports them (MLDv2, RFC 3810) and switches that
    snoop forward the group to this port; through the packet socket, so that the interface listens even where
    the kernel has IPv6 switched off.
    """

    def __init__(self, index: int, packet_socket: socket.socket) -> None:
        self._index = index
        self._packet_socket = packet_socket
        self._joined: dict[IPv6Address, socket.socket | None] = {}

    def set(self, groups: frozenset[IPv6Address]) -> None:
        """Be in these groups and no others."""
        for group in self._joined.keys() - groups:
            self._leave(group)
        for group in groups - self._joined.keys():
            self._join(group)

    def close(self) -> None:
        """Leave all groups. The packet socket is its owner's to close."""
        self.set(frozenset())

    def _join(self, group: IPv6Address) -> None:
        self._packet_socket.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, self._packet_request(group))
        self._joined[group] = None
        with suppress(OSError):
            carrier = self._socket_with_room()
            carrier.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, self._group_request(group))
            self._joined[group] = carrier

    def _leave(self, group: IPv6Address) -> None:
        carrier = self._joined.pop(group)
        # The interface may be gone, and its memberships with it.
        with suppress(OSError):
            self._packet_socket.setsockopt(_SOL_PACKET, _PACKET_DROP_MEMBERSHIP, self._packet_request(group))
        if carrier is not None:
            with suppress(OSError):
                carrier.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_LEAVE_GROUP, self._group_request(group))
            if carrier not in self._joined.values():
                carrier.close()

    def _socket_with_room(self) -> socket.socket:
        used = [each for each in self._joined.values() if each is not None]
        for carrier in set(used):
            if used.count(carrier) < GROUPS_PER_SOCKET:
                return carrier
        return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)

    def _packet_request(self, group: IPv6Address) -> bytes:
        return struct.pack("@iHH8s", self._index, _PACKET_MR_MULTICAST, 6, multicast_mac(group))

    def _group_request(self, group: IPv6Address) -> bytes:
        return group.packed + struct.pack("@i", self._index)


def _open_udp(family: int, port: int) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _CLASS_SELECTOR_6)
            opened.bind(("::", port))
        else:
            opened.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _CLASS_SELECTOR_6)
            opened.bind(("", port))
        # Not before: the type of service brings a priority along.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _INTERACTIVE)
    except OSError:
        opened.close()
        raise
    return opened
