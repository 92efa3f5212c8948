"""Who may connect to a load balancer's addresses."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from heraldlb.api.ranges import FAMILIES
from heraldlb.api.reasons import Reason
from heraldlb.forwarding.sources import allowed_sources, objections_to
from tests.unit.forwarding.builders import addresses

VIPS, NODE = addresses("172.16.0.1", "fd00:16::1"), addresses("192.168.0.1", "fd00::1")
ALL = None


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param((), (ALL, ALL), id="no ranges: everybody"),
        pytest.param(("198.51.100.0/24",), (("198.51.100.0/24",), ALL), id="of one family: no filter in the other"),
        pytest.param(("198.51.100.0/24", "0.0.0.0/0"), (ALL, ALL), id="one of length 0 admits all"),
        pytest.param(("10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8"), (("10.0.0.0/8",), ALL), id="overlaps are joined"),
        pytest.param((" 198.051.100.000/24",), (("198.51.100.0/24",), ALL), id="blanks, and leading zeros"),
        pytest.param(("198.51.100.9/24",), (("198.51.100.0/24",), ALL), id="host bits"),
        pytest.param(
            ("192.168.0.0/24", "fd00::/64"),
            (("172.16.0.1/32", "192.168.0.0/24"), ("fd00::/64", "fd00:16::1/128")),
            id="where the node itself is admitted, so are the Service's addresses",
        ),
        pytest.param(("198.51.100.0",), ((), ALL), id="no length: nobody of that family"),
        pytest.param(("fd00::/129",), (ALL, ()), id="IPv6, and none: nobody of that family"),
        pytest.param(("office",), ((), ()), id="anything: nobody"),
        pytest.param(("office", "198.51.100.0/24"), (("198.51.100.0/24",), ()), id="but who is named well"),
    ],
)
def test_allowed_sources(texts: tuple[str, ...], expected: tuple[tuple[str, ...] | None, ...]) -> None:
    found = tuple(allowed_sources(texts, family, VIPS, NODE) for family in FAMILIES)
    assert found == tuple(each if each is None else tuple(map(ip_network, each)) for each in expected)


def test_what_is_no_range_is_named_with_what_to_write() -> None:
    [objection] = objections_to(("198.51.100.0/24", "office"))
    assert objection.reason is Reason.INVALID_SOURCE_RANGE
    assert 'loadBalancerSourceRanges: "office" is not a CIDR' in objection.message
    assert "203.0.113.0/24" in objection.message
