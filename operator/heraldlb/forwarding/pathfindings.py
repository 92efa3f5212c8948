"""What on this node stands in the way of surviving connections, from what was read. Pure; changes nothing.

Copies of clients' packets come in from other nodes, on the link or out of the tunnel. Most of what could hinder
them does not: they are local output where they are made, so neither forwarding nor redirects nor reverse path
filters see them there; the tunnel's own settings are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.forwarding.overlay import DEVICE, MIN_MTU, OVERHEAD
from heraldlb.forwarding.preflight import Finding

_STRICT: Final = 1


@dataclass(frozen=True, slots=True)
class Readings:
    """The settings that matter, as the node has them."""

    rp_filter_all: int = 0
    """`net.ipv4.conf.all.rp_filter`; the larger of this and an interface's own counts."""
    rp_filter: Mapping[str, int] = field(default_factory=dict)
    """Of the interfaces that other nodes' IPv4 copies come in by, by their names."""
    ipv6_filter: bool = False
    """firewalld drops IPv6 packets whose sender is not reached by the interface that they come in by."""
    ipv6_interfaces: frozenset[str] = frozenset()
    """That other nodes' IPv6 copies come in by."""
    client_interfaces: Mapping[Family, frozenset[str]] = field(
        default_factory=lambda: dict.fromkeys(FAMILIES, frozenset())
    )
    """Where the default route leads, and so answers to clients that are on no link of the node."""
    tunnel_mtu: int | None = None
    """Octets; None: there is no tunnel."""
    tunnel_families: frozenset[str] = frozenset()
    """What it carries."""


def findings(readings: Readings) -> tuple[Finding, ...]:
    """What is amiss, each with what to do about it."""
    return (*_strict_filters(readings), *_firewalls_filter(readings), *_lame_tunnel(readings))


def _strict_filters(readings: Readings) -> Iterator[Finding]:
    for interface, own in sorted(readings.rp_filter.items()):
        if max(own, readings.rp_filter_all) != _STRICT or interface in readings.client_interfaces["IPv4"]:
            continue
        # A dot in a name is a slash to sysctl(8).
        setting = f"net.ipv4.conf.{interface.replace('.', '/')}.rp_filter"
        yield Finding(
            False,
            setting,
            f"{setting} is strict, and answers to clients leave by another interface: packets of surviving"
            f" connections that other nodes pass on by {interface} are dropped here. "
            f"Set it on the node: sysctl -w {setting}=2",
        )


def _firewalls_filter(readings: Readings) -> Iterator[Finding]:
    """The kernel has no such setting for IPv6."""
    tunnel = {DEVICE} if "IPv6" in readings.tunnel_families else set[str]()
    filtered = sorted((readings.ipv6_interfaces | tunnel) - readings.client_interfaces["IPv6"])
    if readings.ipv6_filter and filtered:
        setting = "IPv6_rpfilter"
        yield Finding(
            False,
            setting,
            f"firewalld's {setting} is strict, and answers to clients leave by another interface: IPv6 packets of"
            f" surviving connections that other nodes pass on by {' and '.join(filtered)} are dropped here. "
            f"Set it on the node: {setting}=loose in /etc/firewalld/firewalld.conf, then firewall-cmd --reload",
        )


def _lame_tunnel(readings: Readings) -> Iterator[Finding]:
    if readings.tunnel_mtu is None or "IPv6" in readings.tunnel_families:
        return
    if readings.tunnel_mtu < MIN_MTU:
        needed = MIN_MTU + OVERHEAD["IPv6"]
        yield Finding(
            False,
            "mtu",
            f"the links between nodes take less than {needed} octets: the tunnel between them carries no IPv6,"
            f" whose connections therefore do not survive. Raise their MTU to {needed} or more",
        )
    else:
        setting = "net.ipv6.conf.default.disable_ipv6"
        yield Finding(
            False,
            setting,
            "IPv6 is disabled on the tunnel between nodes: IPv6 connections through it do not survive. "
            f"Set it on the node: sysctl -w {setting}=0, then ip link del heraldlb-vxlan, which is made anew",
        )
