"""What an administrator may choose about forwarding, and this node as the planner sees it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2s
from ipaddress import ip_network
from typing import Final

from heraldlb.api.nodes import Node
from heraldlb.api.ranges import FAMILIES, Family, IPAddress, family_of
from heraldlb.api.services import first_of_family
from heraldlb.forwarding.model import Frame, IPNetwork
from heraldlb.forwarding.schedulers import Scheduler

PRIMARY: Final = "primary"
ZONE_LABEL: Final = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class ForwardingSettings:
    """Validated when made: raises ValueError, whose message names the setting and what to write instead."""

    node_port_addresses: tuple[str, ...] = (PRIMARY,)
    """Where node ports are served: `primary`, the first InternalIP of each family of the Node object; or CIDRs, for
    every address of the node within them (a family without a CIDR: on every address). Never on loopback."""
    cluster_cidrs: tuple[str, ...] = ()
    """Where pods have their addresses; empty: the Node object's `spec.podCIDRs`."""
    masquerade_bit: int = 14
    """Bit of the packet mark, 0-31, that Herald uses for its own while a connection is set up."""
    scheduler: Scheduler = Scheduler.RANDOM
    """Of Services that name none."""
    connection_survival: bool = False
    """Of Services that do not say whether their connections are to outlive the node that announces them."""

    def __post_init__(self) -> None:
        if not self.node_port_addresses:
            raise ValueError('nodePortAddresses is empty: write "primary" or CIDRs such as 192.168.1.0/24')
        if PRIMARY in self.node_port_addresses and len(self.node_port_addresses) > 1:
            raise ValueError('nodePortAddresses mixes "primary" with CIDRs: write either')
        if not 0 <= self.masquerade_bit <= 31:
            raise ValueError(f"masqueradeBit {self.masquerade_bit} is not a bit of a 32-bit mark: write 0 to 31")
        if PRIMARY not in self.node_port_addresses:
            _networks("nodePortAddresses", self.node_port_addresses)
        _networks("clusterCIDRs", self.cluster_cidrs)


@dataclass(frozen=True, slots=True)
class NodeView:
    """The node whose rules are planned."""

    name: str
    zone: str = ""
    node_port_addresses: tuple[IPAddress, ...] = ()
    pod_cidrs: tuple[IPNetwork, ...] = ()
    addresses: tuple[IPAddress, ...] = ()
    """Its own, as the Node object has them."""
    scheduler: Scheduler = Scheduler.RANDOM
    """Of Services that name none."""
    weights: Mapping[str, int] = field(default_factory=dict)
    """Of all nodes whose label says other than 1."""
    connection_survival: bool = False
    """Of Services that do not say whether their connections are to outlive the node that announces them."""


def view_node(
    node: Node,
    settings: ForwardingSettings,
    local_addresses: Iterable[IPAddress] = (),
    weights: Mapping[str, int] | None = None,
) -> NodeView:
    """This node under these settings. `local_addresses`, those of its interfaces, matter for CIDR settings only.

    `weights`: of all nodes, by their labels.
    """
    return NodeView(
        name=node.name,
        zone=node.labels.get(ZONE_LABEL, ""),
        node_port_addresses=_node_port_addresses(node, settings, local_addresses),
        pod_cidrs=_networks("clusterCIDRs", settings.cluster_cidrs) or _usable_networks(node.pod_cidrs),
        addresses=node.internal_ips,
        scheduler=settings.scheduler,
        weights=weights or {},
        connection_survival=settings.connection_survival,
    )


def frame_of(
    node: NodeView, settings: ForwardingSettings, service_cidrs: Iterable[IPNetwork] = (), cluster_uid: str = ""
) -> Frame:
    """What all Services on the node have in common. `cluster_uid`: of something that every cluster has one of, such
    as the Service default/kubernetes."""
    return Frame(
        pod_cidrs=node.pod_cidrs,
        masquerade_mark=1 << settings.masquerade_bit,
        service_cidrs=tuple(sorted(set(service_cidrs), key=lambda cidr: (cidr.version, cidr))),
        seed=int.from_bytes(blake2s(cluster_uid.encode(), digest_size=4).digest()),
    )


def _node_port_addresses(
    node: Node, settings: ForwardingSettings, local_addresses: Iterable[IPAddress]
) -> tuple[IPAddress, ...]:
    if PRIMARY in settings.node_port_addresses:
        firsts = (first_of_family(node.internal_ips, family) for family in FAMILIES)
        return tuple(address for address in firsts if address is not None)
    networks = _networks("nodePortAddresses", settings.node_port_addresses)
    restricted = {_family(network) for network in networks}
    return tuple(
        sorted(
            {
                address
                for address in local_addresses
                if not (address.is_loopback or address.is_link_local)
                and (family_of(address) not in restricted or any(address in network for network in networks))
            },
            key=lambda address: (address.version, int(address)),
        )
    )


def _family(network: IPNetwork) -> Family:
    return "IPv4" if network.version == 4 else "IPv6"


def _networks(setting: str, texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    networks = []
    for text in texts:
        try:
            networks.append(ip_network(text.strip(), strict=False))
        except ValueError:
            raise ValueError(f'{setting}: "{text}" is not a CIDR such as 192.168.1.0/24 or fd00::/64') from None
    return tuple(networks)


def _usable_networks(texts: Iterable[str]) -> tuple[IPNetwork, ...]:
    found: list[IPNetwork] = []
    for text in texts:
        try:
            found.append(ip_network(text, strict=False))
        except ValueError:
            continue
    return tuple(found)
