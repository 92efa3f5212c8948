"""Which addresses are probed, and where."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from heraldlb.api.ranges import IPAddress
from heraldlb.examination.facts import LinkFacts
from heraldlb.examination.targets import Targets, targets


def link(name: str, *prefixes: str, own: str = "192.168.1.1", announces: bool = True) -> LinkFacts:
    return LinkFacts(
        name,
        prefixes=tuple(map(ip_network, prefixes)),
        addresses=(ip_address(own),),
        announces=announces,
    )


def wanted(*texts: str, links: tuple[LinkFacts, ...], used: str = "") -> Targets:
    def in_use(address: IPAddress) -> bool:
        return str(address) == used

    return targets(map(ip_address, texts), links, in_use)


def why(found: Targets) -> dict[str, str]:
    return {str(each.address): each.reason for each in found.skipped}


def test_an_address_is_probed_on_the_link_of_the_longest_prefix_and_once() -> None:
    links = (link("wide", "192.168.0.0/16"), link("lan", "192.168.1.0/24", "fd00::/64"))
    found = wanted("192.168.1.9", "192.168.2.9", "fd00::9", "192.168.1.9", links=links)
    assert found.by_link == {
        "lan": (ip_address("192.168.1.9"), ip_address("fd00::9")),
        "wide": (ip_address("192.168.2.9"),),
    }
    assert not found.skipped


def test_what_is_not_probed_is_told_with_the_reason() -> None:
    links = (
        link("lan", "192.168.1.0/24", "fd00::/64"),
        link("quiet", "10.0.0.0/8", own="10.0.0.1", announces=False),
    )
    found = wanted(
        "192.168.1.1",
        "192.168.1.240",
        "172.16.0.1",
        "10.0.0.1",
        "10.0.0.9",
        "192.168.1.0",
        "192.168.1.255",
        "fd00::",
        links=links,
        used="192.168.1.240",
    )
    assert not found.by_link
    assert why(found) == {
        "192.168.1.1": "the node has it",
        "192.168.1.240": "Herald has given it to a Service",
        "172.16.0.1": "it is in no network of a link that this node announces on",
        "10.0.0.1": "the node has it",
        "10.0.0.9": "it is in no network of a link that this node announces on",
        "192.168.1.0": "it is that of the network itself",
        "192.168.1.255": "it is the network's broadcast address",
        "fd00::": "routers share it (RFC 4291, 2.6.1)",
    }


def test_both_addresses_of_a_network_of_two_are_hosts() -> None:
    found = wanted("10.1.0.0", "10.1.0.1", links=(link("ptp", "10.1.0.0/31"),))
    assert found.by_link == {"ptp": (ip_address("10.1.0.0"), ip_address("10.1.0.1"))}
