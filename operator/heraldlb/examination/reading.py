"""Reads what the kernel knows of the node's links and settings: netlink, /sys/class/net, /proc/sys. Never writes.

Everything blocks: not for an event loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from heraldlb.api.ranges import FAMILIES, IPAddress
from heraldlb.examination.facts import LinkFacts
from heraldlb.examination.links import Surroundings, describe, is_told
from heraldlb.examination.sysctl import path
from heraldlb.forwarding.rtnetlink import address_in, default_route, rtnetlink
from heraldlb.speaker.interfaces import Link
from heraldlb.speaker.links import LinkMonitor

_SKIP_STATISTICS: Final = 8
"""RTEXT_FILTER_SKIP_STATS: counters are most of what the kernel says of a link, and of no use here."""


def known_links() -> tuple[Link, ...]:
    """The links of a node on which no speaker follows them. Raises OSError."""
    with closing(LinkMonitor()) as monitor:
        return monitor.links()


def read_links(
    known: Iterable[Link], announcing: Container[str], sysfs: Path = Path("/sys/class/net")
) -> tuple[LinkFacts, ...]:
    """The links by name, but for those to pods. `announcing`: the names of those that the speaker uses.

    Raises OSError.
    """
    with rtnetlink() as netlink:
        messages = {each["index"]: each for each in netlink.link("dump", ext_mask=_SKIP_STATISTICS)}
        addresses = _addresses(netlink)
        gateways = _gateways(netlink)
    names = {index: message.get_attr("IFLA_IFNAME") for index, message in messages.items()}
    found = [
        describe(
            link,
            messages[link.index],
            Surroundings(
                names=names,
                addresses=tuple(addresses[link.index]),
                gateways=tuple(gateways[link.index]),
                driver=_driver(sysfs / link.name),
                wireless=(sysfs / link.name / "phy80211").exists() or (sysfs / link.name / "wireless").exists(),
                announces=link.name in announcing,
            ),
        )
        for link in sorted(known, key=lambda each: each.name)
        if link.index in messages
    ]
    return tuple(filter(is_told, found))


def read_settings(names: Iterable[str], proc_sys: Path = Path("/proc/sys")) -> Mapping[str, str]:
    """Those of these settings (see `sysctl`) that the kernel has."""
    found = {}
    for name in names:
        try:
            found[name] = (proc_sys / path(name)).read_text().strip()
        except OSError:
            continue
    return found


def _addresses(netlink: Any) -> dict[int, list[IPAddress]]:
    found: dict[int, list[IPAddress]] = defaultdict(list)
    for message in netlink.get_addr():
        found[message["index"]].append(address_in(message))
    return found


def _gateways(netlink: Any) -> dict[int, list[IPAddress]]:
    found: dict[int, list[IPAddress]] = defaultdict(list)
    for family in FAMILIES:
        route = default_route(netlink, family)
        gateway = route.get_attr("RTA_GATEWAY") if route is not None else None
        if gateway is not None:
            found[route.get_attr("RTA_OIF")].append(ip_address(gateway))
    return found


def _driver(device: Path) -> str:
    try:
        return (device / "device/driver").readlink().name
    except OSError:
        return ""
