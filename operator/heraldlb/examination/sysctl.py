"""Names of kernel settings, as sysctl(8) takes them. Pure."""

from __future__ import annotations

from typing import Final

from heraldlb.api.ranges import Family

ALL: Final = "all"
"""In the place of a link: what holds for all of them."""

_TREES: Final[dict[Family, str]] = {"IPv4": "ipv4", "IPv6": "ipv6"}


def of_link(family: Family, link: str, setting: str) -> str:
    """`net.ipv4.conf.LINK.SETTING`. Dots of the link's name, as in `eth0.100`, become slashes, as sysctl(8) wants them."""
    return f"net.{_TREES[family]}.conf.{link.replace('.', '/')}.{setting}"


def path(name: str) -> str:
    """Where the setting is found below /proc/sys."""
    return "/".join(part.replace("/", ".") for part in name.split("."))
