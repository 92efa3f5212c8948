"""Checks of the nodes themselves: settings, links, clocks, versions, and who hears whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from heraldlb.cli.kubectl.doctor.check import Check
from heraldlb.cli.kubectl.doctor.checks import clocks, links, membership, requests, settings, strangers, versions
from heraldlb.cli.kubectl.doctor.seen import Reading, Seen
from heraldlb.cli.kubectl.findings import Severity
from heraldlb.examination.facts import Hindrance, LinkKind, NodeFacts, RefusedFacts
from tests.unit.cli.doctor.site import (
    HEALTHY,
    SETTINGS,
    announced,
    examined,
    facts,
    link,
    linked,
    peered,
    stored,
    told,
)
from tests.unit.cli.objects import WEB

SURVIVES = {"heraldlb.io/connection-survival": "true"}
ETH1 = link("eth1", "10.9.0.0/24", own="10.9.0.2")
SILENT = {"heard": False, "alive": False, "received_ago": None, "heard_ago": None}
DEAF = {"heard": False, "received_ago": 0.02, "heard_ago": None}
"""Of a peer whose datagrams come in and say that it hears nothing of this node."""


def found(check: object, seen: Seen) -> list[tuple[Severity, str, str]]:
    """What a check finds, without the remedies, of which there must be one each."""
    assert isinstance(check, object)
    findings = list(Check("", check).find(seen))  # type: ignore[arg-type]
    assert all(each.remedy for each in findings)
    return [(each.severity, each.subject, each.message) for each in findings]


def surviving(seen: Seen) -> Seen:
    """The same site, where a Service's connections are to survive."""
    web = {**WEB, "metadata": {**WEB["metadata"], "annotations": SURVIVES}}
    return replace(seen, snapshot=replace(seen.snapshot, services=(web,)))


def heard(name: str, *addresses: object) -> NodeFacts:
    """A node that announces these."""
    made = facts(name)
    return replace(made, speaker=replace(made.speaker, addresses=addresses))  # type: ignore[arg-type]


# -- settings


def test_what_agents_found_themselves_is_told_once_for_all_nodes() -> None:
    hindrance = Hindrance("net.ipv4.ip_forward", "net.ipv4.ip_forward is 0: no. Set it: sysctl -w it=1", True)
    mild = Hindrance("mtu", "the links take less", False)
    broken = told(facts("n1", hindrances=(hindrance, mild)), facts("n3", hindrances=(hindrance,)))
    assert found(settings.hindrances, broken) == [
        (Severity.WRONG, "nodes n1, n3", "net.ipv4.ip_forward is 0: no"),
        (Severity.NOTICE, "node n1", "the links take less"),
    ]
    assert [each.remedy for each in settings.hindrances(broken)] == [
        "Set it: sysctl -w it=1",
        "look at mtu there",
    ]


STRICT = {**SETTINGS, "net.ipv4.conf.eth1.rp_filter": "1"}


@pytest.mark.parametrize(
    ("node", "hindered"),
    [
        (facts("n1", links=(*facts("n1").links, ETH1), settings=STRICT), True),
        (
            facts("n1", links=(*facts("n1").links, ETH1), settings={**STRICT, "net.ipv4.conf.all.rp_filter": "2"}),
            False,
        ),
        (facts("n1", links=(*facts("n1").links, replace(ETH1, announces=False)), settings=STRICT), False),
        (facts("n1", settings={**SETTINGS, "net.ipv4.conf.eth0.rp_filter": "1"}), False),
    ],
    ids=["strict beside the default route", "loose for all", "announces nothing", "strict on the default route"],
)
def test_a_strict_filter_matters_where_answers_leave_by_another_link(node: NodeFacts, hindered: bool) -> None:
    messages = [message for _, _, message in found(settings.reverse_paths, told(node))]
    assert [message.split()[0] for message in messages] == ["net.ipv4.conf.eth1.rp_filter"] * hindered


def test_a_strict_filter_that_the_agent_has_named_is_not_told_twice() -> None:
    named = (Hindrance("net.ipv4.conf.eth1.rp_filter", "it is strict. Set it"),)
    node = facts("n1", links=(*facts("n1").links, ETH1), settings=STRICT, hindrances=named)
    assert found(settings.reverse_paths, told(node)) == []


def test_redirects_are_told_where_connections_should_survive_and_nowhere_else() -> None:
    sending = facts("n1", settings={**SETTINGS, "net.ipv4.conf.eth0.send_redirects": "1"})
    taking = facts(
        "n2",
        settings={
            **SETTINGS,
            "net.ipv4.conf.all.accept_redirects": "1",
            "net.ipv4.conf.eth0.accept_redirects": "1",
        },
    )
    half = facts("n3", settings={**SETTINGS, "net.ipv4.conf.eth0.accept_redirects": "1"})
    seen = told(sending, taking, half)
    assert found(settings.redirects, seen) == []
    first, second = found(settings.redirects, surviving(seen))
    assert first[2].startswith("are sent by eth0 of n1 for what")
    assert second[2].startswith("are accepted by eth0 of n2:")
    assert found(settings.redirects, surviving(HEALTHY)) == []


def test_disabled_ipv6_is_told_where_a_pool_has_it() -> None:
    name = "net.ipv6.conf.eth0.disable_ipv6"
    broken = told(facts("n1", settings={**SETTINGS, name: "1"}))
    assert found(settings.ipv6_disabled, broken) == []
    pools = ({**broken.snapshot.pools[0], "spec": {"addresses": ["fd00::/120"]}},)
    [(_, subject, message)] = found(
        settings.ipv6_disabled, replace(broken, snapshot=replace(broken.snapshot, pools=pools))
    )
    assert (subject, message) == ("node n1", f"{name} is 1: no IPv6 address of pool lan is announced on it")


# -- links


def test_wireless_links_are_told_if_they_announce() -> None:
    wireless = link("wlan0", kind=LinkKind.WIRELESS.value)
    [(severity, _, message)] = found(links.wireless, told(linked("n1", wireless)))
    assert (severity, message.startswith("wlan0 of n1: wireless")) == (Severity.NOTICE, True)
    assert found(links.wireless, told(linked("n1", replace(wireless, announces=False)))) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"carrier": False}, ["eth0 has no carrier: the node announces nothing of pool lan on it"]),
        ({"carrier": False, "up": False}, ["eth0 is down: the node announces nothing of pool lan on it"]),
        ({}, []),
    ],
)
def test_a_link_without_carrier_is_wrong_where_a_pool_needs_it(changes: dict[str, bool], says: list[str]) -> None:
    broken = link(announces=False, **changes)
    elsewhere = link("eth7", "10.0.0.0/8", carrier=False, announces=False)
    messages = found(links.without_carrier, told(linked("n1", broken, elsewhere)))
    assert messages == [(Severity.WRONG, "node n1", each) for each in says]


@pytest.mark.parametrize(
    ("there", "severity", "says"),
    [
        (
            [link(kind="ipvlan", mode="l2", parent="eth1")],
            Severity.WRONG,
            "those for Services' addresses go to its",
        ),
        (
            [link(kind="macvlan", mode="bridge", parent="eth1")],
            Severity.NOTICE,
            "the machine that has eth1 does not",
        ),
        ([link(kind="bond", mode="balance-alb")], Severity.NOTICE, "changes the hardware address in ARP replies"),
        (
            [link(master="br0"), link("br0", kind="bridge", announces=False)],
            Severity.WRONG,
            "a port of the bridge br0",
        ),
        ([link(kind="bond", mode="active-backup")], None, ""),
        ([link(master="red"), link("red", kind="vrf", announces=False)], None, ""),
        ([link(kind="ipvlan", announces=False)], None, ""),
        ([link("br0", kind="bridge")], None, ""),
    ],
    ids=["ipvlan", "macvlan", "balance-alb", "bridge port", "bond", "vrf", "silent ipvlan", "bridge"],
)
def test_links_that_mislead_frames_are_told_by_their_kind(
    there: list[object], severity: Severity | None, says: str
) -> None:
    messages = found(links.misleading, told(linked("n1", *there)))  # type: ignore[arg-type]
    assert [each[0] for each in messages] == [severity] * (severity is not None)
    assert all(says in each[2] for each in messages)


def test_nodes_of_one_segment_that_differ_in_mtu_are_told_once_and_wrong_where_connections_survive() -> None:
    both = ("192.168.1.0/24", "fd00::/64")
    seen = told(*(linked(name, link("eth0", *both, mtu=mtu)) for name, mtu in (("n1", 9000), ("n2", 1500))))
    assert found(links.mtu, seen) == [
        (
            Severity.NOTICE,
            "MTU",
            "differs on 192.168.1.0/24 (1500: eth0 of n2, eth0 of n3; 9000: eth0 of n1): packets that one node"
            " sends are too long for another",
        ),
        (
            Severity.NOTICE,
            "MTU",
            "differs on fd00::/64 (1500: eth0 of n2; 9000: eth0 of n1): packets that one node sends are too long"
            " for another",
        ),
    ]
    [first, _] = found(links.mtu, surviving(seen))
    assert first[0] is Severity.WRONG
    apart = told(linked("n1", link("eth0", "10.0.0.0/24", mtu=9000)))
    assert found(links.mtu, apart) == []
    everywhere = told(
        *(linked(name, link("eth0", *both, mtu=mtu)) for name, mtu in zip(HEALTHY.examined, (1, 2, 3), strict=True))
    )
    assert len(found(links.mtu, everywhere)) == 1


# -- requests


@pytest.mark.parametrize(
    ("addresses", "says"),
    [
        ([announced("192.168.1.240", requests=0)], True),
        ([announced("192.168.1.240", requests=0), announced("192.168.1.241")], False),
        ([announced("192.168.1.240", requests=0), announced("192.168.1.241", link="eth1")], True),
        ([announced("192.168.1.240", requests=0), announced("fd00::1")], True),
        ([announced("192.168.1.240", requests=0, seconds=30.0)], False),
    ],
    ids=["none", "another is asked for", "on another link", "of another family", "too early to tell"],
)
def test_addresses_that_nobody_asks_for_are_suspicious_unless_others_of_the_link_are_asked_for(
    addresses: list[object], says: bool
) -> None:
    messages = found(requests.unrequested, told(heard("n1", *addresses)))
    assert len(messages) == says
    if says:
        [(severity, _, message)] = messages
        assert severity is Severity.NOTICE
        assert message.startswith("no ARP request has come in on eth0 of n1 for 192.168.1.240 in 1h; meanwhile ")
        assert "eth0 of n2 was asked for others. Nobody may want them; or something filters" in message


def test_nodes_that_nobody_asks_are_told_together() -> None:
    seen = told(*(heard(name, announced(f"192.168.1.24{name[1]}", requests=0)) for name in ("n1", "n2", "n3")))
    [(_, _, message)] = found(requests.unrequested, seen)
    assert "on eth0 of n1 for 192.168.1.241 in 1h, on eth0 of n2 for 192.168.1.242 in 1h, on eth0 of n3" in message
    assert "meanwhile" not in message


def test_the_command_that_settles_it_is_told() -> None:
    [four] = requests.unrequested(told(heard("n1", announced("192.168.1.240", requests=0))))
    assert "ip neigh flush to 192.168.1.240; ping -c1 192.168.1.240" in four.remedy
    [six] = requests.unrequested(told(heard("n1", announced("fd00::1", requests=0))))
    assert "ping -6 -c1 fd00::1" in six.remedy


def test_a_claim_is_told_unless_a_service_says_so_already() -> None:
    seen = told(heard("n2", announced("192.168.1.240", foreign_claims=30)))
    message = "192.168.1.240, which it announces on eth0, was claimed by others 30 times since then"
    assert found(strangers.claims, seen) == [(Severity.NOTICE, "node n2", message)]
    assert found(strangers.claims, HEALTHY) == []
    moved = told(heard("n2", announced("192.168.1.240", foreign_claims=5)))
    assert found(strangers.claims, moved) == [], "nodes claim it, too, while it moves"
    shared = told(heard("n2", announced("192.168.1.240", foreign_claims=30, sharers=3)))
    assert found(strangers.claims, shared) == []
    conflict = {
        "type": "Conflict",
        "status": "True",
        "reason": "AddressConflict",
        "message": "it is",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    record = seen.snapshot.records[0]
    contested = {**record, "status": {**record["status"], "conditions": [conflict]}}
    known = replace(seen, snapshot=replace(seen.snapshot, records=(contested,)))
    assert found(strangers.claims, known) == []


# -- membership


@pytest.mark.parametrize(
    ("nodes", "way"),
    [
        ([peered("n1", n3=SILENT), peered("n3", n1=SILENT)], "between n1 and n3"),
        ([peered("n1", n3=SILENT), peered("n3", n1=DEAF)], "from n3 to n1, but the other way round"),
        ([peered("n1", n3=DEAF), peered("n3", n1=SILENT)], "from n1 to n3, but the other way round"),
    ],
)
def test_heartbeats_that_do_not_get_through_are_told_with_their_direction(nodes: list[NodeFacts], way: str) -> None:
    [(severity, subject, message)] = found(membership.unheard, told(*nodes))
    assert (severity, subject) == (Severity.WRONG, "membership")
    assert message.startswith(f"heartbeats do not get through {way}, though the agents run:")
    [finding] = membership.unheard(told(*nodes))
    assert finding.remedy.startswith("open UDP port 7947 ")


@pytest.mark.parametrize(
    "node",
    [
        peered("n1", n3={**SILENT, "expected": False}),
        peered("n1", n3={**SILENT, "address": None}),
        replace(peered("n1", n3=SILENT), started=facts("n1").clock - 1),
        replace(peered("n1", n3=SILENT), speaker=replace(facts("n1").speaker, standing="")),
    ],
    ids=["a ring's far node", "no address", "just started", "no speaker"],
)
def test_who_need_not_be_heard_is_not_missed(node: NodeFacts) -> None:
    assert found(membership.unheard, told(node)) == []


def test_of_one_node_alone_the_other_direction_is_not_claimed_to_be_open() -> None:
    alone = replace(HEALTHY, node="n1", examined=examined(peered("n1", n3=SILENT)))
    [(_, _, message)] = found(membership.unheard, alone)
    assert message.startswith("heartbeats do not get through from n3 to n1, though the agents run:")


def test_a_node_without_a_running_agent_is_not_missed() -> None:
    without = stored(pods=HEALTHY.snapshot.pods[:3])
    assert found(membership.unheard, replace(without, examined=examined(peered("n1", n3=SILENT)))) == []


@pytest.mark.parametrize(
    ("verdict", "ago", "severity"),
    [
        ("BadSignature", 1.0, Severity.WRONG),
        ("Malformed", 1.0, Severity.NOTICE),
        ("UnknownSender", 1.0, Severity.NOTICE),
        ("BadSignature", 600.0, None),
        ("Unconfirmed", 1.0, None),
        ("Stale", 1.0, None),
    ],
)
def test_datagrams_refused_lately_are_told_by_what_it_means(
    verdict: str, ago: float, severity: Severity | None
) -> None:
    speaker = replace(peered("n1", n3=SILENT).speaker, refused=(RefusedFacts(verdict, 12, ago),))
    seen = told(facts("n1", speaker=speaker))
    messages = found(membership.refused, seen)
    assert [each[0] for each in messages] == [severity] * (severity is not None)
    assert all("12 times on n1, the last 1s ago" in each[2] for each in messages)
    blamed = bool(found(membership.unheard, seen))
    assert blamed is (severity is not Severity.WRONG), "a wrong key is no blocked port"


def test_an_agent_that_has_just_started_knows_not_all_senders_yet() -> None:
    young = facts("n1", started=facts("n1").clock - 40)
    for ago, refused in ((35.0, False), (20.0, True)):
        speaker = replace(young.speaker, refused=(RefusedFacts("UnknownSender", 2, ago),))
        assert bool(found(membership.refused, told(replace(young, speaker=speaker)))) is refused


def test_a_node_that_takes_itself_for_cut_off_and_one_without_an_address_are_told() -> None:
    isolated = told(facts("n3", speaker=replace(facts("n3").speaker, standing="ISOLATED")))
    assert [each[2].split(":")[0] for each in found(membership.isolated, isolated)] == ["n3"]
    assert found(membership.isolated, HEALTHY) == []
    unreachable = told(peered("n1", n2={"address": None}))
    assert [each[2].split(":")[0] for each in found(membership.unreachable, unreachable)] == ["n2"]
    assert found(membership.unreachable, HEALTHY) == []


def test_that_the_tunnels_port_is_open_is_never_claimed() -> None:
    assert list(membership.tunnel(HEALTHY)) == []
    [words] = membership.tunnel(told(facts("n1", tunnel_port=7948)))
    assert "UDP port 7948" in words


# -- clocks and versions


@pytest.mark.parametrize(
    ("ahead", "severity"),
    [({"n2": 1.5}, None), ({"n2": 10.0}, Severity.NOTICE), ({"n2": -90.0, "n3": 5.0}, Severity.WRONG)],
)
def test_clocks_are_held_against_the_api_servers(ahead: dict[str, float], severity: Severity | None) -> None:
    messages = found(clocks.of_nodes, told(**ahead))
    assert [each[0] for each in messages] == [severity] * (severity is not None)
    if severity is Severity.WRONG:
        assert "n2's is 90 s behind, n3's is 5 s ahead" in messages[0][2]


def test_without_the_api_servers_clock_nodes_are_held_against_each_other() -> None:
    [(_, _, message)] = found(clocks.of_nodes, replace(told(n1=300.0, n2=300.0, n3=340.0), server=None))
    assert message.startswith("held against most nodes', n3's is 40 s ahead")


def test_a_wrong_clock_of_this_machine_is_its_own_and_no_nodes() -> None:
    here = replace(told(n1=300.0, n2=300.0, n3=300.0), server=Reading(300.0, 0.5))
    assert found(clocks.of_nodes, here) == []
    [(severity, _, message)] = found(clocks.here, here)
    assert (severity, "this machine's is 300 s behind" in message) == (Severity.NOTICE, True)
    assert found(clocks.here, HEALTHY) == []


def test_versions_that_differ_are_told_and_whose() -> None:
    assert found(versions.parts, replace(HEALTHY, version="0.2.0")) == [
        (Severity.NOTICE, "versions", "this plugin is 0.2.0, and 0.1.0 runs in the cluster")
    ]
    assert found(versions.parts, HEALTHY) == []
    patched = told(facts("n1", version="0.1.1"))
    assert found(versions.behind_their_label, patched) == [
        (Severity.NOTICE, "node n1", "its agent is 0.1.1, and its pod is labelled 0.1.0")
    ]


@pytest.mark.parametrize(
    ("release", "old"), [("5.4.0-26-generic", True), ("5.6.0", False), ("6.12.1+", False), ("unknown", False)]
)
def test_kernels_that_lack_what_rules_are_made_of_are_told(release: str, old: bool) -> None:
    assert [each[0] for each in found(versions.kernels, told(facts("n1", kernel=release)))] == [
        Severity.WRONG
    ] * old
