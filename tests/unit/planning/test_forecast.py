from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldlb.api.ranges import parse_address
from heraldlb.cli.kubectl.offline import snapshot_of
from heraldlb.cli.kubectl.snapshot import controller_view
from heraldlb.controller.settings import ControllerSettings
from heraldlb.planning.changes import Fate, fate_of
from heraldlb.planning.forecast import Forecast
from tests.unit.allocation.build import REQUIRE, ip, pool, service

NOW = 1_800_000_000.0


def held(name: str, *addresses: str, **fields: Any) -> dict[str, Any]:
    status = {"loadBalancer": {"ingress": [{"ip": address} for address in addresses]}}
    return {"apiVersion": "v1", "kind": "Service", **service(name, status=status, **fields)}


def forecast(*services: dict[str, Any], pools: list[Any]) -> Forecast:
    view = controller_view(snapshot_of(services, NOW))
    return Forecast(view, ControllerSettings(), pools, NOW)


def addresses(found: Forecast) -> dict[str, list[str]]:
    return {name.name: [str(each) for each in found.held(name)] for name in found.outcomes}


def test_what_is_freed_by_an_edit_goes_to_the_oldest_that_waits_and_each_is_told_why_it_waits_in_the_end() -> None:
    services = (
        held("young", created="2026-01-03T00:00:00Z"),
        held("old", created="2026-01-02T00:00:00Z"),
        held("has", "10.0.0.1", created="2026-01-01T00:00:00Z"),
    )
    found = forecast(*services, pools=[pool("lan", "10.0.0.1")])
    assert addresses(found) == {"has": ["10.0.0.1"], "old": [], "young": []}
    found.replace_pools([pool("lan", "10.0.0.2-10.0.0.3")])
    assert addresses(found) == {"has": ["10.0.0.2"], "old": ["10.0.0.3"], "young": []}
    messages = {name.name: outcome.message for name, outcome in found.outcomes.items()}
    assert messages["young"] == 'no IPv4 address: pool "lan": all 2 IPv4 addresses are assigned'


def test_who_waits_is_told_of_whoever_came_into_the_way_after_it_was_visited() -> None:
    found = forecast(
        held("oldest", created="2026-01-01T00:00:00Z", **REQUIRE),
        held("young", created="2026-01-02T00:00:00Z"),
        pools=[pool("lan", "10.0.0.1")],
    )
    assert addresses(found) == {"oldest": [], "young": ["10.0.0.1"]}
    messages = {name.name: outcome.message for name, outcome in found.outcomes.items()}
    # When it was visited, there was an IPv4 address left, and only one of IPv6 was missing.
    assert "its one IPv4 address is assigned" in messages["oldest"]


def test_a_service_that_is_gone_and_still_recorded_makes_room() -> None:
    record = {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "ServiceAddress",
        "metadata": {"name": "10.0.0.1"},
        "spec": {
            "address": "10.0.0.1",
            "addressPool": "lan",
            "services": [{"namespace": "default", "name": "gone", "uid": "former", "ports": []}],
        },
    }
    found = forecast(record, held("new"), pools=[pool("lan", "10.0.0.1")])
    assert addresses(found) == {"new": ["10.0.0.1"]}


@given(
    shown=st.lists(st.integers(1, 12), max_size=8, unique=True),
    waiting=st.integers(0, 4),
    first=st.integers(1, 6),
    last=st.integers(6, 12),
)
def test_nobody_loses_an_address_that_some_pool_still_has_and_nobody_gets_one_twice(
    shown: list[int], waiting: int, first: int, last: int
) -> None:
    services = [held(f"s{index}", f"10.0.0.{host}") for index, host in enumerate(shown)]
    services += [held(f"w{index}", created="2020-01-01T00:00:00Z") for index in range(waiting)]
    found = forecast(*services, pools=[pool("all", "10.0.0.1-10.0.0.12")])
    before = addresses(found)
    found.replace_pools([pool("part", f"10.0.0.{first}-10.0.0.{last}")])
    after = addresses(found)
    given = [address for each in after.values() for address in each]
    assert len(given) == len(set(given)) == min(len(services), last - first + 1)
    for name, former in before.items():
        for address in former:
            if first <= int(address.rpartition(".")[2]) <= last:
                assert after[name] == [address]


@pytest.mark.parametrize(
    ("before", "after", "fate"),
    [
        ("", "", Fate.WAITS),
        ("", "10.0.0.1", Fate.GETS),
        ("10.0.0.1", "10.0.0.1 fd00::1", Fate.GETS),
        ("10.0.0.1 fd00::1", "fd00::1 10.0.0.1", Fate.KEEPS),
        ("10.0.0.1", "10.0.0.2", Fate.MOVES),
        ("10.0.0.1 fd00::1", "10.0.0.1", Fate.LOSES),
        ("10.0.0.1", "", Fate.LOSES),
    ],
)
def test_a_fate_is_one_word(before: str, after: str, fate: Fate) -> None:
    assert fate_of(tuple(map(ip, before.split())), tuple(map(parse_address, after.split()))) is fate
