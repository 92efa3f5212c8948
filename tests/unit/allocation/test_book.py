from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from heraldlb.allocation.book import PoolBook
from heraldlb.api.ranges import FAMILIES, address_at, family_of
from tests.unit.allocation.build import ip, pool

BASE = {"IPv4": int(ipaddress.ip_address("10.0.0.0")), "IPv6": int(ipaddress.ip_address("fd00::"))}


def written(family: str, first: int, size: int) -> str:
    start = BASE[family] + first
    return f"{ipaddress.ip_address(start)}-{ipaddress.ip_address(start + size)}"


entries = st.builds(written, st.sampled_from(FAMILIES), st.integers(1, 30), st.integers(0, 12))
pools = st.lists(
    st.tuples(st.lists(entries, min_size=1, max_size=3), st.lists(entries, max_size=2), st.integers(0, 2)),
    max_size=5,
)


@given(pools)
def test_the_owner_of_an_address_is_the_first_pool_in_order_that_contains_it(
    made: list[tuple[list[str], list[str], int]],
) -> None:
    book = PoolBook(
        pool(f"p{number}", *addresses, excluded=excluded, priority=priority)
        for number, (addresses, excluded, priority) in enumerate(made)
    )
    for family in FAMILIES:
        for value in range(BASE[family], BASE[family] + 50):
            address = address_at(family, value)
            expected = next((booked for booked in book if address in booked), None)
            assert book.owner(address) is expected
            owner, last = book.owner_of_run(family, value)
            assert owner is expected
            assert last >= value
            assert all(
                book.owner(address_at(family, each)) is owner for each in range(value, min(last, value + 50))
            )


def test_a_run_ends_where_the_owner_changes() -> None:
    book = PoolBook([pool("a", "10.0.0.4-10.0.0.7"), pool("b", "10.0.0.0/24")])
    ends = [
        (owner.pool.name if owner else None, str(address_at("IPv4", last)))
        for owner, last in (
            book.owner_of_run("IPv4", int(ip(text))) for text in ("10.0.0.0", "10.0.0.5", "10.0.0.8")
        )
    ]
    assert ends == [("b", "10.0.0.3"), ("a", "10.0.0.7"), ("b", "10.0.0.255")]


def test_an_address_of_a_pool_that_cannot_be_read_in_full_is_kept_by_the_pool_it_came_from() -> None:
    book = PoolBook([pool("broken", "10.0.0.9-10.0.0.1"), pool("whole", "10.1.0.1")])
    address = ip("10.0.0.5")
    assert family_of(address) == "IPv4"
    assert book.owner(address) is None
    broken = book.keeper(address, "broken")
    assert broken is not None
    assert broken.pool.name == "broken"
    assert book.keeper(address, "whole") is None
    assert book.keeper(address, "gone") is None
