"""A link as facts tell it, from what the kernel says of it (rtnetlink(7)). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from heraldlb.api.ranges import IPAddress
from heraldlb.examination.facts import LinkFacts, LinkKind
from heraldlb.speaker.ethernet import format_mac
from heraldlb.speaker.interfaces import Link

_BOND_MODES: Final = (
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
)
_IPVLAN_MODES: Final = ("l2", "l3", "l3s")
_STACKED: Final = frozenset({LinkKind.VLAN, LinkKind.MACVLAN, LinkKind.IPVLAN})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is known of a link besides the kernel's message about it."""

    names: Mapping[int, str]
    """Of all links, by index."""
    addresses: tuple[IPAddress, ...] = ()
    gateways: tuple[IPAddress, ...] = ()
    driver: str = ""
    wireless: bool = False
    announces: bool = False


def describe(link: Link, message: Any, around: Surroundings) -> LinkFacts:
    """`message`: the link's RTM_NEWLINK, parsed."""
    info = message.get_attr("IFLA_LINKINFO")
    kind = _kind(link, info, wireless=around.wireless)
    return LinkFacts(
        name=link.name,
        kind=kind,
        mode=_mode(kind, info),
        driver=around.driver,
        mac=format_mac(link.mac),
        mtu=message.get_attr("IFLA_MTU") or 0,
        up=link.up,
        carrier=link.carrier,
        # Its flag would only say whether somebody asked for it by hand: not tcpdump, nor a bridge.
        promiscuous=bool(message.get_attr("IFLA_PROMISCUITY")),
        master=around.names.get(message.get_attr("IFLA_MASTER"), ""),
        parent=around.names.get(message.get_attr("IFLA_LINK"), "") if kind in _STACKED else "",
        prefixes=link.prefixes,
        addresses=around.addresses,
        gateways=around.gateways,
        announces=around.announces,
    )


def is_told(link: LinkFacts) -> bool:
    """Whether it is anything but the node's end of the link to a pod."""
    return link.kind != LinkKind.VETH or link.announces or not all(each.is_link_local for each in link.addresses)


def _kind(link: Link, info: Any, *, wireless: bool) -> str:
    if wireless:
        return LinkKind.WIRELESS
    if info is not None and (named := info.get_attr("IFLA_INFO_KIND")):
        return str(named)
    if link.loopback:
        return LinkKind.LOOPBACK
    return LinkKind.ETHERNET if link.ethernet else LinkKind.OTHER


def _mode(kind: str, info: Any) -> str:
    data = info.get_attr("IFLA_INFO_DATA") if info is not None else None
    if data is None:
        return ""
    match kind:
        case LinkKind.MACVLAN:
            return str(data.get_attr("IFLA_MACVLAN_MODE") or "")
        case LinkKind.IPVLAN:
            return _at(_IPVLAN_MODES, data.get_attr("IFLA_IPVLAN_MODE"))
        case LinkKind.BOND:
            return _at(_BOND_MODES, data.get_attr("IFLA_BOND_MODE"))
    return ""


def _at(modes: tuple[str, ...], number: int | None) -> str:
    return modes[number] if number is not None and number < len(modes) else ""
