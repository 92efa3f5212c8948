"""What the kernel knows about the way to other nodes (rtnetlink(7)): routes, links and neighbours."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any, Final

from pyroute2.netlink.exceptions import NetlinkError

from heraldlb.api.ranges import IPAddress
from heraldlb.forwarding.pathways import Reach
from heraldlb.forwarding.rtnetlink import route_to, rtnetlink

_USE: Final = 0x01
"""NTF_USE: have the kernel find out the hardware address, as if a packet were to be sent."""


def reach(hosts: Iterable[IPAddress]) -> dict[IPAddress, Reach]:
    """The way to each host that there is a route to. For a neighbour whose hardware address is not known the kernel
    begins to ask; it is there a moment later, or never. Blocks: not for an event loop. Raises OSError."""
    found: dict[IPAddress, Reach] = {}
    with rtnetlink() as netlink:
        mtus = {link["index"]: link.get_attr("IFLA_MTU") for link in netlink.get_links()}
        macs = {
            (entry["ifindex"], entry.get_attr("NDA_DST")): entry.get_attr("NDA_LLADDR")
            for family in (socket.AF_INET, socket.AF_INET6)
            for entry in netlink.get_neighbours(family=family)
        }
        for host in hosts:
            route = route_to(netlink, host)
            index = route.get_attr("RTA_OIF") if route is not None else None
            if route is None or index is None or index not in mtus:
                continue
            on_link = route.get_attr("RTA_GATEWAY") is None and route.get_attr("RTA_VIA") is None
            mac = (macs.get((index, str(host))) or "") if on_link else ""
            if on_link and not mac:
                _ask(netlink, host, index)
            found[host] = Reach(index, on_link, _mtu(route, mtus[index]), mac)
    return found


def _mtu(route: Any, of_link: int) -> int:
    metrics = route.get_attr("RTA_METRICS")
    of_route = metrics.get_attr("RTAX_MTU") if metrics is not None else None
    return min(of_link, of_route or of_link)


def _ask(netlink: Any, host: IPAddress, index: int) -> None:
    try:
        netlink.neigh("replace", dst=str(host), ifindex=index, flags=_USE)
    except NetlinkError:
        # A link that needs no hardware addresses.
        return
