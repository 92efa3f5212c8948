"""The tunnel to nodes that share no link with this one, as it should be (VXLAN, RFC 7348). Pure.

Every node derives the same from the Nodes' addresses, so that nothing is negotiated: a node's hardware address in
the tunnel from its InternalIP, and from those two the addresses that stand for it as a next hop. These never leave
the node; no packet carries them. Nobody is learned or asked for, so there is neither flooding nor ARP.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2s
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from heraldlb.api.nodes import Node
from heraldlb.api.ranges import FAMILIES, Family, IPAddress
from heraldlb.api.services import first_of_family

MAX_ID: Final = (1 << 24) - 1

DEVICE: Final = "heraldlb-vxlan"

DEFAULT_PORT: Final = 7948
"""UDP port, next to that of heartbeats; Calico's is 4789, Flannel's and Cilium's 8472."""
DEFAULT_ID: Final = 7948
"""VXLAN network identifier."""

OWN_ADDRESS: Final = IPv4Address("192.0.0.8")
"""The dummy address of RFC 7600. Without any IPv4 address on a link, loose reverse path filters fail, too."""

OVERHEAD: Final[Mapping[Family, int]] = {"IPv4": 50, "IPv6": 70}
"""Octets that the tunnel adds to a packet, by the family that it runs over: inner Ethernet, VXLAN, UDP and IP."""

JUMBO: Final = 9_216
"""Octets of the largest packet that a tunnel over IPv4 takes."""

MIN_MTU: Final = 1_280
"""Below it the kernel has no IPv6 on a link (RFC 8200, section 5)."""

_HEADERS: Final[Mapping[Family, int]] = {"IPv4": 40, "IPv6": 60}
"""IP and TCP without options."""

_CLASS_E: Final = 0xF000_0000
"""240.0.0.0/4, which nobody routes: gateways are in it, each with a route of its own that shadows nothing else."""


@dataclass(frozen=True, slots=True)
class TunnelSettings:
    """Validated when made: raises ValueError, whose message names the setting and what to write instead."""

    port: int = DEFAULT_PORT
    """UDP port at which every node takes what comes through the tunnel."""
    id: int = DEFAULT_ID
    """VXLAN network identifier."""

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65_535:
            raise ValueError(f"tunnel port {self.port} is not a UDP port: write 1 to 65535")
        if not 1 <= self.id <= MAX_ID:
            raise ValueError(f"tunnel id {self.id} is not a VXLAN network identifier: write 1 to {MAX_ID}")


@dataclass(frozen=True, slots=True)
class Peer:
    """Another node at the far end."""

    underlay: IPAddress
    """Where the tunnel's own packets to it go."""
    mac: str
    gateways: Mapping[Family, IPAddress]
    """What stands for it as a next hop, on this node only."""


@dataclass(frozen=True, slots=True)
class Tunnel:
    """A VXLAN device with all that it knows."""

    local: IPAddress
    """Where its own packets come from."""
    mac: str
    port: int
    id: int
    mtu: int
    """Octets. Over IPv4 more than any link takes, since what is too long goes in fragments of the outer packet and
    the client learns nothing of it. Over IPv6 the kernel does not make them: then what fits one packet, and the
    client is told (RFC 8201)."""
    peers: tuple[Peer, ...]


def underlay_family(nodes: Iterable[Node]) -> Family:
    """What the tunnel runs over: IPv4, unless only IPv6 reaches every node."""
    counts = dict.fromkeys(FAMILIES, 0)
    for node in nodes:
        for family in FAMILIES:
            counts[family] += first_of_family(node.internal_ips, family) is not None
    return "IPv6" if counts["IPv6"] > counts["IPv4"] else "IPv4"


def mac_of(underlay: IPAddress) -> str:
    """The hardware address in the tunnel of the node that has this InternalIP: a locally administered one."""
    return bytes((2, *blake2s(underlay.packed, digest_size=5, person=b"heraldlb").digest())).hex(":")


def peer_at(underlay: IPAddress) -> Peer:
    """The node of this InternalIP, seen from another."""
    mac = mac_of(underlay)
    octets = bytes.fromhex(mac.replace(":", ""))
    interface_id = bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]))
    gateways: dict[Family, IPAddress] = {
        "IPv4": IPv4Address(_CLASS_E | int(underlay) & ~_CLASS_E & 0xFFFF_FFFF),
        "IPv6": IPv6Address(b"\xfe\x80" + bytes(6) + interface_id),
    }
    return Peer(underlay, mac, gateways)


def tunnel_between(
    local: IPAddress, others: Iterable[IPAddress], underlay_mtu: int, settings: TunnelSettings
) -> Tunnel:
    """The tunnel from one InternalIP to others of the same family. `underlay_mtu`: octets, of the links it uses.

    Of nodes whose addresses agree in their last 28 bits only the first has a gateway, and is a peer.
    """
    peers: dict[IPAddress, Peer] = {}
    for other in sorted(others, key=int):
        peer = peer_at(other)
        peers.setdefault(peer.gateways["IPv4"], peer)
    mtu = JUMBO if local.version == 4 else underlay_mtu - OVERHEAD["IPv6"]
    return Tunnel(local, mac_of(local), settings.port, settings.id, mtu, tuple(peers.values()))


def segment_size(family: Family, underlay: Family, underlay_mtu: int) -> int:
    """The largest TCP payload, in octets, that passes the tunnel in one piece."""
    return underlay_mtu - OVERHEAD[underlay] - _HEADERS[family]
