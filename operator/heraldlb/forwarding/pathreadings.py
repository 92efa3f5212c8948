"""Reads what `pathfindings` judges: /proc/sys, the default routes and firewalld's rules. Never writes."""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.forwarding import fibrules
from heraldlb.forwarding.overlay import Tunnel
from heraldlb.forwarding.pathfindings import Readings
from heraldlb.forwarding.rtnetlink import default_route, rtnetlink


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
        client_interfaces={family: frozenset(_named(names, found)) for family, found in _to_clients().items()},
        tunnel_mtu=tunnel.mtu if tunnel is not None else None,
        tunnel_families=frozenset(families),
    )


def _rp_filter(proc_sys: Path, interface: str) -> int:
    try:
        return int(proc_sys.joinpath("net/ipv4/conf", interface, "rp_filter").read_text())
    except (OSError, ValueError):
        # The interface is gone, or this is no IPv4 node.
        return 0


def _to_clients() -> dict[Family, list[int]]:
    with rtnetlink() as netlink:
        routes = {family: default_route(netlink, family) for family in FAMILIES}
    found = {family: route.get_attr("RTA_OIF") if route is not None else None for family, route in routes.items()}
    return {family: [] if index is None else [index] for family, index in found.items()}


def _named(names: Mapping[int, str], indexes: Iterable[int]) -> Iterator[str]:
    """Without those that are gone."""
    yield from (names[index] for index in indexes if index in names)
