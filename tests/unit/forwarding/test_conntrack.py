"""Conntrack entries as Linux sends them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from heraldlb.forwarding import nfnetlink as nl
from heraldlb.forwarding.conntrack import Flow, delete_request, flows, key
from heraldlb.forwarding.model import Backend, Frontend
from tests.unit.forwarding.builders import frontend

UDP = bytes.fromhex(
    "c00000000001220007000000f608000002000000340001801400018008000100c000020908000200ac1000011c0002800500010011000000"
    "060002000fa0000006000300003500003400028014000180080001000af4010508000200c00002091c000280050001001100000006000200"
    "14e90000060003000fa00000080003000000000a080008000000000008000c003a3ca4a508000b00000000010800070000000257"
    "1c001880080001000000000008000200000000000800030000000000"
)
"""192.0.2.9:4000 to 172.16.0.1:53, translated to 10.244.1.5:5353 and answered."""

TCP = bytes.fromhex(
    "200100000001220007000000f60800000a0000004c0001802c00018014000300fd000000000000000000000000000009"
    "14000400fd0000160000000000000000000000011c0002800500010006000000060002000fa0000006000300005000004c000280"
    "2c00018014000300fd00000100000000000000000000000514000400fd0000000000000000000000000000091c00028005000100"
    "06000000060002001f900000060003000fa000000800030000000008080008000000000008000c00825506c208000b0000000001"
    "0800070000000257300004802c000180050001000100000005000200000000000500030000000000060004000a00000006000500"
    "0a0000001c001880080001000000000008000200000000000800030000000000"
)
"""[fd00::9]:4000 to [fd00:16::1]:80, translated to [fd00:1::5]:8080, in SYN_SENT."""

DNS, WEB = frontend("172.16.0.1", 53, "UDP"), frontend("fd00:16::1", 80)
WANTED = frozenset(map(key, (DNS, WEB)))


@pytest.mark.parametrize(
    ("message", "to", "backend", "half_open"),
    [
        pytest.param(UDP, DNS, Backend(ip_address("10.244.1.5"), 5353), False, id="UDP over IPv4"),
        pytest.param(TCP, WEB, Backend(ip_address("fd00:1::5"), 8080), True, id="half-open TCP over IPv6"),
    ],
)
def test_entries_are_read(message: bytes, to: Frontend, backend: Backend, half_open: bool) -> None:
    [flow] = flows(nl.messages(message), WANTED)
    assert (flow.frontend, flow.backend, flow.half_open) == (to, backend, half_open)


def test_an_answered_connection_and_one_past_its_first_packet_are_not_half_open() -> None:
    seen_reply = TCP.replace(bytes.fromhex("0800030000000008"), bytes.fromhex("080003000000000a"))
    established = TCP.replace(bytes.fromhex("0500010001000000"), bytes.fromhex("0500010003000000"))
    assert [flow.half_open for flow in flows(nl.messages(seen_reply + established), WANTED)] == [False, False]


def test_other_frontends_and_other_zones_are_passed_over() -> None:
    zone = bytes.fromhex("0600120000070000")
    in_zone = (len(UDP) + len(zone)).to_bytes(4, "little") + UDP[4:] + zone
    assert list(flows(nl.messages(in_zone), WANTED)) == []
    assert len(list(flows(nl.messages(UDP + in_zone + TCP), WANTED))) == 2
    assert [flow.frontend for flow in flows(nl.messages(UDP + TCP), {key(WEB)})] == [WEB]


def test_what_is_deleted_is_named_by_its_original_ends_and_its_identity() -> None:
    [flow] = flows(nl.messages(UDP), WANTED)
    request = delete_request(flow, 9)
    original, identity = UDP[20:72], bytes.fromhex("08000c003a3ca4a5")
    assert request[20:] == original + identity


def test_a_request_to_delete_everything_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="handle"):
        delete_request(Flow(DNS, Backend(DNS.address, 53)), 1)
