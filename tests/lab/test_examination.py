"""What a node sees of real links and settings, and whom it finds on a real LAN, beside a speaker that works."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import TypeVar

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, Ether

from heraldlb.examination import reading, sysctl
from heraldlb.examination.facts import LinkFacts
from heraldlb.examination.network import survey
from heraldlb.examination.survey import Answerer, Question, Survey
from lab.namespaces import Surroundings, named, run_in
from tests.lab.speaker_net import ALL, CLIENT, CLIENT_MAC, MAC, NODES, Lan, until

T = TypeVar("T")

ASKING = "node-1"
SILENT = ["192.168.78.77", "fd78::77"]
"""Addresses that nobody has."""
UNHURRIED = 10.0
"""Seconds of silence that a busy machine does not cause."""
THIEF = "02:00:00:00:00:96"
OFFERED = ("192.168.78.160", "192.168.78.169")


def on_node(lan: Lan, function: Callable[[], T]) -> T:
    """Call it as the agent of the asking node would."""
    return run_in(Surroundings(network=named(lan.namespace(ASKING)), own_system_view=True), function)


def links_of(lan: Lan) -> dict[str, LinkFacts]:
    found = on_node(lan, lambda: reading.read_links(reading.known_links(), {"eth0"}))
    return {link.name: link for link in found}


def ask(lan: Lan, question: Question, seconds: float | None = None) -> Survey | None:
    """The answer; None if it was cancelled after some seconds."""
    links = tuple(links_of(lan).values())
    in_use = frozenset(map(ip_address, ALL))

    async def asking() -> Survey | None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                return await survey(question, links, in_use.__contains__)
        return None

    return on_node(lan, lambda: asyncio.run(asking()))


def open_on_node(lan: Lan) -> list[str]:
    """Packet sockets in the node's namespace, and multicast groups that it is in."""
    files = ("packet", "igmp6")
    return on_node(lan, lambda: [Path("/proc/thread-self/net", each).read_text() for each in files])


def open_files() -> int:
    """Of this process, whichever network namespace they belong to."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def hosts(lan: Lan) -> Lan:
    """Beside the client a host that has the client's address as well."""
    lan.add_hosts({"thief": THIEF})
    lan.ip("thief", f"addr add {CLIENT[4]}/32 dev eth0")
    return lan


def test_links_and_settings_are_told_as_they_are(lan: Lan) -> None:
    lan.ip(ASKING, "link set eth0 mtu 1400 promisc on")
    lan.ip(ASKING, "link add link eth0 name eth0.7 type macvlan mode private")
    lan.ip(ASKING, "link add br0 type bridge")
    lan.ip(ASKING, "link add pod type veth peer name inside")
    lan.ip(ASKING, "link set pod master br0 up")
    lan.ip(ASKING, "addr add 10.9.0.1/16 dev br0")
    lan.ip(ASKING, "route add default via 192.168.78.100")
    strict = sysctl.of_link("IPv4", "eth0.7", "rp_filter")
    on_node(lan, lambda: Path("/proc/sys", sysctl.path(strict)).write_text("1"))

    links = links_of(lan)

    eth0 = links["eth0"]
    assert (eth0.kind, eth0.mac, eth0.mtu) == ("veth", MAC[ASKING], 1400)
    assert (eth0.up, eth0.carrier, eth0.promiscuous, eth0.announces) == (True, True, True, True)
    expected = {ip_network(each) for each in ("192.168.78.0/24", "10.78.0.0/24", "fd78::/64")}
    assert expected <= set(eth0.prefixes)
    assert {ip_address("192.168.78.1"), ip_address("fd78::1")} <= set(eth0.addresses)
    assert eth0.gateways == (ip_address(CLIENT[4]),)
    side = links["eth0.7"]
    assert (side.kind, side.mode, side.parent, side.up) == ("macvlan", "private", "eth0", False)
    assert (links["br0"].kind, links["br0"].addresses) == ("bridge", (ip_address("10.9.0.1"),))
    assert not side.promiscuous
    assert "pod" not in links
    assert links["lo"].kind == "loopback"

    settings = on_node(lan, lambda: reading.read_settings(sysctl.watched(["eth0", "eth0.7"])))
    assert settings[strict] == "1"
    assert settings[sysctl.of_link("IPv6", "eth0", "disable_ipv6")] == "0"
    assert {sysctl.of_link("IPv4", link, "arp_ignore") for link in ("all", "eth0")} <= settings.keys()


def test_hosts_that_have_an_address_are_found_and_the_speaker_goes_on_undisturbed(hosts: Lan) -> None:
    hosts.start(*NODES, failure_timeout=UNHURRIED)
    hosts.apply(*NODES)
    hosts.await_agreement(*NODES)
    owners = hosts.await_owners(*ALL)
    changes = {node: list(hosts.speakers[node].changes) for node in NODES}
    for _ in hosts.received(0.001):
        pass
    wanted = [*CLIENT.values(), *SILENT, ALL[0], "192.168.78.1"]

    found = ask(hosts, Question(tuple(map(ip_address, wanted))))

    assert found is not None
    assert found.troubles == ()
    assert found.probed == len(CLIENT) + len(SILENT)
    assert {str(each.address) for each in found.skipped} == {ALL[0], "192.168.78.1"}
    assert set(found.answerers) == {
        Answerer(ip_address(CLIENT[4]), CLIENT_MAC, "eth0"),
        Answerer(ip_address(CLIENT[4]), THIEF, "eth0"),
        Answerer(ip_address(CLIENT[6]), CLIENT_MAC, "eth0"),
    }
    frames = [frame for frame in hosts.received(0.1) if frame.src == MAC[ASKING]]
    arp = [frame[ARP] for frame in frames if ARP in frame and frame[ARP].pdst in wanted]
    ndp = [frame[IPv6] for frame in frames if ICMPv6ND_NS in frame and frame[ICMPv6ND_NS].tgt in wanted]
    assert {(each.op, each.psrc) for each in arp} == {(1, "0.0.0.0")}
    assert {each.src for each in ndp} == {"::"}
    assert sum(each.pdst == SILENT[0] for each in arp) == 3
    assert not {each.pdst for each in arp} & {ALL[0], "192.168.78.1"}

    assert hosts.await_owners(*ALL) == owners
    assert {node: hosts.speakers[node].changes for node in NODES} == changes


def test_a_survey_that_is_cut_short_leaves_nothing_open(lan: Lan) -> None:
    before, files = open_on_node(lan), open_files()
    assert ask(lan, Question(tuple(map(ip_address, SILENT)), dhcp=True), seconds=0.3) is None
    assert open_on_node(lan) == before
    assert open_files() == files


def test_a_link_that_went_down_is_named_and_keeps_nobody_from_asking_the_others(lan: Lan) -> None:
    links = links_of(lan)
    gone = LinkFacts("gone", mac=MAC[ASKING], prefixes=(ip_network("10.5.0.0/24"),), announces=True)
    question = Question((ip_address(CLIENT[4]), ip_address("10.5.0.9")))

    found = on_node(lan, lambda: asyncio.run(survey(question, (links["eth0"], gone), lambda _: False)))

    assert [each.mac for each in found.answerers] == [CLIENT_MAC]
    assert [(each.link, each.reason) for each in found.troubles] == [("gone", "No such device")]


@contextmanager
def dhcp_server(lan: Lan, log: Path) -> Iterator[None]:
    """dnsmasq as a home router runs it, at the client's address."""
    argv = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--port=0",
        "--interface=eth0",
        "--bind-interfaces",
        f"--dhcp-range={OFFERED[0]},{OFFERED[1]},255.255.255.0,1h",
        "--dhcp-option=option:router,192.168.78.254",
        f"--dhcp-leasefile={log.with_suffix('.leases')}",
        f"--log-facility={log}",
        "--pid-file",
        "--user=root",
    ]
    program = shutil.which("dnsmasq", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program is not None, "./dev installs it"
    process = subprocess.Popen(["ip", "netns", "exec", lan.namespace("client"), program, *argv])
    try:
        until(lambda: log.exists() and "DHCP, sockets bound" in log.read_text())
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def offering_to_another(lan: Lan) -> Iterator[None]:
    """While a server of which nothing is asked here answers some other host again and again."""
    offer = (
        Ether(src=THIEF, dst="ff:ff:ff:ff:ff:ff")
        / IP(src="192.168.78.9", dst="255.255.255.255")
        / UDP(sport=67, dport=68)
        / BOOTP(op=2, xid=7, yiaddr="192.168.78.150")
        / DHCP(options=[("message-type", "offer"), ("server_id", "192.168.78.9"), "end"])
    )
    over = threading.Event()

    def send() -> None:
        while not over.wait(0.02):
            lan.send(bytes(offer))

    sender = threading.Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def test_a_dhcp_server_is_found_with_what_it_offers_and_its_pool_stays_free(lan: Lan, tmp_path: Path) -> None:
    log = tmp_path / "dnsmasq.log"
    with dhcp_server(lan, log), offering_to_another(lan):
        # Pinging before it offers, the server may be late on a busy machine; it remembers the outcome.
        answers = (ask(lan, Question(dhcp=True)) for _ in range(3))
        found = next(each for each in answers if each is not None and each.offers)

    assert (found.troubles, found.dhcp_links) == ((), ("eth0",))
    [offer] = found.offers
    assert (offer.server, offer.mac, offer.link) == (ip_address(CLIENT[4]), CLIENT_MAC, "eth0")
    assert (offer.mask, offer.router) == ("255.255.255.0", ip_address("192.168.78.254"))
    assert offer.offered is not None
    assert IPv4Address(OFFERED[0]) <= offer.offered <= IPv4Address(OFFERED[1])
    assert log.with_suffix(".leases").read_text() == ""
