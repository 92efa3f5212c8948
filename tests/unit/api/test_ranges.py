from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldlb.api.ranges import AddressRange, RangeError, address_at, parse_address, parse_range

ip = ipaddress.ip_address


@pytest.mark.parametrize(
    ("entry", "first", "last"),
    [
        ("192.168.2.0/28", "192.168.2.0", "192.168.2.15"),
        ("192.168.1.240-192.168.1.250", "192.168.1.240", "192.168.1.250"),
        ("192.168.1.240 - 192.168.1.250", "192.168.1.240", "192.168.1.250"),
        ("192.168.1.7", "192.168.1.7", "192.168.1.7"),
        ("10.0.0.1/32", "10.0.0.1", "10.0.0.1"),
        ("fd00:1::/120", "fd00:1::", "fd00:1::ff"),
        ("fd00:1::10-fd00:1::1f", "fd00:1::10", "fd00:1::1f"),
        ("FD00:1::A", "fd00:1::a", "fd00:1::a"),
    ],
)
def test_an_entry_is_the_range_it_names(entry: str, first: str, last: str) -> None:
    found = parse_range(entry)
    assert ip(first) in found
    assert ip(last) in found
    assert found.size == int(ip(last)) - int(ip(first)) + 1


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("192.168.1.300", "is not an IP address"),
        ("", "is not an IP address"),
        ("lan", "is not an IP address"),
        ("192.168.1.0/33", "prefix length must be 0 to 32"),
        ("192.168.1.0/", "prefix length"),
        ("192.168.1.5/28", "has host bits set: write 192.168.1.0/28"),
        ("fd00::5/64", "has host bits set: write fd00::/64"),
        ("192.168.1.9-192.168.1.2", "is reversed: write 192.168.1.2-192.168.1.9"),
        ("192.168.1.1-fd00::1", "mixes IPv4 and IPv6"),
        ("::ffff:10.0.0.1", "write 10.0.0.1"),
        ("fe80::1%eth0", "carries a zone"),
    ],
)
def test_what_is_no_range_is_refused_with_what_to_write(entry: str, complaint: str) -> None:
    with pytest.raises(RangeError, match=complaint):
        parse_range(entry)


@given(st.text(alphabet="0123456789abcdef:./- %", max_size=40))
def test_no_text_raises_anything_but_a_range_error(entry: str) -> None:
    try:
        found = parse_range(entry)
    except RangeError:
        return
    assert found.first <= found.last
    assert parse_address(str(address_at(found.family, found.first))) in found


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_ranges_overlap_exactly_when_they_share_an_address(a: int, b: int, c: int, d: int) -> None:
    one, other = AddressRange("IPv4", min(a, b), max(a, b)), AddressRange("IPv4", min(c, d), max(c, d))
    shared = max(one.first, other.first) <= min(one.last, other.last)
    assert one.overlaps(other) is shared
    assert other.overlaps(one) is shared
