"""What on a node stands in the way of surviving connections."""

from __future__ import annotations

from dataclasses import replace

from heraldlb.api.ranges import Family
from heraldlb.forwarding.pathfindings import Readings, findings

BOTH = frozenset({"IPv4", "IPv6"})
CLIENTS: dict[Family, frozenset[str]] = {"IPv4": frozenset({"eth0"}), "IPv6": frozenset({"eth0"})}


def test_a_strict_filter_matters_where_answers_leave_by_another_interface() -> None:
    readings = Readings(rp_filter_all=1, rp_filter={"eth0": 0, "eth1": 0}, client_interfaces=CLIENTS)
    [found] = findings(readings)
    assert found.subject == "net.ipv4.conf.eth1.rp_filter"
    assert "sysctl -w net.ipv4.conf.eth1.rp_filter=2" in found.message
    assert not found.blocking


def test_the_remedy_for_a_link_with_a_dot_is_what_sysctl_takes() -> None:
    [found] = findings(Readings(rp_filter={"eth0.100": 1}))
    assert found.message.endswith("sysctl -w net.ipv4.conf.eth0/100.rp_filter=2")


def test_the_larger_of_both_settings_counts_so_that_loose_wins() -> None:
    assert findings(Readings(rp_filter_all=1, rp_filter={"eth1": 2})) == ()
    assert findings(Readings(rp_filter_all=2, rp_filter={"eth1": 1})) == ()
    assert len(findings(Readings(rp_filter_all=0, rp_filter={"eth1": 1}))) == 1


def test_a_firewalls_strict_filter_matters_where_ipv6_comes_in_by_another_way_than_it_leaves() -> None:
    harmless = Readings(ipv6_filter=True, ipv6_interfaces=frozenset({"eth0"}), client_interfaces=CLIENTS)
    assert findings(harmless) == ()
    [found] = findings(replace(harmless, tunnel_mtu=9216, tunnel_families=BOTH))
    assert "by heraldlb-vxlan are dropped" in found.message
    assert "IPv6_rpfilter=loose" in found.message
    [found] = findings(replace(harmless, ipv6_interfaces=frozenset({"eth0", "eth1"})))
    assert "by eth1 are dropped" in found.message
    assert findings(replace(harmless, ipv6_filter=False, ipv6_interfaces=frozenset({"eth1"}))) == ()


def test_a_tunnel_without_ipv6_is_explained_by_its_cause() -> None:
    assert findings(Readings(tunnel_mtu=9216, tunnel_families=BOTH)) == ()
    [small] = findings(Readings(tunnel_mtu=1230, tunnel_families=frozenset({"IPv4"})))
    assert "1350" in small.message
    [disabled] = findings(Readings(tunnel_mtu=9216, tunnel_families=frozenset({"IPv4"})))
    assert "disable_ipv6" in disabled.message
