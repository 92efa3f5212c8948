"""The tables of detours as text: what changes, and no more."""

from __future__ import annotations

import re
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from heraldlb.forwarding.detour import TABLE, Detours, Hop, diff, full, removal

ADDRESSES = tuple(map(ip_address, ("10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2")))
GATEWAYS = {4: ("192.168.1.1", "192.168.1.2"), 6: ("fd01::1", "fd01::2")}
AGENTS = ("02:00:00:00:00:01", "02:00:00:00:00:02")

Tables = dict[tuple[str, str], dict[str, str]]


@st.composite
def states(draw: st.DrawFn) -> Detours:
    hops = {
        address: Hop(ip_address(draw(st.sampled_from(GATEWAYS[address.version]))), draw(st.integers(1, 3)))
        for address in draw(st.sets(st.sampled_from(ADDRESSES)))
    }
    return Detours(
        hops, draw(st.frozensets(st.sampled_from(ADDRESSES))), draw(st.frozensets(st.sampled_from(AGENTS)))
    )


def executed(text: str, tables: Tables | None = None) -> Tables:
    """What is in the maps afterwards, by family and name. As strict as the kernel about what is there and not."""
    found: Tables = {place: dict(elements) for place, elements in (tables or {}).items()}
    statements = re.findall(r"^(\w+) element (\w+) (\S+) (\w+) \{\n([^}]*)\n\}$", text, re.MULTILINE)
    for verb, family, table, name, body in statements:
        assert table == TABLE
        elements = found.setdefault((family, name), {})
        for entry in body.split(",\n"):
            key, _, value = entry.partition(" : ")
            if verb == "delete":
                del elements[key]
            else:
                assert key not in elements
                elements[key] = value
    return {place: elements for place, elements in found.items() if elements}


@given(states(), states())
def test_a_difference_leads_where_a_full_load_leads(old: Detours, new: Detours) -> None:
    assert executed(diff(old, new), executed(full(old))) == executed(full(new))


@given(states())
def test_nothing_is_written_where_nothing_changed(state: Detours) -> None:
    assert diff(state, state) == ""


def test_each_family_has_its_own_addresses_and_all_hardware_addresses() -> None:
    hops = {ADDRESSES[0]: Hop(ip_address("192.168.1.1"), 2), ADDRESSES[2]: Hop(ip_address("fd01::1"), 3)}
    found = executed(full(Detours(hops, frozenset(ADDRESSES), frozenset(AGENTS))))
    agents = dict.fromkeys(AGENTS, "")
    assert found == {
        ("ip", "gateways"): {"10.0.0.1": "192.168.1.1"},
        ("ip", "interfaces"): {"10.0.0.1": "2"},
        ("ip", "addresses"): {"10.0.0.1": "", "10.0.0.2": ""},
        ("ip", "agents"): agents,
        ("ip6", "gateways"): {"fd00::1": "fd01::1"},
        ("ip6", "interfaces"): {"fd00::1": "3"},
        ("ip6", "addresses"): {"fd00::1": "", "fd00::2": ""},
        ("ip6", "agents"): agents,
    }


def test_no_other_table_is_ever_named() -> None:
    text = full(Detours(addresses=frozenset(ADDRESSES), agents=frozenset(AGENTS)))
    named = re.findall(r"^\w+ (?:table|map|set|chain|rule|element) (\S+) (\S+)", text + removal(), re.MULTILINE)
    assert set(named) == {("ip", TABLE), ("ip6", TABLE)}
