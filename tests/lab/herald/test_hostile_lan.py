"""Whatever hosts on the LAN send changes neither who answers nor that it answers; a rival's claim is reported."""

from __future__ import annotations

import random
import select
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

from lab.waiting import wait_for
from tests.lab.herald.lan import INTERFACE
from tests.lab.herald.product import PATIENCE, condition
from tests.lab.speaker_net import question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.host import Host
    from lab.lab import Lab
    from tests.lab.herald.conftest import Shop
    from tests.lab.herald.lan import Lan
    from tests.lab.herald.product import Exposed, Product

pytestmark = pytest.mark.usefixtures("settled")

MEMBERSHIP_PORT = 7947
FLOOD = 2_000
_BROADCAST = "ff:ff:ff:ff:ff:ff"
_SEED = 7
_RECORDED = 10
_SETTLE = 0.2
"""Seconds for an answer too many to come."""
_EVERY_PROTOCOL = 3
RIVAL = "02:66:6f:00:00:01"
_FRAMES = "heraldlb_speaker_frames_total"
_MESSAGES = "heraldlb_speaker_messages_total"


@pytest.fixture
def undisturbed(settled: None, shop: Shop, herald: Product, lan: Lan) -> Iterator[None]:
    """After the test everything is as before it: owners, and since when; restarts; that every address answers."""
    placed, restarts = herald.placements(), herald.restarts()
    yield
    answered = lan.ask_for(0.5, *shop.addresses)
    assert answered == {address: {placed[address].mac} for address in shop.addresses}, herald.agent_logs()
    now = herald.placements()
    assert {address: now.get(address) for address in shop.addresses} == {
        address: placed[address] for address in shop.addresses
    }
    assert herald.restarts() == restarts
    for address in shop.doors[0].addresses:
        herald.fetch(address)


def _counted(herald: Product, node: str, family: str) -> dict[str, float]:
    """Counts by outcome."""
    found = {}
    for name, value in herald.metrics(node).items():
        if name.startswith(family + "{"):
            found[name.removeprefix(family)[1:-1]] = value
    return found


def _grown(herald: Product, node: str, family: str, before: dict[str, float]) -> set[str]:
    now = _counted(herald, node, family)
    return {outcome for outcome, count in now.items() if count > before.get(outcome, 0)}


# Frames that are no valid question about an address, though they carry it.


def _arp(address: str, source: Host, **fields: Any) -> Any:
    asked = ARP(op=1, hwsrc=source.mac_address, psrc=str(source.ipv4), pdst=address)
    for name, value in fields.items():
        setattr(asked, name, value)
    return Ether(src=source.mac_address, dst=_BROADCAST) / asked


def _solicitation(address: str, source: Host, **fields: Any) -> Any:
    """A valid one but for the fields given, of the Ethernet, IPv6 or ICMPv6 header."""
    frame = Ether(question(address, sender=str(source.ipv6), mac=source.mac_address))
    for name, value in fields.items():
        layer = IPv6 if name in ("hlim", "plen", "nh") else ICMPv6ND_NS
        setattr(frame[layer], name, value)
    return frame


def _with_option(address: str, source: Host, option: bytes) -> bytes:
    tail = socket.inet_pton(socket.AF_INET6, address)[13:]
    group = socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "ff02::1:ff00:0")[:13] + tail)
    message = IPv6(src=str(source.ipv6), dst=group, hlim=255) / ICMPv6ND_NS(tgt=address) / Raw(option)
    return bytes(Ether(src=source.mac_address, dst=(b"\x33\x33\xff" + tail).hex(":")) / message)


def _not_arp(address: str, source: Host) -> list[bytes]:
    whole = bytes(_arp(address, source))
    return [
        *(whole[:length] for length in range(15, len(whole))),
        bytes(_arp(address, source, hwtype=6)),
        bytes(_arp(address, source, hwtype=0xFFFF)),
        bytes(_arp(address, source, ptype=0x86DD)),
        # A wrong length says that the addresses stand elsewhere; the octets stay.
        whole[:18] + b"\x08" + whole[19:],
        whole[:19] + b"\x10" + whole[20:],
        whole[:18] + b"\xff\xff" + whole[20:],
        *(bytes(_arp(address, source, op=operation)) for operation in (0, 3, 8, 0xFFFF)),
    ]


def _not_ndp(address: str, source: Host) -> list[bytes]:
    whole = bytes(_solicitation(address, source))
    return [
        *(whole[:length] for length in range(15, len(whole))),
        bytes(_solicitation(address, source, cksum=0xBAD)),
        bytes(_solicitation(address, source, hlim=254)),
        bytes(_solicitation(address, source, code=1)),
        bytes(_solicitation(address, source, plen=8)),
        bytes(_solicitation(address, source, plen=0xFFFF)),
        _with_option(address, source, b"\x01\x00" + bytes(6)),
        _with_option(address, source, b"\x01\xff" + bytes(6)),
        _with_option(address, source, b"\x01"),
    ]


@pytest.mark.usefixtures("undisturbed")
def test_malformed_questions_are_not_answered(shop: Shop, herald: Product, lan: Lan, lab: Lab) -> None:
    node, ipv4, ipv6 = shop.pair()
    before = _counted(herald, node, _FRAMES)
    for address, frames in ((ipv4, _not_arp(ipv4, lab.client)), (ipv6, _not_ndp(ipv6, lab.client))):
        lan.await_sole_answerer([address], {herald.mac(node)})
        began = time.monotonic()
        lan.send(*frames)
        # A good question that comes last is answered last.
        lan.ask(address)
        wait_for(f"{node} to answer", lambda a=address, b=began: lan.answers(a, b))  # type: ignore[misc]
        time.sleep(_SETTLE)
        assert len(lan.answers(address, began)) == 1, "a malformed question was answered"
    assert "Malformed" in _grown(herald, node, _FRAMES, before)


@pytest.mark.usefixtures("undisturbed")
def test_random_octets_under_the_ethertypes_of_arp_and_ipv6_change_nothing(lan: Lan, lab: Lab) -> None:
    source = random.Random(_SEED)  # noqa: S311 - reproducible junk
    for _ in range(500):
        kind = source.choice((0x0806, 0x86DD))
        destination = source.choice((_BROADCAST, "33:33:00:00:00:01", lab.nodes["node-1"].mac_address))
        header = Ether(src=lab.client.mac_address, dst=destination, type=kind)
        lan.send(bytes(header / Raw(source.randbytes(source.randint(0, 200)))))


@pytest.mark.usefixtures("undisturbed")
def test_a_flood_of_forged_questions_keeps_nobody_else_from_an_answer(
    shop: Shop, herald: Product, lan: Lan, lab: Lab, record_property: Callable[[str, object], None]
) -> None:
    node, ipv4, ipv6 = shop.pair()
    source = random.Random(_SEED)  # noqa: S311 - reproducible junk

    def forged(number: int) -> bytes:
        mac = "02:66:6f:" + source.randbytes(3).hex(":")
        if number % 2:
            # Of no host: a node that believed it would lose its way there.
            sender = f"192.168.100.{source.randint(1, 9)}"
            return question(ipv4, sender=sender, mac=mac)
        return question(ipv6, sender=f"fd00:100::bad:{source.randint(1, 0xFFFF):x}", mac=mac)

    before = herald.metrics(node)
    began = time.monotonic()
    lan.send(*(forged(number) for number in range(FLOOD)))
    record_property("flood_ms", round((time.monotonic() - began) * 1000))
    for address in (ipv4, ipv6):
        lab.client.exec(["ip", "neigh", "flush", "to", address, "dev", INTERFACE])
        herald.fetch(address)
    after = herald.metrics(node)
    fenced = "heraldlb_speaker_fenced_total"
    assert after[fenced] == before[fenced]


# Heartbeats.


def _send_datagrams(lab: Lab, datagrams: list[bytes]) -> None:
    """From the client to every node's membership port, over both families."""
    for host in lab.nodes.values():
        for family, address in ((socket.AF_INET, host.ipv4), (socket.AF_INET6, host.ipv6)):
            with lab.client.socket(family, socket.SOCK_DGRAM) as sending:
                for datagram in datagrams:
                    sending.sendto(datagram, (str(address), MEMBERSHIP_PORT))


def _record_heartbeats(lab: Lab, receiver: str, sender: str) -> list[Any]:
    """Heartbeats from one node as they reach another."""
    found: list[Any] = []
    with lab.nodes[receiver].socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as listening:
        listening.bind((INTERFACE, _EVERY_PROTOCOL))
        deadline = time.monotonic() + PATIENCE
        while len(found) < _RECORDED and time.monotonic() < deadline:
            if select.select([listening], [], [], 1.0)[0]:
                frame = Ether(listening.recv(4096))
                if (
                    frame.src == lab.nodes[sender].mac_address
                    and UDP in frame
                    and bytes(frame[UDP].payload)[:4] == b"HRLD"
                ):
                    found.append(frame)
    assert len(found) == _RECORDED
    return found


def _replayed(recorded: Any, source: Host) -> bytes:
    """The same datagram as if from the same sender, with the checksum that is missing in what veth delivers."""
    layer = IP if IP in recorded else IPv6
    before = recorded[layer]
    header = Ether(src=source.mac_address, dst=recorded.dst) / layer(src=before.src, dst=before.dst)
    heard = recorded[UDP]
    return bytes(header / UDP(sport=heard.sport, dport=heard.dport) / Raw(bytes(heard.payload)))


@pytest.mark.usefixtures("undisturbed")
def test_datagrams_that_are_no_heartbeats_are_dropped_and_counted(herald: Product, lab: Lab) -> None:
    source = random.Random(_SEED)  # noqa: S311 - reproducible junk
    heartbeat = bytes(_record_heartbeats(lab, "node-1", "node-2")[0][UDP].payload)
    changed = bytearray(heartbeat)
    changed[5] ^= 0x01
    before = {node: _counted(herald, node, _MESSAGES) for node in lab.nodes}
    junk = [source.randbytes(source.randint(0, 1400)) for _ in range(50)]
    unsigned = [heartbeat[:-16], heartbeat[:-16] + bytes(16), bytes(changed)]
    _send_datagrams(lab, [*junk, *unsigned])
    for node in lab.nodes:
        wait_for(
            f"the agent on {node} to count them",
            lambda node=node: _grown(herald, node, _MESSAGES, before[node]) >= {"Malformed", "BadSignature"},  # type: ignore[misc]
        )


@pytest.mark.usefixtures("undisturbed")
def test_recorded_heartbeats_of_living_agents_are_of_no_use(herald: Product, lan: Lan, lab: Lab) -> None:
    recorded = _record_heartbeats(lab, "node-1", "node-2")
    before = _counted(herald, "node-1", _MESSAGES)
    lan.send(*(_replayed(frame, lab.client) for frame in recorded))
    wait_for("the agent to count them", lambda: "Replayed" in _grown(herald, "node-1", _MESSAGES, before))


def test_recorded_heartbeats_do_not_bring_a_dead_agent_back(
    shop: Shop, herald: Product, lan: Lan, lab: Lab
) -> None:
    node, *addresses = shop.pair()
    receiver = next(name for name in lab.nodes if name != node)
    recorded = _record_heartbeats(lab, receiver, node)
    lab.pause(herald.agent(node))
    try:
        lan.await_sole_answerer(addresses, herald.macs(node))
        before = _counted(herald, receiver, _MESSAGES)
        began = time.monotonic()
        for _ in range(10):
            lan.send(*(_replayed(frame, lab.client) for frame in recorded))
            lan.ask_for(0.1, *addresses)
        for address in addresses:
            answerers = {said.mac for said in lan.answers(address, began)}
            assert len(answerers) == 1, herald.agent_logs()
            assert herald.mac(node) not in answerers
        assert "Replayed" in _grown(herald, receiver, _MESSAGES, before)
    finally:
        lab.resume(herald.agent(node))
        herald.wait_healthy()


# A rival.


def test_a_host_that_claims_an_address_is_reported_and_the_address_defended_until_it_stops(
    shop: Shop, herald: Product, lan: Lan
) -> None:
    node, *addresses = shop.pair()
    began = time.monotonic()
    lan.send(*(_claim(address, RIVAL) for address in addresses))
    for address in addresses:
        door = shop.door(address)
        conflict = wait_for("the conflict", lambda a=address: _conflict(herald, a, "True"), PATIENCE)  # type: ignore[misc]
        assert conflict["reason"] == "AddressConflict"
        assert RIVAL in conflict["message"]
        wait_for(
            "an Event that names the rival",
            lambda a=address, d=door: any(RIVAL in n and a in n for n in _conflict_events(herald, d)),  # type: ignore[misc]
            PATIENCE,
        )
        wait_for(f"{node} to announce {address} again", lambda a=address: lan.announcements(a, began))  # type: ignore[misc]
        assert herald.metrics(node)[f"heraldlb_speaker_foreign_claims_total{{{address}}}"] >= 1
    assert lan.ask_for(0.3, *addresses) == {address: {herald.mac(node)} for address in addresses}
    for address in addresses:
        wait_for("the conflict to be over", lambda a=address: _conflict(herald, a, "False"), PATIENCE * 2)  # type: ignore[misc]
        assert herald.owner(address) == node


def _conflict(herald: Product, address: str, status: str) -> dict[str, Any] | None:
    found = condition(herald.record(address), "Conflict")
    return found if found.get("status") == status else None


def _conflict_events(herald: Product, door: Exposed) -> list[str]:
    return herald.events(door.namespace, door.name, "AddressConflict")


def _claim(address: str, mac: str) -> bytes:
    """A gratuitous ARP request, or an unsolicited neighbour advertisement."""
    if ":" not in address:
        return bytes(Ether(src=mac, dst=_BROADCAST) / ARP(op=1, hwsrc=mac, psrc=address, pdst=address))
    message = IPv6(src=address, dst="ff02::1", hlim=255) / ICMPv6ND_NA(tgt=address, R=0, S=0, O=1)
    return bytes(Ether(src=mac, dst="33:33:00:00:00:01") / message / ICMPv6NDOptDstLLAddr(lladdr=mac))
