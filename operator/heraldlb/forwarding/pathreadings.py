"""Reads what `pathfindings` judges: /proc/sys, the default routes and firewalld's rules. Never writes."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from heraldlb.api.ranges import FAMILIES, Family, IPAddress
from heraldlb.forwarding import fibrules
from heraldlb.forwarding.overlay import Tunnel
from heraldlb.forwarding.pathfindings import Readings
from heraldlb.forwarding.rtnetlink import route_to, rtnetlink

_OUTSIDE: Final[dict[Family, IPAddress]] = {
    "IPv4": ip_address("192.0.2.1"),
    "IPv6": ip_address("2001:db8::1"),
}
"""Of networks that only documents use (RFC 5737, RFC 3849), so that no route but the default one leads there."""


def read(
    interfaces: Mapping[Family, Collection[int]],
    tunnel: Tunnel | None = None,
    families: Collection[Family] = (),
    proc_sys: Path = Path("/proc/sys"),
) -> Readings:
    """`interfaces`: indexes of those that other nodes' copies come in by, but for the tunnel's, which carries
    `families`. Blocks: not for an event loop. Raises OSError."""
    names = dict(socket.if_nameindex())
    by = {family: frozenset(_named(names, interfaces.get(family, ()))) for family in FAMILIES}
    strict = False
    # Others change their rules at any time; the next look tells.
    with suppress(OSError):
        strict = fibrules.strict()
    return Readings(
        rp_filter_all=_rp_filter(proc_sys, "all"),
        rp_filter={name: _rp_filter(proc_sys, name) for name in by["IPv4"]},
        ipv6_filter=strict,
        ipv6_interfaces=by["IPv6"],
        client_interfaces={
            family: frozenset(_named(names, _interface_to(_OUTSIDE[family]))) for family in FAMILIES
        },
        tunnel_mtu=tunnel.mtu if tunnel is not None else None,
        tunnel_families=frozenset(families),
    )


def _rp_filter(proc_sys: Path, interface: str) -> int:
    try:
        return int(proc_sys.joinpath("net/ipv4/conf", interface, "rp_filter").read_text())
    except (OSError, ValueError):
        # The interface is gone, or this is no IPv4 node.
        return 0


def _interface_to(host: IPAddress) -> Iterator[int]:
    with rtnetlink() as netlink:
        route = route_to(netlink, host)
        if route is not None and (index := route.get_attr("RTA_OIF")) is not None:
            yield index


def _named(names: Mapping[int, str], indexes: Iterable[int]) -> Iterator[str]:
    """Without those that are gone."""
    yield from (names[index] for index in indexes if index in names)
