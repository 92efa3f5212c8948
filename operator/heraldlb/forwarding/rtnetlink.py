"""rtnetlink(7): pyroute2 with errors that callers expect, and what is asked in several places."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from heraldlb.api.ranges import Family, IPAddress

_OUTSIDE: Final[dict[Family, IPAddress]] = {
    "IPv4": ip_address("192.0.2.1"),
    "IPv6": ip_address("2001:db8::1"),
}
"""Of networks that only documents use (RFC 5737, RFC 3849), so that no route but the default one leads there."""


@contextmanager
def rtnetlink() -> Iterator[Any]:
    """An IPRoute. What the kernel refuses within becomes an OSError, as does a table that changes while read."""
    try:
        with IPRoute() as netlink:
            yield netlink
    except NetlinkError as error:
        raise OSError(error.code, str(error)) from error


def route_to(netlink: Any, host: IPAddress) -> Any:
    """The route that a packet to `host` takes; None where there is none, or one that forbids it."""
    family = socket.AF_INET if host.version == 4 else socket.AF_INET6
    try:
        [route] = netlink.route("get", dst=str(host), family=family)
    except NetlinkError:
        return None
    return route


def default_route(netlink: Any, family: Family) -> Any:
    """The route out of all networks that the node knows; None where there is none."""
    return route_to(netlink, _OUTSIDE[family])


def address_in(message: Any) -> IPAddress:
    """The node's own address, of a message of one."""
    # On a point-to-point link IFA_ADDRESS is the far end.
    return ip_address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))


def notifications(groups: int) -> socket.socket:
    """A socket on which the kernel tells of changes of these groups (RTMGRP_*), in the network namespace of the
    calling thread. It does not block. Raises OSError."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    sock.bind((0, groups))
    return sock
