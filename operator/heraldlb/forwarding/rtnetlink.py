"""pyroute2 with errors that callers expect."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from heraldlb.api.ranges import IPAddress


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
