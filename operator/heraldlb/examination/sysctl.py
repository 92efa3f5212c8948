"""Kernel settings that decide what a load balancer can do on a node, by the names that sysctl(8) takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from heraldlb.api.ranges import Family
from heraldlb.forwarding.preflight import BE_LIBERAL, FORWARDING, LOOSE

ALL: Final = "all"
"""In the place of a link: what holds for all of them."""

_OF_NODE: Final = (*FORWARDING.values(), BE_LIBERAL, LOOSE)
_OF_LINKS: Final[Mapping[Family, tuple[str, ...]]] = {
    "IPv4": (
        "rp_filter",
        "arp_ignore",
        "arp_announce",
        "arp_filter",
        "proxy_arp",
        "send_redirects",
        "accept_redirects",
    ),
    "IPv6": ("disable_ipv6", "accept_redirects"),
}


def watched(links: Iterable[str]) -> Iterator[str]:
    """The names of what is told of a node whose speaker has these links."""
    yield from _OF_NODE
    for link in (ALL, *links):
        for family, settings in _OF_LINKS.items():
            for setting in settings:
                yield of_link(family, link, setting)


def of_link(family: Family, link: str, setting: str) -> str:
    """`net.ipv4.conf.LINK.SETTING`; dots of the link's name, as in `eth0.100`, become slashes."""
    return f"net.{family.lower()}.conf.{link.replace('.', '/')}.{setting}"


def path(name: str) -> str:
    """Where the setting is found below /proc/sys."""
    return "/".join(part.replace("/", ".") for part in name.split("."))
