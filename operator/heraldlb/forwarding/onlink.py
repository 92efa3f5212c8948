"""Which hosts are neighbours of this node, as its routes say (rtnetlink(7)). Reads, never writes."""

from __future__ import annotations

import socket
from collections.abc import Iterable

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from heraldlb.api.ranges import IPAddress


def on_link(hosts: Iterable[IPAddress]) -> dict[IPAddress, int]:
    """The index of the interface on whose link each of these is; those that routers lead to, or nothing, are left
    out. Blocks: not for an event loop. Raises OSError."""
    found: dict[IPAddress, int] = {}
    with IPRoute() as netlink:
        for host in hosts:
            family = socket.AF_INET if host.version == 4 else socket.AF_INET6
            try:
                [route] = netlink.route("get", dst=str(host), family=family)
            except NetlinkError:
                # No route, or one that forbids it.
                continue
            index = route.get_attr("RTA_OIF")
            if index is not None and route.get_attr("RTA_GATEWAY") is None and route.get_attr("RTA_VIA") is None:
                found[host] = index
    return found
