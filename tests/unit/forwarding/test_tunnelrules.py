"""The tunnel's table as text: what changes, and no more."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from heraldlb.forwarding.model import Frontend
from heraldlb.forwarding.tunnelrules import TunnelRules, diff, full, removal

WEB, DNS = Frontend(ip_address("203.0.113.1"), "TCP", 80), Frontend(ip_address("2001:db8::1"), "UDP", 53)
RULES = TunnelRules(
    ip_address("10.0.0.1"),
    7948,
    frozenset(map(ip_address, ("10.0.0.1", "10.0.0.2"))),
    frozenset({WEB}),
    {"IPv4": 1410, "IPv6": 1390},
)


def test_elements_that_change_are_all_that_is_written() -> None:
    changed = replace(RULES, nodes=frozenset({ip_address("10.0.0.2")}), frontends=frozenset({WEB, DNS}))
    assert diff(RULES, changed).splitlines() == [
        "delete element inet heraldlb-tunnel nodes { 10.0.0.1 }",
        "add element inet heraldlb-tunnel IPv6 { 2001:db8::1 . 53 }",
    ]
    assert diff(RULES, RULES) == ""


def test_a_port_of_both_protocols_is_one_element() -> None:
    both = replace(RULES, frontends=frozenset({WEB, replace(WEB, protocol="UDP")}))
    assert diff(RULES, both) == ""


def test_other_rules_replace_the_table_and_none_removes_it() -> None:
    other = replace(RULES, port=9999)
    assert diff(RULES, other) == full(other)
    assert diff(TunnelRules(), RULES) == full(RULES)
    assert diff(RULES, TunnelRules()) == full(TunnelRules()) == removal()
