"""What on a node stands in the way of surviving connections."""

from __future__ import annotations

from heraldlb.forwarding.pathfindings import Readings, findings

BOTH = frozenset({"IPv4", "IPv6"})


def test_a_strict_filter_matters_where_answers_leave_by_another_interface() -> None:
    readings = Readings(rp_filter_all=1, rp_filter={"eth0": 0, "eth1": 0}, client_interfaces=frozenset({"eth0"}))
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


def test_a_tunnel_without_ipv6_is_explained_by_its_cause() -> None:
    assert findings(Readings(tunnel_mtu=9216, tunnel_families=BOTH)) == ()
    [small] = findings(Readings(tunnel_mtu=1230, tunnel_families=frozenset({"IPv4"})))
    assert "1350" in small.message
    [disabled] = findings(Readings(tunnel_mtu=9216, tunnel_families=frozenset({"IPv4"})))
    assert "disable_ipv6" in disabled.message
