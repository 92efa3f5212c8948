"""How a packet gets to each other node: to a neighbour on the link, or else through the tunnel. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from heraldlb.api.nodes import Node
from heraldlb.api.ranges import FAMILIES, Family, IPAddress
from heraldlb.api.services import first_of_family
from heraldlb.forwarding.detour import Hop
from heraldlb.forwarding.overlay import (
    Tunnel,
    TunnelSettings,
    mac_of,
    segment_size,
    tunnel_between,
    underlay_family,
)

_ORDINARY_MTU = 1_500
"""Octets, where no route says."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What this node's routes and neighbour tables say about a host."""

    interface: int
    """Index of the interface that packets to it leave by."""
    on_link: bool
    """On the link of that interface, not behind a router."""
    mtu: int
    """Octets."""
    mac: str = ""
    """As `02:00:00:00:00:01`; empty where it is not known (yet), or the host is not on the link."""


@dataclass(frozen=True, slots=True)
class Pathways:
    """To all other nodes that can be reached, whether they are alive or not."""

    hops: Mapping[tuple[str, Family], Hop] = field(default_factory=dict)
    """By node's name and the packet's family; what comes back the same way bears one of the `macs`."""
    macs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Every hardware address that packets from a node may bear, by its name, on the link or out of the tunnel."""
    unresolved: frozenset[str] = frozenset()
    """Neighbours whose hardware address is not known yet; they have no hop."""


def beyond(
    me: str, nodes: Iterable[Node], reach: Mapping[IPAddress, Reach], families: Collection[Family]
) -> set[str]:
    """The names of the other nodes that share no link with this one in some of these families."""
    return {
        node.name
        for node in nodes
        if node.name != me and any(_neighbour(node, family, reach) is None for family in families)
    }


def tunnel_to(
    me: Node,
    nodes: Collection[Node],
    far: Collection[str],
    reach: Mapping[IPAddress, Reach],
    settings: TunnelSettings,
) -> Tunnel | None:
    """The tunnel to the `far` ones; None where nobody can be reached through it."""
    underlay = underlay_family(nodes)
    local = first_of_family(me.internal_ips, underlay)
    others = {
        address
        for node in nodes
        if node.name in far and (address := first_of_family(node.internal_ips, underlay)) is not None
    }
    if local is None or not others:
        return None
    return tunnel_between(local, others, _mtu(others, reach), settings)


def segment_sizes(
    tunnel: Tunnel, reach: Mapping[IPAddress, Reach], families: Iterable[Family]
) -> dict[Family, int]:
    """The TCP segments that clients may be told to send, lest they need fragments in the tunnel. In octets."""
    underlay: Family = "IPv4" if tunnel.local.version == 4 else "IPv6"
    mtu = _mtu((peer.underlay for peer in tunnel.peers), reach)
    return {family: segment_size(family, underlay, mtu) for family in families}


def pathways(
    me: str,
    nodes: Collection[Node],
    reach: Mapping[IPAddress, Reach],
    tunnel: Tunnel | None = None,
    device: Mapping[Family, int] | None = None,
) -> Pathways:
    """All ways from here. `device`: the tunnel's index, for each family that it can carry."""
    underlay = underlay_family(nodes)
    peers = {peer.underlay: peer for peer in tunnel.peers} if tunnel is not None else {}
    hops: dict[tuple[str, Family], Hop] = {}
    macs: dict[str, set[str]] = {}
    unresolved = set()
    for node in nodes:
        if node.name == me:
            continue
        address = first_of_family(node.internal_ips, underlay)
        macs[node.name] = {mac_of(address)} if address is not None else set()
        for family in FAMILIES:
            neighbour = _neighbour(node, family, reach)
            if neighbour is not None:
                gateway, there = neighbour
                if there.mac:
                    hops[node.name, family] = Hop(gateway, there.interface)
                    macs[node.name].add(there.mac)
                else:
                    unresolved.add(node.name)
            elif address in peers and family in (device or {}):
                peer = peers[address]
                hops[node.name, family] = Hop(peer.gateways[family], (device or {})[family])
    return Pathways(hops, {name: frozenset(each) for name, each in macs.items()}, frozenset(unresolved))


def _neighbour(node: Node, family: Family, reach: Mapping[IPAddress, Reach]) -> tuple[IPAddress, Reach] | None:
    address = first_of_family(node.internal_ips, family)
    if address is None or address not in reach or not reach[address].on_link:
        return None
    return address, reach[address]


def _mtu(hosts: Iterable[IPAddress], reach: Mapping[IPAddress, Reach]) -> int:
    return min((reach[host].mtu for host in hosts if host in reach), default=_ORDINARY_MTU)
