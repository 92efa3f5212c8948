"""Which interface announces what."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from heraldlb.api.announcements import ANY_INTERFACE, InterfaceFilter
from heraldlb.speaker.interfaces import Link, Offer, interface_for, offers, usable

LINK = Link(2, "eth0", b"\x02\0\0\0\0\x01", (ip_network("10.0.0.0/24"),))
ADDRESS = IPv4Address("10.0.0.9")


@pytest.mark.parametrize(
    "fault",
    [
        {"up": False},
        {"carrier": False},
        {"loopback": True},
        {"arp": False},
        {"enslaved": True},
        {"ethernet": False},
    ],
    ids=lambda fault: next(iter(fault)),
)
def test_an_interface_whose_frames_reach_nobody_is_not_offered(fault: dict[str, bool]) -> None:
    assert usable(LINK)
    assert offers([replace(LINK, **fault)], [InterfaceFilter(include=("*",))]) == ()


def test_interfaces_without_a_prefix_are_offered_only_where_a_filter_names_them() -> None:
    bare = replace(LINK, name="veth1", prefixes=())
    assert offers([bare], [ANY_INTERFACE]) == ()
    assert offers([bare], [InterfaceFilter(include=("veth*",))]) == (Offer("veth1", LINK.mac),)


def test_prefixes_that_hold_nothing_to_announce_are_left_out() -> None:
    useless = tuple(map(ip_network, ("fe80::/64", "10.1.1.1/32", "fd00::1/128", "169.254.0.0/16")))
    assert offers([replace(LINK, prefixes=useless)], []) == ()


def test_the_interface_with_the_longest_prefix_announces_then_the_first_by_name() -> None:
    wide = Offer("a", b"1", (ip_network("10.0.0.0/8"),))
    near, also_near = (Offer(name, b"2", (ip_network("10.0.0.0/24"),)) for name in ("b", "c"))
    assert interface_for(ADDRESS, ANY_INTERFACE, [wide, near, also_near]) is near
    assert interface_for(ADDRESS, InterfaceFilter(exclude=("b",)), [wide, near, also_near]) is also_near


def test_without_a_prefix_for_the_address_no_interface_announces_unless_it_is_named() -> None:
    here, named = Offer("eth0", b"1", (ip_network("10.0.0.0/24"),)), Offer("eth1", b"2")
    assert interface_for(IPv6Address("fd00::9"), ANY_INTERFACE, [here]) is None
    assert interface_for(IPv4Address("10.9.9.9"), InterfaceFilter(include=("eth1",)), [here, named]) is named
    assert interface_for(ADDRESS, InterfaceFilter(include=("eth*",)), [named, here]) is here
