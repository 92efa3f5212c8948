"""What the benchmark `speaker` asks, reads, and makes of it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Ether

from benchmarks.speaker import failover, handover, latency, stability
from benchmarks.speaker.causes import CAUSES
from benchmarks.speaker.failover import Trial
from benchmarks.speaker.frames import Asker
from benchmarks.speaker.handover import Change
from benchmarks.speaker.latency import Latencies
from benchmarks.speaker.stability import Watch
from benchmarks.speaker.traffic import Traffic
from lab.owners import Answer

_MAC = "02:00:00:00:00:64"
_ASKER = Asker(bytes.fromhex(_MAC.replace(":", "")), IPv4Address("192.0.2.100"), IPv6Address("2001:db8::64"))
_OWNER = "02:00:00:00:00:01"


def test_an_arp_request_is_what_scapy_reads_as_one() -> None:
    frame = Ether(_ASKER.question("192.0.2.1"))
    assert (frame.src, frame.dst) == (_MAC, "ff:ff:ff:ff:ff:ff")
    assert (frame[ARP].op, frame[ARP].hwsrc, frame[ARP].psrc) == (1, _MAC, "192.0.2.100")
    assert frame[ARP].pdst == "192.0.2.1"


def test_a_neighbour_solicitation_is_what_scapy_reads_as_one_checksum_included() -> None:
    octets = _ASKER.question("2001:db8::ab:cdef")
    frame = Ether(octets)
    assert (frame.src, frame.dst) == (_MAC, "33:33:ff:ab:cd:ef")
    assert (frame[IPv6].src, frame[IPv6].dst, frame[IPv6].hlim) == ("2001:db8::64", "ff02::1:ffab:cdef", 255)
    assert frame[ICMPv6ND_NS].tgt == "2001:db8::ab:cdef"
    assert frame[ICMPv6NDOptSrcLLAddr].lladdr == _MAC
    sent = frame[ICMPv6ND_NS].cksum
    del frame[ICMPv6ND_NS].cksum
    assert Ether(bytes(frame))[ICMPv6ND_NS].cksum == sent


def _reply(to: str = _MAC) -> bytes:
    body = ARP(op=2, hwsrc=_OWNER, psrc="192.0.2.1", hwdst=to, pdst="192.0.2.100")
    return bytes(Ether(src=_OWNER, dst=to) / body)


def _advertisement(solicited: int = 1, to: str = _MAC) -> bytes:
    message = ICMPv6ND_NA(tgt="2001:db8::1", R=0, S=solicited, O=1) / ICMPv6NDOptDstLLAddr(lladdr=_OWNER)
    return bytes(Ether(src=_OWNER, dst=to) / IPv6(src="2001:db8::1", dst="2001:db8::64", hlim=255) / message)


@pytest.mark.parametrize(
    ("frame", "address"),
    [
        pytest.param(_reply(), "192.0.2.1", id="an ARP reply"),
        pytest.param(_advertisement(), "2001:db8::1", id="a solicited advertisement"),
        pytest.param(_reply(to="02:00:00:00:00:65"), None, id="an answer to somebody else"),
        pytest.param(_advertisement(solicited=0), None, id="an announcement"),
        pytest.param(_ASKER.question("192.0.2.1"), None, id="a question"),
        pytest.param(_reply()[:20], None, id="a frame cut short"),
    ],
)
def test_only_an_answer_to_the_asker_counts(frame: bytes, address: str | None) -> None:
    found = _ASKER.answered(frame)
    if address is None:
        assert found is None
    else:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        assert found == (socket.inet_pton(family, address), bytes.fromhex(_OWNER.replace(":", "")))


def _trial(cause: str, asked: float, traffic: float, two: float = 0.0) -> Trial:
    families = ("ipv4", "ipv6")
    return Trial(
        cause,
        "node-1",
        dict.fromkeys(families, asked),
        dict.fromkeys(families, traffic),
        dict.fromkeys(families, two),
    )


def test_a_failover_is_over_when_another_answers_and_traffic_flows() -> None:
    trials = [_trial("link_cut", 200.0, 210.0), _trial("link_cut", 230.0, 220.0, 30.0)]
    found = {row.name: row for row in failover.rows(trials)}
    assert found["failover.link_cut.ipv6.p50_ms"].value == 210.0
    assert found["failover.link_cut.ipv4.p99_ms"].value == 230.0
    assert found["failover.link_cut.ipv4.p50_ms"].target == 250.0
    assert found["failover.link_cut.ipv4.p99_ms"].target == 400.0
    assert found["heal.two_owners_ms"].value == 30.0
    assert found["heal.two_owners_ms"].target == 100.0


def test_every_cause_has_rows_of_its_own_and_a_partition_has_only_its_heal() -> None:
    partition = Trial("partition", "node-1", two_owners_ms={"ipv4": 120.0, "ipv6": 80.0})
    found = {
        row.name: row.holds for row in failover.rows([*(_trial(each, 1.0, 1.0) for each in CAUSES), partition])
    }
    causes = {"power_off", "link_cut", "agent_killed", "agent_hung", "node_frozen"}
    percentiles = {f"failover.{c}.{f}.p{p}_ms" for c in causes for f in ("ipv4", "ipv6") for p in (50, 99)}
    assert found.keys() == percentiles | {"heal.two_owners_ms"}
    assert found["heal.two_owners_ms"] is False


def test_a_heal_is_over_when_the_losers_last_answer_was_given() -> None:
    both = [Answer(at / 1000, mac) for at in range(0, 60, 5) for mac in ("loser", "winner")]
    alone = [Answer(at / 1000, "winner") for at in range(60, 500, 5)]
    assert failover.contested_for([*both, *alone]) == pytest.approx(0.055)
    assert failover.contested_for(alone) == 0.0


def test_arp_is_held_against_the_bare_responder_and_against_itself_with_a_thousand_addresses() -> None:
    idle = {"kernel": [7e-6] * 100, "bare": [24e-6] * 100, "one": [30e-6] * 100, "thousand": [33e-6] * 100}
    flooded = {**idle, "thousand": [33e-6] * 97 + [2e-3] * 3}
    found = {row.name: row for row in latency.rows(Latencies(idle, flooded))}
    assert found["arp.p50_us"].value == 30.0
    assert found["arp.p50_us"].peer == {"kernel": 7.0, "bare": 24.0}
    assert (found["arp.p50_ratio_bare"].value, found["arp.p50_ratio_bare"].holds) == (1.25, True)
    assert found["arp.p50_ratio_1000_to_1"].value == 1.1
    assert (found["arp.p99_us"].value, found["arp.p99_us"].holds) == (2000.0, False)
    assert found["arp.flooded_1000.p99_us"].value == 2000.0


def test_the_subjects_of_arp_answer_for_as_many_addresses_as_their_names_say() -> None:
    counts = {subject: len(set(latency.addresses(subject))) for subject in latency.SUBJECTS}
    assert counts == {"kernel": 1, "bare": 1, "one": 1, "thousand": 1_000}


def test_lost_connections_are_told_by_cause_and_together() -> None:
    changes = [Change("cordon", "node-1", True, 900, 0), Change("policy", "node-2", True, 800, 2)]
    found = {row.name: (row.value, row.holds) for row in handover.rows(changes)}
    assert found["handover.lost_connections"] == (2, False)
    assert found["handover.cordon.lost_connections"] == (0, True)
    assert found["handover.connections"] == (1_700, None)


def test_a_move_while_nothing_fails_misses_the_target() -> None:
    found = {
        row.name: row.holds
        for row in stability.rows([Watch("saturated", 2.0, 1, 60.0, 0), Watch("lossy", 2.0, 0, 55.0, 0)])
    }
    assert found["stability.saturated_false_failovers"] is False
    assert found["stability.lossy_false_failovers"] is True


def test_the_client_notes_which_node_an_echo_came_from() -> None:
    argv = [sys.executable, "-m", "benchmarks.speaker.echo", _OWNER]
    families = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
    answered = threading.Event()
    with subprocess.Popen(argv, cwd=Path(__file__).parents[3]) as echo:
        try:
            with Traffic([socket.socket(each, socket.SOCK_DGRAM) for each in families]) as traffic:
                traffic.ask(list(families.values()))
                for _ in range(1_000):
                    if all(traffic.answers(each) for each in families.values()) or answered.wait(0.02):
                        break
                assert all({said.mac for said in traffic.answers(each)} == {_OWNER} for each in families.values())
        finally:
            echo.kill()
