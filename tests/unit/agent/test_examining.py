"""What of a speaker's view and counters is told."""

from __future__ import annotations

from ipaddress import ip_address

from heraldlb.agent.examining import speaker_facts
from heraldlb.examination.facts import AddressFacts, PeerFacts, RefusedFacts
from heraldlb.speaker.courier import BAD_SIGNATURE
from heraldlb.speaker.standing import Standing
from heraldlb.speaker.stats import AddressCounters, Counters, PeerStats, SpeakerView

HELD, PASSED_ON = ip_address("192.168.1.240"), ip_address("192.168.1.241")


def test_times_of_the_speakers_clock_are_told_as_ages() -> None:
    counters = Counters({HELD: AddressCounters(7, 5, 3, claims=2, since=40.0), PASSED_ON: AddressCounters()})
    counters.refuse(BAD_SIGNATURE, 90.0)
    counters.refuse(BAD_SIGNATURE, 95.0)
    view = SpeakerView(
        now=100.0,
        peers=(
            PeerStats("deaf", alive=True, heard=False, expected=True, confirmed=60.0, received=99.5),
            PeerStats("unknown", alive=False, heard=False, expected=False, confirmed=None, received=None),
        ),
        reached={"deaf": ip_address("192.168.1.2")},
        placements={HELD: "eth0"},
    )
    stats = counters.read(Standing.PROBATION, 2, 1, 0, peers_lost=0, missed=0)
    told = speaker_facts(view, stats, 7947)
    assert (told.standing, told.membership_port) == ("PROBATION", 7947)
    assert told.peers == (
        PeerFacts("deaf", ip_address("192.168.1.2"), alive=True, expected=True, heard_ago=40.0, received_ago=0.5),
        PeerFacts("unknown"),
    )
    assert told.refused == (RefusedFacts("BadSignature", 2, 5.0),)
    assert told.addresses == (
        AddressFacts(HELD, "eth0", 60.0, requests=7, answers=5, announcements=3, foreign_claims=2),
    ), "an address that is just being passed on is told by its next node"
