from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heraldlb.api.addresspool import parse_duration, parse_pool
from heraldlb.api.announcements import InterfaceFilter
from heraldlb.api.conditions import Condition, merge
from heraldlb.api.endpoints import Endpoint, parse_endpoint_slice
from heraldlb.api.selectors import parse_selector
from heraldlb.api.serviceaddress import manifest, object_name, parse_service_address
from heraldlb.api.services import parse_service


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.168.1.240", "192.168.1.240"),
        ("fd00:1::a", "fd00-1-0-0-0-0-0-a"),
        ("2001:db8:0:0:1::", "2001-db8-0-0-1-0-0-0"),
    ],
)
def test_an_address_has_one_object_name(address: str, name: str) -> None:
    assert object_name(ipaddress.ip_address(address)) == name


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_different_addresses_have_different_names(one: int, other: int) -> None:
    names = {object_name(ipaddress.IPv6Address(value)) for value in (one, other)}
    assert len(names) == len({one, other})


def test_a_record_survives_being_written_and_read() -> None:
    raw = {
        "metadata": {"name": "10.0.0.1", "uid": "u", "resourceVersion": "7"},
        "spec": {
            "address": "10.0.0.1",
            "addressPool": "lan",
            "sharingKey": "k",
            "services": [
                {"namespace": "b", "name": "x", "uid": "2", "ports": [{"port": 80, "protocol": "TCP"}]},
                {"namespace": "a", "name": "x", "uid": "1", "ports": [{"port": 53, "protocol": "UDP"}]},
            ],
        },
    }
    record = parse_service_address(raw)
    assert record is not None
    body = manifest(record)
    assert body["metadata"]["name"] == "10.0.0.1"
    assert [holder["namespace"] for holder in body["spec"]["services"]] == ["a", "b"]
    again = parse_service_address(body)
    assert again is not None
    assert set(again.holders) == set(record.holders)


def test_a_service_that_lacks_everything_is_still_read() -> None:
    service = parse_service({})
    assert not service.is_load_balancer
    assert service.families == ("IPv4",)


FIELDS = [
    "metadata", "spec", "status", "annotations", "labels", "name", "namespace", "uid", "type", "ports", "port",
    "loadBalancer", "ingress", "ip", "ipFamilies", "selector", "addresses", "excluded", "conditions",
]  # fmt: skip
json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=6))
def test_no_json_makes_a_parser_raise(raw: dict[str, Any]) -> None:
    parse_service(raw)
    parse_pool(raw)
    parse_service_address(raw)


def pool(*addresses: str, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "lan", "generation": 3}, "spec": {"addresses": list(addresses), **spec}}


def test_a_bad_entry_is_named_and_the_others_serve() -> None:
    parsed = parse_pool(pool("192.168.1.9-192.168.1.2", "192.168.2.0/30"))
    assert [str(found) for found in parsed.ranges] == ["192.168.2.0-192.168.2.3"]
    assert parsed.unusable
    assert parsed.problems == (
        'spec.addresses[0]: "192.168.1.9-192.168.1.2" is reversed: write 192.168.1.2-192.168.1.9',
    )


def test_entries_that_overlap_are_named_by_the_later_one() -> None:
    parsed = parse_pool(pool("10.0.0.128/25", "10.0.1.0/24", "10.0.0.0/24"))
    assert len(parsed.problems) == 1
    assert parsed.problems[0].startswith('spec.addresses[2]: "10.0.0.0/24" overlaps "10.0.0.128/25"')
    assert not parsed.unusable


def test_network_and_broadcast_are_left_out_of_cidrs_only() -> None:
    parsed = parse_pool(
        pool("10.0.0.0/29", "10.1.0.0-10.1.0.7", "10.2.0.0/31", "fd00::/126", skipNetworkAndBroadcast=True)
    )
    assert [str(found) for found in parsed.ranges] == [
        "10.0.0.1-10.0.0.6",
        "10.1.0.0-10.1.0.7",
        "10.2.0.0-10.2.0.1",
        "fd00::-fd00::3",
    ]


@pytest.mark.parametrize(
    ("written", "seconds"), [("0s", 0), ("30s", 30), ("1h30m", 5400), ("500ms", 0.5), ("", 0), ("5", 0), ("x5s", 0)]
)
def test_durations_are_those_of_kubernetes(written: str, seconds: float) -> None:
    assert parse_duration(written) == seconds


@pytest.mark.parametrize(
    ("operator", "values", "labels", "matches"),
    [
        ("In", ["a", "b"], {"k": "a"}, True),
        ("In", ["a"], {}, False),
        ("NotIn", ["a"], {"k": "b"}, True),
        ("NotIn", ["a"], {}, True),
        ("Exists", [], {"k": ""}, True),
        ("DoesNotExist", [], {"k": ""}, False),
        ("Unheard", [], {"k": ""}, False),
    ],
)
def test_selector_operators(operator: str, values: list[str], labels: dict[str, str], matches: bool) -> None:
    selector = parse_selector({"matchExpressions": [{"key": "k", "operator": operator, "values": values}]})
    assert selector.matches(labels) is matches


def test_an_empty_selector_matches_everything() -> None:
    assert parse_selector({}).matches({"any": "thing"})


@pytest.mark.parametrize(
    ("include", "exclude", "name", "allowed"),
    [
        ((), (), "eth0", True),
        (("eth*",), (), "eth0", True),
        (("eth*",), (), "wlan0", False),
        (("eth*",), ("eth1",), "eth1", False),
        ((), ("docker*",), "docker0", False),
    ],
)
def test_interface_globs(include: tuple[str, ...], exclude: tuple[str, ...], name: str, allowed: bool) -> None:
    assert InterfaceFilter(include, exclude).allows(name) is allowed


def test_a_condition_keeps_its_time_until_its_status_flips() -> None:
    first = merge([], [Condition("Ready", True, "A", "m", 1)], "t1")
    second = merge(first, [Condition("Ready", True, "B", "n", 2)], "t2")
    third = merge(second, [Condition("Ready", False, "B", "n", 2)], "t3")
    assert [entries[0]["lastTransitionTime"] for entries in (first, second, third)] == ["t1", "t1", "t3"]
    assert merge(second, [Condition("Ready", True, "B", "n", 2)], "t4") == second


def test_conditions_of_others_are_kept() -> None:
    foreign = {"type": "example.com/Other", "status": "True"}
    assert foreign in merge([foreign], [Condition("Ready", True, "A", "m")], "t")


def test_conditions_of_an_endpoint_that_are_unset_are_taken_as_the_api_documents() -> None:
    def endpoint(conditions: dict[str, Any]) -> Endpoint:
        [found] = parse_endpoint_slice(
            {"endpoints": [{"addresses": ["10.0.0.1"], "conditions": conditions}]}
        ).endpoints
        return found

    assert endpoint({}) == endpoint({"ready": True, "serving": True, "terminating": False})
    leaving = endpoint({"ready": False, "serving": None, "terminating": True})
    assert (leaving.ready, leaving.serving, leaving.terminating) == (False, True, True)
