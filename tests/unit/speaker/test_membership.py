"""What one node makes of single messages; whole clusters are in test_agreement."""

from __future__ import annotations

import pytest

from heraldlb.speaker.interfaces import Offer
from heraldlb.speaker.membership import Membership, Verdict
from heraldlb.speaker.messages import Echo, Message, node_id
from heraldlb.speaker.standing import Standing

TIMEOUT, INTERVAL = 0.24, 0.04
ME = 7
OFFER = Offer("eth0", b"\x02\0\0\0\0\x02")


@pytest.fixture
def membership() -> Membership:
    made = Membership("me", ME, TIMEOUT, INTERVAL)
    made.configure(["peer", "far"])
    made.begin_round(0.0, Standing.SERVING, ())
    return made


def heartbeat(
    sequence: int, echo: Echo | None = None, standing: Standing = Standing.SERVING, incarnation: int = 100
) -> Message:
    return Message("peer", incarnation, sequence, standing, echo, {node_id("far"): Standing.JOINING}, (OFFER,))


def test_a_message_that_echoes_a_recent_one_of_ours_shows_its_sender_alive(membership: Membership) -> None:
    receipt = membership.receive(heartbeat(1, Echo(ME, 1, held=30_000)), 0.04)
    assert receipt.verdict is Verdict.ACCEPTED
    assert receipt.round_trip == pytest.approx(0.01)
    assert membership.heard() == {"peer"}


def test_a_message_that_echoes_nothing_is_only_remembered_and_answered_at_once(membership: Membership) -> None:
    receipt = membership.receive(heartbeat(1), 0.04)
    assert (receipt.verdict, receipt.answer) == (Verdict.UNCONFIRMED, True)
    assert not membership.heard()
    echo = membership.message_to("peer", 0.06).echo
    assert echo == Echo(100, 1, held=pytest.approx(20_000, abs=1))


@pytest.mark.parametrize(
    ("echo", "now"),
    [(Echo(ME, 1), TIMEOUT + 0.01), (Echo(ME - 1, 1), 0.04), (Echo(ME, 99), 0.04)],
    ids=["too old", "of our predecessor", "of a message never sent"],
)
def test_an_echo_that_shows_nothing_is_stale(membership: Membership, echo: Echo, now: float) -> None:
    assert membership.receive(heartbeat(1, echo), now).verdict is Verdict.STALE
    assert not membership.heard()


def test_nobody_is_answered_at_once_twice_within_half_an_interval(membership: Membership) -> None:
    answers = [membership.receive(heartbeat(n), n / 1_000).answer for n in range(1, 39)]
    assert sum(answers) == 2


def test_an_incarnation_that_was_seen_cannot_be_replaced_by_an_older_one_while_it_speaks(
    membership: Membership,
) -> None:
    membership.receive(heartbeat(5, Echo(ME, 1)), 0.01)
    assert membership.receive(heartbeat(9, Echo(ME, 1), incarnation=99), 0.02).verdict is Verdict.REPLAYED
    assert membership.receive(heartbeat(1, incarnation=101), 0.03).verdict is Verdict.UNCONFIRMED
    assert not membership.heard(), "its predecessor is dead"


def test_a_peer_that_another_hears_lives_with_the_standing_that_one_reports(membership: Membership) -> None:
    membership.receive(heartbeat(1, Echo(ME, 1)), 0.01)
    far = membership.members()["far"]
    assert (far.standing, far.offers) == (Standing.JOINING, None)
    assert membership.heard() == {"peer"}


def test_a_goodbye_ends_a_peer_at_once_and_its_repetition_changes_nothing(membership: Membership) -> None:
    membership.receive(heartbeat(1, Echo(ME, 1)), 0.01)
    for sequence in (2, 3):
        membership.receive(heartbeat(sequence, Echo(ME, 1), Standing.LEAVING), 0.02)
        assert not membership.members()


def test_a_silent_peer_expires_and_one_that_is_configured_no_longer_is_forgotten(membership: Membership) -> None:
    membership.receive(heartbeat(1, Echo(ME, 1)), 0.01)
    assert membership.next_expiry() == pytest.approx(0.01 + TIMEOUT)
    membership.expire(0.01 + TIMEOUT - 0.001)
    assert membership.heard()
    assert set().union(*membership.macs().values()) == {OFFER.mac}
    membership.expire(0.01 + TIMEOUT)
    assert not membership.heard()
    assert set().union(*membership.macs().values()) == {OFFER.mac}, "what it still sends is no stranger's"
    membership.configure(["far"])
    assert not membership.macs()


def test_what_a_peer_offered_last_is_told_once_it_lives_no_more(membership: Membership) -> None:
    membership.receive(heartbeat(1, Echo(ME, 1)), 0.01)
    assert not membership.last_offers("peer")
    membership.expire(0.01 + TIMEOUT)
    assert membership.last_offers("peer") == (OFFER,)
    assert not membership.last_offers("far")
    assert not membership.last_offers("nobody")


def test_of_a_peer_it_is_told_whether_it_hears_us_and_when_anything_of_it_came(membership: Membership) -> None:
    membership.receive(heartbeat(1, Echo(ME, 1)), 0.01)
    membership.receive(heartbeat(2, Echo(ME, 1)), 0.02)
    membership.expire(0.02 + TIMEOUT)
    # It still sends, and no longer hears what we send.
    membership.receive(heartbeat(3, Echo(ME, 1)), 0.5)
    peer, far = sorted(membership.seen({"far"}), key=lambda each: each.name, reverse=True)
    assert (peer.heard, peer.alive, peer.expected) == (False, False, True)
    assert (peer.confirmed, peer.received) == (0.02, 0.5)
    assert (far.heard, far.alive, far.expected) == (False, True, True)
    assert (far.confirmed, far.received) == (None, None)
