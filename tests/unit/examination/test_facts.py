"""Facts on their way from an agent to a plugin, which may be of another version."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from heraldlb.examination.codec import DecodeError, decode, encode
from heraldlb.examination.facts import (
    AddressFacts,
    ForwardingFacts,
    Hindrance,
    LinkFacts,
    NodeFacts,
    PeerFacts,
    ProxyFacts,
    RefusedFacts,
    SpeakerFacts,
)
from heraldlb.examination.survey import Answerer, DhcpOffer, Question, Survey

FACTS = NodeFacts(
    node="node-1",
    version="0.1.0",
    kernel="6.1.0",
    clock=1_700_000_000.25,
    links=(
        LinkFacts(
            "eth0",
            mtu=1500,
            up=True,
            prefixes=(ip_network("192.168.1.0/24"), ip_network("fd00::/64")),
            addresses=(ip_address("192.168.1.1"), ip_address("fe80::1")),
            announces=True,
        ),
    ),
    settings={"net.ipv4.conf.eth0/100.rp_filter": "2"},
    hindrances=(Hindrance("net.ipv4.ip_forward", "is 0", blocking=True),),
    forwarding=ForwardingFacts(
        "auto", reason="kube-proxy forwards them", proxies=(ProxyFacts("kube-proxy", True),)
    ),
    speaker=SpeakerFacts(
        "SERVING",
        peers=(PeerFacts("node-2", ip_address("192.168.1.2"), heard_ago=0.02), PeerFacts("node-3")),
        refused=(RefusedFacts("BadSignature", 3, 0.5),),
        addresses=(AddressFacts(ip_address("192.168.1.240"), "eth0", 61.5, requests=4),),
    ),
)


def told(value: object) -> Any:
    return json.loads(json.dumps(encode(value)))


@pytest.mark.parametrize(
    "value",
    [
        FACTS,
        NodeFacts(),
        Question((ip_address("192.168.1.9"), ip_address("fd00::9")), dhcp=True),
        Survey(
            1,
            (Answerer(ip_address("192.168.1.9"), "02:00:00:00:00:09", "eth0"),),
            offers=(DhcpOffer(offered=None, mask="255.255.255.0"),),
        ),
    ],
    ids=["facts", "nothing", "question", "answer"],
)
def test_what_is_told_is_what_is_understood(value: object) -> None:
    assert decode(type(value), told(value)) == value


def test_names_are_those_of_kubernetes_own_json() -> None:
    [peer, _] = told(FACTS)["speaker"]["peers"]
    assert (peer["heardAgo"], peer["receivedAgo"], peer["address"]) == (0.02, None, "192.168.1.2")


def test_what_an_agent_of_another_version_adds_or_leaves_out_does_no_harm() -> None:
    newer = told(FACTS)
    newer["weather"] = "fine"
    newer["links"][0]["colour"] = {"of": ["cable"]}
    assert decode(NodeFacts, newer) == FACTS
    older = {"node": "node-1", "speaker": {"peers": [{"name": "node-2"}]}}
    assert decode(NodeFacts, older) == NodeFacts("node-1", speaker=SpeakerFacts(peers=(PeerFacts("node-2"),)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "the document is not an object"),
        ({"links": {}}, "links is not a list"),
        ({"links": [{}, 3]}, "links[1] is not an object"),
        ({"links": [{"mtu": "large"}]}, "links[0].mtu is not a whole number"),
        ({"links": [{"up": 1}]}, "links[0].up is not true or false"),
        ({"links": [{"prefixes": ["10.0.0.1/8"]}]}, "links[0].prefixes[0] is not a network in CIDR form"),
        ({"clock": True}, "clock is not a number"),
        ({"version": None}, "version is not a string"),
        ({"settings": {"a": 1}}, "settings.a is not a string"),
        ({"speaker": {"peers": [{"address": "here"}]}}, "speaker.peers[0].address is not an IP address"),
    ],
)
def test_a_wrong_type_is_one_error_that_names_the_field(wrong: object, message: str) -> None:
    with pytest.raises(DecodeError) as error:
        decode(NodeFacts, wrong)
    assert str(error.value) == message
