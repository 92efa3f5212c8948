"""The tunnel's device in the kernel (rtnetlink(7)): made, kept in step, removed. Nothing else is ever changed.

All of it blocks: not for an event loop. Each function reads what there is and changes the difference, so that an
agent that is restarted finds the device of its predecessor and packets go on meanwhile.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Any, Final

from pyroute2.netlink.exceptions import NetlinkError

from heraldlb.api.ranges import FAMILIES, Family
from heraldlb.forwarding.overlay import DEVICE, OWN_ADDRESS, Tunnel
from heraldlb.forwarding.rtnetlink import rtnetlink

_AF: Final[dict[Family, int]] = {"IPv4": socket.AF_INET, "IPv6": socket.AF_INET6}
_BITS: Final[dict[Family, int]] = {"IPv4": 32, "IPv6": 128}

_SCOPE_LINK: Final = 253
_PERMANENT: Final = 0x80
"""NUD_PERMANENT."""

_IFF_UP: Final = 0x1
_IFF_NOARP: Final = 0x80

# include/uapi/linux: netlink.h, rtnetlink.h, if_link.h, ip.h
_RTM_SETLINK: Final = 19
_REQUEST_ACK: Final = 0x5
_NESTED: Final = 0x8000
_IFLA_AF_SPEC: Final = 26
_IFLA_INET_CONF: Final = 1
_FORWARDING, _RP_FILTER = 1, 8
_LOOSE: Final = 2


def keep(tunnel: Tunnel) -> dict[Family, int]:
    """Have exactly this tunnel. Returns the device's index for each family that it carries: IPv6 is left out where
    the node has it disabled, or the tunnel's MTU is too small. Raises OSError, for instance without the module."""
    with rtnetlink() as netlink:
        index = _device(netlink, tunnel)
        _ipv4_conf(netlink, index)
        _addresses(netlink, index)
        _forwarding_database(netlink, index, tunnel)
        found = {}
        for family in FAMILIES:
            try:
                _gateways(netlink, index, family, tunnel)
            except NetlinkError:
                if family == "IPv4":
                    raise
                continue
            found[family] = index
        return found


def remove() -> bool:
    """Have none, whatever there was. Returns whether there was one. Raises OSError."""
    with rtnetlink() as netlink:
        return _remove(netlink)


def _remove(netlink: Any) -> bool:
    indexes = netlink.link_lookup(ifname=DEVICE)
    for index in indexes:
        netlink.link("del", index=index)
    return bool(indexes)


def _device(netlink: Any, tunnel: Tunnel) -> int:
    """The index of the device; one that differs in what cannot be changed is replaced."""
    local = "vxlan_local" if tunnel.local.version == 4 else "vxlan_local6"
    wanted = {
        "vxlan_id": tunnel.id,
        "vxlan_port": tunnel.port,
        local: str(tunnel.local),
        "vxlan_learning": 0,
    }
    indexes = netlink.link_lookup(ifname=DEVICE)
    if indexes and not _is(netlink.get_links(indexes[0])[0], wanted):
        _remove(netlink)
        indexes = []
    if not indexes:
        netlink.link("add", ifname=DEVICE, kind="vxlan", address=tunnel.mac, mtu=tunnel.mtu, **wanted)
        indexes = netlink.link_lookup(ifname=DEVICE)
    [index] = indexes
    [link] = netlink.get_links(index)
    now = (link.get_attr("IFLA_ADDRESS"), link.get_attr("IFLA_MTU"), link["flags"] & (_IFF_UP | _IFF_NOARP))
    if now != (tunnel.mac, tunnel.mtu, _IFF_UP | _IFF_NOARP):
        # Without ARP nobody is asked for, and the speaker takes it for no link to announce on.
        netlink.link("set", index=index, address=tunnel.mac, mtu=tunnel.mtu, arp=False, state="up")
    return int(index)


def _is(link: Any, wanted: dict[str, object]) -> bool:
    info = link.get_attr("IFLA_LINKINFO")
    if info is None or info.get_attr("IFLA_INFO_KIND") != "vxlan":
        return False
    data = info.get_attr("IFLA_INFO_DATA")
    return all(data.get_attr(f"IFLA_{name.upper()}") == value for name, value in wanted.items())


def _ipv4_conf(netlink: Any, index: int) -> None:
    """Loose reverse path filtering, which counts also where that of all links is strict: clients' packets come out
    of the tunnel."""
    [link] = netlink.get_links(index)
    families = link.get_attr("IFLA_AF_SPEC")
    found = families.get_attr("AF_INET") if families is not None else None
    if found is None or (found["forwarding"], found["rp_filter"]) != (1, _LOOSE):
        _set_ipv4_conf(index)


def _set_ipv4_conf(index: int) -> None:
    """By netlink, since /proc/sys is read-only in the agent's Pod."""
    settings = b"".join(
        _attribute(key, struct.pack("=I", on)) for key, on in ((_FORWARDING, 1), (_RP_FILTER, _LOOSE))
    )
    for kind in (_IFLA_INET_CONF, socket.AF_INET, _IFLA_AF_SPEC):
        settings = _attribute(kind | _NESTED, settings)
    body = struct.pack("=BxHiII", 0, 0, index, 0, 0) + settings
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(struct.pack("=IHHII", 16 + len(body), _RTM_SETLINK, _REQUEST_ACK, 1, 0) + body)
        [error] = struct.unpack_from("=i", sock.recv(4096), 16)
    if error:
        raise OSError(-error, f"{DEVICE}: its reverse path filter cannot be set")


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def _addresses(netlink: Any, index: int) -> None:
    found = {message.get_attr("IFA_LOCAL") for message in netlink.get_addr(family=socket.AF_INET, index=index)}
    if str(OWN_ADDRESS) not in found:
        netlink.addr("add", index=index, address=str(OWN_ADDRESS), prefixlen=32, scope=_SCOPE_LINK)


def _forwarding_database(netlink: Any, index: int, tunnel: Tunnel) -> None:
    wanted = {(peer.mac, str(peer.underlay)) for peer in tunnel.peers}
    found = {
        (entry.get_attr("NDA_LLADDR"), entry.get_attr("NDA_DST"))
        for entry in netlink.fdb("dump", ifindex=index)
        if entry["ifindex"] == index
    }
    for mac, underlay in found - wanted:
        netlink.fdb("del", ifindex=index, lladdr=mac, dst=underlay)
    for mac, underlay in wanted - found:
        netlink.fdb("append", ifindex=index, lladdr=mac, dst=underlay)


def _gateways(netlink: Any, index: int, family: Family, tunnel: Tunnel) -> None:
    """A neighbour for each gateway, and a route that says that it is on this link."""
    wanted = {str(peer.gateways[family]): peer.mac for peer in tunnel.peers}
    found = {
        entry.get_attr("NDA_DST"): entry.get_attr("NDA_LLADDR")
        for entry in netlink.get_neighbours(family=_AF[family], ifindex=index)
        if entry["state"] == _PERMANENT
    }
    routed = set(_routed(netlink.get_routes(family=_AF[family], oif=index), family))
    for gateway in routed - wanted.keys():
        netlink.route("del", dst=f"{gateway}/{_BITS[family]}", oif=index, scope=_SCOPE_LINK)
    for gateway in found.keys() - wanted.keys():
        netlink.neigh("del", dst=gateway, lladdr=found[gateway], ifindex=index)
    for gateway, mac in wanted.items():
        if found.get(gateway) != mac:
            netlink.neigh("replace", dst=gateway, lladdr=mac, ifindex=index, state=_PERMANENT)
        if gateway not in routed:
            netlink.route("replace", dst=f"{gateway}/{_BITS[family]}", oif=index, scope=_SCOPE_LINK)


def _routed(routes: Iterable[Any], family: Family) -> Iterator[str]:
    """The gateways that have a route; the kernel's own, such as of its addresses, are not ours."""
    for route in routes:
        ours = route["proto"] == _RTPROT_STATIC and route["dst_len"] == _BITS[family]
        if ours and (gateway := route.get_attr("RTA_DST")) is not None:
            yield gateway


_RTPROT_STATIC: Final = 4
