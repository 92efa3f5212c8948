"""The node's interfaces, kept up to date by netlink events (rtnetlink(7)). Never polled."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink import rtnl
from pyroute2.netlink.rtnl.marshal import MarshalRtnl

from heraldlb.speaker import routes
from heraldlb.speaker.ethernet import parse_mac
from heraldlb.speaker.interfaces import Link, Prefix
from heraldlb.speaker.routes import OnLinkRoute

_GROUPS: Final = (
    rtnl.RTMGRP_LINK
    | rtnl.RTMGRP_IPV4_IFADDR
    | rtnl.RTMGRP_IPV6_IFADDR
    | rtnl.RTMGRP_IPV4_ROUTE
    | rtnl.RTMGRP_IPV6_ROUTE
)
_BUFFER: Final = 1_048_576
_LARGEST: Final = 65_536

_ARPHRD_ETHER: Final = 1
_IFF_UP: Final = 0x1
_IFF_LOOPBACK: Final = 0x8
_IFF_NOARP: Final = 0x80
_IFF_LOWER_UP: Final = 0x1_0000


class LinkMonitor:
    """Reads the interfaces once when opened, then only what changes.

    Sees the network namespace of the thread that opens it. Raises OSError.
    """

    def __init__(self) -> None:
        self._marshal = MarshalRtnl()
        self._links: dict[int, Link] = {}
        self._prefixes: dict[int, dict[str, Prefix]] = {}
        self._routes: set[OnLinkRoute] = set()
        # Listening before reading: what changes in between is then seen twice rather than never.
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.bind((0, _GROUPS))
        self._read_all()

    def fileno(self) -> int:
        """For a selector: readable when something changed."""
        return self._socket.fileno()

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def links(self) -> tuple[Link, ...]:
        """The interfaces as last read."""
        return tuple(self._links.values())

    def read(self) -> bool:
        """Take in what changed; whether anything did that `links` shows."""
        before = dict(self._links)
        try:
            while True:
                self._take(self._parsed(self._socket.recv(_LARGEST)))
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            # The kernel had more to say than the buffer holds.
            self._read_all()
        return self._links != before

    def _read_all(self) -> None:
        self._links.clear()
        self._prefixes.clear()
        self._routes.clear()
        with IPRoute() as netlink:
            self._take(netlink.get_links())
            self._take(netlink.get_addr())
        self._read_routes()

    def _read_routes(self) -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as dump:
            dump.send(routes.dump_request())
            kinds: set[int] = set()
            while not kinds & {routes.DONE, routes.ERROR}:
                data = dump.recv(_LARGEST)
                kinds = {kind for kind, _ in routes.split(data)}
                self._take(self._parsed(data))

    def _parsed(self, data: bytes) -> Iterator[Any]:
        found = (message for kind, message in routes.split(data) if routes.concerns(kind, message))
        return self._marshal.parse(b"".join(found))  # type: ignore[no-any-return]

    def _take(self, messages: Iterable[Any]) -> None:
        for message in messages:
            index = message.get("index")
            match message.get("event"):
                case "RTM_NEWLINK":
                    # Notices of bridges about their ports share the type, and say nothing of the interface itself.
                    if message.get("family") == socket.AF_UNSPEC:
                        if not message["flags"] & _IFF_UP:
                            # Its routes are gone, of which the kernel says nothing for IPv4.
                            self._drop_routes(index=index)
                        self._links[index] = self._link(message)
                case "RTM_DELLINK" if message.get("family") == socket.AF_UNSPEC:
                    self._links.pop(index, None)
                    self._prefixes.pop(index, None)
                    self._drop_routes(index=index)
                case "RTM_NEWADDR":
                    self._prefixes.setdefault(index, {})[_address(message)] = _prefix(message)
                    self._renew(index)
                case "RTM_DELADDR":
                    self._prefixes.get(index, {}).pop(_address(message), None)
                    gone = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
                    # Older kernels drop the routes that depend on it silently.
                    self._drop_routes(source=gone)
                    self._renew(index)
                case "RTM_NEWROUTE" | "RTM_DELROUTE" as event:
                    if (route := routes.on_link_route(message)) is not None:
                        self._routes.discard(route)
                        if event == "RTM_NEWROUTE":
                            self._routes.add(route)
                        self._renew(route.index)

    def _drop_routes(self, index: int | None = None, source: str | None = None) -> None:
        gone = {route for route in self._routes if route.index == index or route.source == source}
        self._routes -= gone
        for route in gone:
            self._renew(route.index)

    def _renew(self, index: int) -> None:
        link = self._links.get(index)
        if link is not None:
            self._links[index] = replace(link, prefixes=self._prefixes_of(index))

    def _link(self, message: Any) -> Link:
        flags = message["flags"]
        mac = parse_mac(message.get_attr("IFLA_ADDRESS") or "")
        info = message.get_attr("IFLA_LINKINFO")
        role = info.get_attr("IFLA_INFO_SLAVE_KIND") if info is not None else None
        return Link(
            index=message["index"],
            name=message.get_attr("IFLA_IFNAME"),
            mac=mac,
            prefixes=self._prefixes_of(message["index"]),
            ethernet=message["ifi_type"] == _ARPHRD_ETHER and len(mac) == 6,
            up=bool(flags & _IFF_UP),
            carrier=bool(flags & _IFF_LOWER_UP),
            loopback=bool(flags & _IFF_LOOPBACK),
            arp=not flags & _IFF_NOARP,
            enslaved=message.get_attr("IFLA_MASTER") is not None and role != "vrf",
        )

    def _prefixes_of(self, index: int) -> tuple[Prefix, ...]:
        # Several addresses may share a prefix.
        on_link = (route.prefix for route in self._routes if route.index == index)
        return tuple(dict.fromkeys((*self._prefixes.get(index, {}).values(), *sorted(on_link, key=str))))


def _address(message: Any) -> str:
    local = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    return f"{local}/{message['prefixlen']}"


def _prefix(message: Any) -> Prefix:
    # IFA_ADDRESS is the far end of a point-to-point link, and else the address itself.
    return ip_network(f"{message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}", strict=False)
