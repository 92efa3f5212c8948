"""Links and settings where no real ones can be had; those of a real kernel are in the lab."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest

from heraldlb.examination import sysctl
from heraldlb.examination.facts import LinkFacts, LinkKind
from heraldlb.examination.links import Surroundings, describe, is_told
from heraldlb.examination.reading import read_settings
from heraldlb.speaker.interfaces import Link

ETHERNET = Link(2, "eth0", bytes.fromhex("020000000001"))


class Message(dict[str, Any]):
    """What the kernel says of a link, as far as anybody asks."""

    def get_attr(self, name: str) -> Any:
        return self.get(name)


def info(kind: str, **data: int | str) -> Message:
    return Message(IFLA_INFO_KIND=kind, IFLA_INFO_DATA=Message(data))


@pytest.mark.parametrize(
    ("link", "said", "wireless", "expected"),
    [
        (ETHERNET, {}, False, ("ethernet", "")),
        (ETHERNET, {}, True, ("wireless", "")),
        (Link(1, "lo", b"", ethernet=False, loopback=True), {}, False, ("loopback", "")),
        (Link(3, "ib0", b"", ethernet=False), {}, False, ("other", "")),
        (ETHERNET, {"IFLA_LINKINFO": info("geneve")}, False, ("geneve", "")),
        (ETHERNET, {"IFLA_LINKINFO": info("macvlan", IFLA_MACVLAN_MODE="private")}, False, ("macvlan", "private")),
        (ETHERNET, {"IFLA_LINKINFO": info("ipvlan", IFLA_IPVLAN_MODE=1)}, False, ("ipvlan", "l3")),
        (ETHERNET, {"IFLA_LINKINFO": info("bond", IFLA_BOND_MODE=4)}, False, ("bond", "802.3ad")),
        (ETHERNET, {"IFLA_LINKINFO": info("bond", IFLA_BOND_MODE=9)}, False, ("bond", "")),
    ],
)
def test_the_kind_is_what_matters_to_arp(
    link: Link, said: dict[str, Any], *, wireless: bool, expected: tuple[str, str]
) -> None:
    found = describe(link, Message(said), Surroundings({}, wireless=wireless))
    assert (found.kind, found.mode) == expected


def test_of_what_a_link_hangs_on_only_what_is_below_or_above_it_on_this_node_is_named() -> None:
    names = {1: "eth0", 2: "br0"}
    vlan = describe(ETHERNET, Message(IFLA_LINK=1, IFLA_MASTER=2, IFLA_LINKINFO=info("vlan")), Surroundings(names))
    assert (vlan.parent, vlan.master) == ("eth0", "br0")
    veth = describe(ETHERNET, Message(IFLA_LINK=1, IFLA_LINKINFO=info("veth")), Surroundings(names))
    assert veth.parent == "", "the index is one of the other end's network namespace"


def test_links_to_pods_are_left_out_and_veths_that_are_a_nodes_own_are_not() -> None:
    def veth(*addresses: str, announces: bool = False) -> LinkFacts:
        own = tuple(map(ip_address, addresses))
        return LinkFacts("veth0", LinkKind.VETH.value, addresses=own, announces=announces)

    assert not is_told(veth())
    assert not is_told(veth("fe80::1"))
    assert is_told(veth("fe80::1", "10.0.0.1"))
    assert is_told(veth(announces=True))
    assert is_told(LinkFacts("eth0", prefixes=(ip_network("10.0.0.0/8"),)))


def test_settings_are_found_by_the_name_that_sysctl_takes_also_of_links_with_a_dot(tmp_path: Path) -> None:
    name = sysctl.of_link("IPv4", "eth0.100", "rp_filter")
    assert name == "net.ipv4.conf.eth0/100.rp_filter"
    there = tmp_path / "net/ipv4/conf/eth0.100/rp_filter"
    there.parent.mkdir(parents=True)
    there.write_text("2\n")
    assert read_settings(sysctl.watched(["eth0.100"]), tmp_path) == {name: "2"}
