"""What the API server itself says about an AddressPool, in the words that the user gets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.kubectl import Kubectl


def pool(*addresses: str, name: str = "tried", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "heraldlb.io/v1beta1",
        "kind": "AddressPool",
        "metadata": {"name": name},
        "spec": {"addresses": list(addresses or ["192.168.1.1"]), **spec},
    }


ENTRIES = {
    "CIDR": "192.168.2.0/28",
    "CIDR of one IPv4 address": "192.168.2.5/32",
    "CIDR of one IPv6 address": "fd00::5/128",
    "IPv6 CIDR": "fd00:1::/120",
    "IPv6 CIDR larger than an integer counts": "fd00::/8",
    "range": "192.168.1.240-192.168.1.250",
    "range with blanks": "192.168.1.240 - 192.168.1.250",
    "range of one address": "192.168.1.240-192.168.1.240",
    "range over what would be two networks": "10.0.0.250-10.0.1.5",
    "IPv6 range": "fd00::1-fd00::ffff",
    "longest text": "fd00:1111:2222:3333:4444:5555:6666:7777  -  fd00:1111:2222:3333:4444:5555:6666:8888",
    "one IPv4 address": "10.9.8.7",
    "one IPv6 address": "fd00::7",
    "IPv6 in capitals and with zeros": "FD00:0:0:0:0:0:0:00A0",
    "public addresses": "203.0.113.0/24",
    "blanks around": " 10.9.8.7 ",
    "reversed range, which the controller reports": "10.0.0.9-10.0.0.1",
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_an_entry_is_accepted_as_written(kubectl: Kubectl, entry: str) -> None:
    assert kubectl.create(pool(entry))["spec"]["addresses"] == [entry]


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_an_excluded_entry_has_the_same_syntax(kubectl: Kubectl, entry: str) -> None:
    assert kubectl.create(pool("10.0.0.0/8", excluded=[entry]))["spec"]["excluded"] == [entry]


MALFORMED = {
    "octet too large": ("192.168.1.300", "is not an address range: write a CIDR"),
    "leading zero": ("192.168.01.3", "is not an address range: write a CIDR"),
    "prefix too long": ("10.0.0.0/33", "is not an address range: write a CIDR"),
    "netmask instead of a prefix": ("10.0.0.0/255.255.255.0", "is not an address range: write a CIDR"),
    "name": ("router.lan", "is not an address range: write a CIDR"),
    "last octet only": ("10.0.0.1-9", "is not an address range: write a CIDR"),
    "three ends": ("10.0.0.1-10.0.0.5-10.0.0.9", "is not an address range: write a CIDR"),
    "no end": ("10.0.0.1-", "is not an address range: write a CIDR"),
    "two entries in one": ("10.0.0.1,10.0.0.2", "is not an address range: write a CIDR"),
    "CIDR in a range": ("10.0.0.0/24-10.0.0.9", "mixes a range and a CIDR: write one or the other"),
    "mixed families": ("10.0.0.1-fd00::1", "mixes IPv4 and IPv6 in one range: write one entry for each family"),
    "IPv4 host bits": (
        "10.0.0.5/24",
        "has host bits set: write 10.0.0.0/24 for the whole network, or 10.0.0.5 for the one address",
    ),
    "IPv6 host bits": (
        "fd00::5/64",
        "has host bits set: write fd00::/64 for the whole network, or fd00::5 for the one address",
    ),
    "zone": ("fe80::1%eth0", 'carries a zone: leave out "%" and what follows it'),
    "IPv4-mapped address": ("::ffff:10.0.0.1", "has an IPv4-mapped IPv6 address: write it as IPv4"),
    "IPv4-mapped CIDR": ("::ffff:10.0.0.0/120", "has an IPv4-mapped IPv6 address: write it as IPv4"),
}


@pytest.mark.parametrize(("entry", "advice"), MALFORMED.values(), ids=MALFORMED.keys())
@pytest.mark.parametrize("field", ["addresses", "excluded"])
def test_a_malformed_entry_is_refused_by_field_text_and_remedy(
    kubectl: Kubectl, field: str, entry: str, advice: str
) -> None:
    spec = {"addresses": ["192.168.9.0/24"]} | {field: ["192.168.9.0/24", entry]}
    message = kubectl.refusal(pool() | {"spec": spec})
    assert f'spec.{field}[1]: Invalid value: "{entry}": "{entry}" {advice}' in message
    assert message.count("Invalid value") == 1, "one mistake, one message"


NOT_FOR_SERVICES = [
    "0.0.0.0/0",
    "127.0.0.1",
    "127.0.0.0/8",
    "169.254.1.1-169.254.1.9",
    "224.0.0.0/4",
    "fe80::/64",
    "::1",
    "ff02::1",
]


@pytest.mark.parametrize("entry", NOT_FOR_SERVICES)
def test_addresses_that_no_service_can_have_are_refused(kubectl: Kubectl, entry: str) -> None:
    message = kubectl.refusal(pool("10.0.0.1", entry))
    assert f'spec.addresses[1]: Invalid value: "{entry}"' in message
    assert "that a Service can have" in message


def test_a_malformed_entry_of_several_lines_is_still_explained(kubectl: Kubectl) -> None:
    assert "spec.addresses[0]: Invalid value: " in kubectl.refusal(pool("10.0.0.1\n10.0.0.2"))


def test_an_entry_that_is_given_twice_is_named(kubectl: Kubectl) -> None:
    message = kubectl.refusal(pool("10.0.0.1", "10.0.0.2", "10.0.0.1"))
    assert 'spec.addresses[2]: Duplicate value: "10.0.0.1"' in message


OVERLAPS = {
    "CIDR in a CIDR": (["10.0.0.0/28", "10.0.0.0/24"], "10.0.0.0/28 lies in 10.0.0.0/24"),
    "IPv6 CIDR in a CIDR": (["fd00::/64", "fd00::ff00/120"], "fd00::ff00/120 lies in fd00::/64"),
    "address in a CIDR": (["10.0.0.7", "10.0.0.0/24"], "10.0.0.7 lies in 10.0.0.0/24"),
    "start of a range in a CIDR": (["10.0.0.0/24", "10.0.0.250-10.0.1.5"], "10.0.0.250 lies in 10.0.0.0/24"),
    "end of a range in a CIDR": (["10.0.1.0/24", "10.0.0.250 - 10.0.1.5"], "10.0.1.5 lies in 10.0.1.0/24"),
}


@pytest.mark.parametrize(("entries", "finding"), OVERLAPS.values(), ids=OVERLAPS.keys())
def test_an_entry_that_meets_a_cidr_is_refused_with_both_named(
    kubectl: Kubectl, entries: list[str], finding: str
) -> None:
    message = kubectl.refusal(pool("172.16.0.0/24", "172.16.3.1-172.16.3.9", *entries))
    assert f"spec.addresses: Invalid value: {finding}: " in message
    assert "remove one of the two entries" in message


def test_ranges_that_meet_are_left_to_the_controller(kubectl: Kubectl) -> None:
    kubectl.create(pool("10.0.0.1-10.0.0.9", "10.0.0.5-10.0.0.20"))


LARGEST = {
    "IPv4 networks": [f"10.0.{i}.0/24" for i in range(256)],
    "IPv6 networks": [f"fd00:1111:2222:3333:4444:5555:6666:{0x1000 + i:x}/128" for i in range(256)],
    "IPv6 ranges": [
        f"fd00:1111:2222:3333:4444:5555:{0x1000 + i:x}:1111  -  fd00:1111:2222:3333:4444:5555:{0x1000 + i:x}:2222"
        for i in range(256)
    ],
    "networks and addresses": [
        *(f"fd00:1111:2222:3333:4444:5555:{0x1000 + i:x}:0/112" for i in range(128)),
        *(f"fd01:1111:2222:3333:4444:5555:{0x1000 + i:x}:1" for i in range(128)),
    ],
}


@pytest.mark.parametrize("entries", LARGEST.values(), ids=LARGEST.keys())
def test_a_pool_of_256_entries_is_within_the_cost_limits_of_cel(kubectl: Kubectl, entries: list[str]) -> None:
    assert len(kubectl.create(pool(*entries))["spec"]["addresses"]) == 256


def test_an_overlap_is_found_also_among_256_entries(kubectl: Kubectl) -> None:
    message = kubectl.refusal(pool(*(f"10.0.{i}.0/24" for i in range(254)), "10.0.7.128/25", "10.0.9.1"))
    assert "10.0.7.128/25 lies in 10.0.7.0/24" in message
    assert "10.0.9.1 lies in 10.0.9.0/24" in message


def test_more_than_256_entries_are_refused(kubectl: Kubectl) -> None:
    assert "spec.addresses" in kubectl.refusal(pool(*(f"10.0.{i // 256}.{i % 256}" for i in range(257))))


def test_a_pool_needs_addresses(kubectl: Kubectl) -> None:
    empty = pool()
    assert "spec.addresses: Required value" in kubectl.refusal(empty | {"spec": {}})
    assert "spec.addresses: Invalid value" in kubectl.refusal(empty | {"spec": {"addresses": []}})


def test_defaults_are_filled_in(kubectl: Kubectl) -> None:
    assert kubectl.create(pool("10.0.0.1"))["spec"] == {
        "addresses": ["10.0.0.1"],
        "assignment": "Automatic",
        "priority": 100,
        "skipNetworkAndBroadcast": False,
        "reuseDelay": "0s",
        "reclaimPolicy": "Release",
    }


@pytest.mark.parametrize("delay", ["0s", "30s", "5m", "1h", "1h30m", "1h30m5s", "500ms"])
def test_a_reuse_delay_is_accepted(kubectl: Kubectl, delay: str) -> None:
    assert kubectl.create(pool(reuseDelay=delay))["spec"]["reuseDelay"] == delay


@pytest.mark.parametrize("delay", ["30", "-5s", "5 m", "1d", "forever", "1.5h", ""])
def test_a_malformed_reuse_delay_is_refused_with_examples(kubectl: Kubectl, delay: str) -> None:
    message = kubectl.refusal(pool(reuseDelay=delay))
    assert f'spec.reuseDelay: Invalid value: "{delay}": "{delay}" is not a duration' in message
    assert "as in 30s, 5m or 1h30m" in message


WRONG = {
    "assignment": ({"assignment": "automatic"}, 'spec.assignment: Unsupported value: "automatic"'),
    "reclaim policy": ({"reclaimPolicy": "Delete"}, 'spec.reclaimPolicy: Unsupported value: "Delete"'),
    "limit of none": ({"maxPerNamespace": 0}, "spec.maxPerNamespace: Invalid value: 0"),
    "negative priority": ({"priority": -1}, "spec.priority: Invalid value: -1"),
    "namespace": ({"namespaces": ["ok", "Team_A"]}, 'spec.namespaces[1]: Invalid value: "Team_A": "Team_A" is not'),
    "namespace pattern": ({"namespaces": ["team-*"]}, "use namespaceSelector"),
    "namespace given twice": ({"namespaces": ["a", "a"]}, 'spec.namespaces[1]: Duplicate value: "a"'),
    "field that does not exist": ({"autoAssign": True}, 'unknown field "spec.autoAssign"'),
}


@pytest.mark.parametrize(("spec", "complaint"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_value_is_refused_by_its_field(kubectl: Kubectl, spec: dict[str, Any], complaint: str) -> None:
    assert complaint in kubectl.refusal(pool(**spec))
