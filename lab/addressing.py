"""The lab's numbering plan: who has which address. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Final

LAN_IPV4: Final = IPv4Network("192.168.100.0/24")
LAN_IPV6: Final = IPv6Network("fd00:100::/64")
PODS_IPV4: Final = IPv4Network("10.244.0.0/16")
PODS_IPV6: Final = IPv6Network("fd00:244::/48")
SERVICES_IPV4: Final = IPv4Network("10.96.0.0/16")
SERVICES_IPV6: Final = IPv6Network("fd00:96::/112")

API_PORT: Final = 6443
MAX_NODES: Final = 180
"""Leaves 192.168.100.200 and up to clients and address pools."""

CONTROL_PLANE: Final = "cp"
CLIENT: Final = "client"

_CONTROL_PLANE_NUMBER: Final = 10
_CLIENT_NUMBER: Final = 200


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """A host's place on the LAN and, for a node, the prefixes of its pods."""

    name: str
    number: int
    """The last byte of its addresses and of its MAC address."""
    pods_ipv4: IPv4Network | None = None
    pods_ipv6: IPv6Network | None = None

    @property
    def ipv4(self) -> IPv4Address:
        return LAN_IPV4[self.number]

    @property
    def ipv6(self) -> IPv6Address:
        return LAN_IPV6[int(str(self.number), 16)]

    @property
    def ipv4_interface(self) -> IPv4Interface:
        return IPv4Interface(f"{self.ipv4}/{LAN_IPV4.prefixlen}")

    @property
    def ipv6_interface(self) -> IPv6Interface:
        return IPv6Interface(f"{self.ipv6}/{LAN_IPV6.prefixlen}")

    @property
    def mac_address(self) -> str:
        return f"02:4c:41:42:00:{self.number:02x}"

    @property
    def is_node(self) -> bool:
        return self.pods_ipv4 is not None


def node_name(index: int) -> str:
    """Names start at node-1."""
    return f"node-{index}"


def _node(index: int) -> HostAddresses:
    pods_ipv4 = IPv4Network((int(PODS_IPV4.network_address) + (index << 8), 24))
    pods_ipv6 = IPv6Network((int(PODS_IPV6.network_address) + (index << 64), 64))
    return HostAddresses(node_name(index), _CONTROL_PLANE_NUMBER + index, pods_ipv4, pods_ipv6)


def plan(nodes: int) -> dict[str, HostAddresses]:
    """The hosts of a lab by name: cp, node-1 .. node-N, client. Raises ValueError beyond MAX_NODES."""
    if not 0 <= nodes <= MAX_NODES:
        raise ValueError(f"nodes: {nodes} is out of range, the lab's LAN holds 0 to {MAX_NODES}")
    hosts = [HostAddresses(CONTROL_PLANE, _CONTROL_PLANE_NUMBER), *map(_node, range(1, nodes + 1))]
    hosts.append(HostAddresses(CLIENT, _CLIENT_NUMBER))
    return {host.name: host for host in hosts}
