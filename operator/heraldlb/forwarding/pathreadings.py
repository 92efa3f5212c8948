"""Reads what `pathfindings` judges: /proc/sys and the default route. Never writes."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from heraldlb.api.ranges import Family
from heraldlb.forwarding.overlay import Tunnel
from heraldlb.forwarding.pathfindings import Readings
from heraldlb.forwarding.rtnetlink import route_to, rtnetlink

_OUTSIDE: Final = ip_address("192.0.2.1")
"""Of a network that only documents use (RFC 5737), so that no route but the default one leads to it."""


def read(
    interfaces: Collection[int],
    tunnel: Tunnel | None = None,
    families: Collection[Family] = (),
    proc_sys: Path = Path("/proc/sys"),
) -> Readings:
    """`interfaces`: indexes of those that other nodes' copies come in by, but for the tunnel's, which carries
    `families`. Blocks: not for an event loop. Raises OSError."""
    names = {index: name for index, name in socket.if_nameindex() if index in interfaces}
    return Readings(
        rp_filter_all=_rp_filter(proc_sys, "all"),
        rp_filter={name: _rp_filter(proc_sys, name) for name in names.values()},
        client_interfaces=frozenset(_interface_to_outside()),
        tunnel_mtu=tunnel.mtu if tunnel is not None else None,
        tunnel_families=frozenset(families),
    )


def _rp_filter(proc_sys: Path, interface: str) -> int:
    try:
        return int(proc_sys.joinpath("net/ipv4/conf", interface, "rp_filter").read_text())
    except (OSError, ValueError):
        # The interface is gone, or this is no IPv4 node.
        return 0


def _interface_to_outside() -> Iterator[str]:
    names = dict(socket.if_nameindex())
    with rtnetlink() as netlink:
        route = route_to(netlink, _OUTSIDE)
        index = route.get_attr("RTA_OIF") if route is not None else None
        if index in names:
            yield names[index]
