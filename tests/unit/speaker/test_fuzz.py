"""The parsers among mutated frames. With HERALD_LONG set, a million for each; else a few thousand, always the same.

No frame makes a parser raise anything but its own error, none is answered but a valid question, and that with
exactly what it deserves in the judgement of a second reader (`judge`); nor does any of it fill memory.
"""

from __future__ import annotations

import hmac
import random
import socket
import tracemalloc
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address

import pytest

from heraldlb.speaker import arp, ndp
from heraldlb.speaker.bpf import ARP_PATTERN, NDP_PATTERN, Pattern
from heraldlb.speaker.constants import (
    MAX_CLAIMS,
    MAX_HEARD,
    MAX_INTERFACES,
    MAX_NAME,
    MAX_REPORTED,
    REMEMBERED_FRAMES,
)
from heraldlb.speaker.ethernet import FrameError
from heraldlb.speaker.messages import MessageError, SignatureError, decode
from heraldlb.speaker.responder import Claim, Responder
from heraldlb.speaker.sockets import attach_filter
from heraldlb.speaker.stats import Counters
from tests.unit.speaker import judge, make_corpus
from tests.unit.speaker.mutation import LONG, MUTANTS, mutants, seeds

pytestmark = pytest.mark.timeout(3_600 if LONG else 60)

OURS = bytes.fromhex(make_corpus.OURS.replace(":", ""))
V4, V6 = IPv4Address(make_corpus.V4), IPv6Address(make_corpus.V6)
TAG_SIZE = 16
MOST_GROWTH = 64 * 1024
"""Octets that may be held more after many frames than after as many before."""

Decode = Callable[[bytes], object]


def leave(_: bytearray) -> None:
    """ARP has no checksum."""


def sign(datagram: bytearray) -> None:
    """As an agent does that has the key and gone mad."""
    body = datagram[: max(0, len(datagram) - TAG_SIZE)]
    datagram[:] = body + hmac.digest(make_corpus.KEY, bytes(body), "sha256")[:TAG_SIZE]


def responder() -> tuple[Responder, Counters]:
    counters = Counters()
    made = Responder(OURS, counters)
    made.own([V4, V6])
    return made, counters


def parses(decode_frame: Decode, frame: bytes) -> bool:
    """Whether the frame is accepted. Any other error than the documented one ends the test."""
    try:
        decode_frame(frame)
    except FrameError:
        return False
    return True


@pytest.mark.parametrize(("folder", "decode_frame"), [("arp", arp.decode), ("ndp", ndp.decode)])
def test_every_seed_is_valid(folder: str, decode_frame: Decode) -> None:
    for name, seed in seeds(folder).items():
        assert parses(decode_frame, seed), name


def test_every_membership_seed_is_valid() -> None:
    for name, seed in seeds("membership").items():
        assert decode(seed, [make_corpus.KEY]), f"{name}: if the protocol has changed, write the corpus anew"


@pytest.mark.parametrize("folder", ["arp", "ndp"])
def test_the_checked_in_frames_are_those_that_scapy_makes(folder: str) -> None:
    kept = seeds(folder)
    for name, seed in make_corpus.SEEDS[folder]().items():
        assert kept[name] == seed, name


def test_mutated_arp_is_answered_exactly_where_it_is_a_valid_question() -> None:
    asked, counters = responder()
    answers = 0
    for number, frame in enumerate(mutants("arp", leave)):
        reaction = asked.react_to_arp(frame, float(number))
        expected = judge.arp_answer(frame, OURS, V4.packed)
        assert (reaction if isinstance(reaction, bytes) else None) == expected, frame.hex()
        answers += expected is not None
        _check_claim(reaction, frame, arp.decode)
    assert answers > MUTANTS / 50, "the mutants are too wild to prove anything"
    assert counters.addresses.keys() <= {V4}


def test_mutated_neighbour_discovery_is_answered_exactly_where_it_is_a_valid_question() -> None:
    asked, counters = responder()
    answers = 0
    for number, frame in enumerate(mutants("ndp", judge.with_checksum)):
        reaction = asked.react_to_ndp(frame, float(number))
        expected = judge.ndp_answer(frame, OURS, V6.packed)
        assert (reaction if isinstance(reaction, bytes) else None) == expected, frame.hex()
        answers += expected is not None
        _check_claim(reaction, frame, ndp.decode)
    assert answers > MUTANTS / 50, "the mutants are too wild to prove anything"
    assert counters.addresses.keys() <= {V6}


def _check_claim(reaction: bytes | Claim | None, frame: bytes, decode_frame: Decode) -> None:
    valid = parses(decode_frame, frame)
    if isinstance(reaction, Claim):
        assert valid, frame.hex()
        assert reaction.address in (V4, V6)
        assert reaction.mac != OURS


def test_a_mutated_datagram_is_a_message_within_bounds_or_refused() -> None:
    accepted = 0
    for datagram in mutants("membership", sign):
        signed = hmac.digest(make_corpus.KEY, datagram[:-TAG_SIZE], "sha256")[:TAG_SIZE] == datagram[-TAG_SIZE:]
        try:
            message = decode(datagram, [b"another key".ljust(32), make_corpus.KEY])
        except SignatureError:
            assert not signed, datagram.hex()
        except MessageError:
            continue
        else:
            assert signed, datagram.hex()
            assert 0 < len(message.sender.encode()) <= MAX_NAME
            assert len(message.heard) <= MAX_HEARD
            assert len(message.offers) <= MAX_INTERFACES
            assert len(message.reports) <= MAX_REPORTED
            assert max(len(message.claims), len(message.ceded)) <= MAX_CLAIMS
            accepted += 1
    assert accepted > MUTANTS / 50, "the mutants are too wild to prove anything"


@pytest.mark.parametrize(
    ("folder", "pattern", "decode_frame"), [("arp", ARP_PATTERN, arp.decode), ("ndp", NDP_PATTERN, ndp.decode)]
)
def test_the_kernels_filter_keeps_no_valid_frame_from_us(
    folder: str, pattern: Pattern, decode_frame: Decode
) -> None:
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    passed = kept = 0
    with sender, receiver:
        attach_filter(receiver, pattern, [(0, 0xFFFF_FFFF)])
        receiver.setblocking(False)
        for frame in mutants(folder, judge.with_checksum if folder == "ndp" else leave):
            if not frame:
                continue
            sender.send(frame)
            try:
                came = receiver.recv(4_096) == frame
            except BlockingIOError:
                came = False
            assert came or not parses(decode_frame, frame), frame.hex()
            passed += came
            kept += not came
    assert min(passed, kept) > MUTANTS / 50


def test_ever_new_frames_fill_no_memory() -> None:
    asked, counters = responder()
    arp_seed, ndp_seed = bytearray(seeds("arp")["request"]), bytearray(seeds("ndp")["solicitation-without-option"])
    chance = random.Random(1)  # noqa: S311 - reproducible

    def strangers(count: int) -> None:
        for number in range(count):
            arp_seed[22:32] = b"\x02" + chance.randbytes(9)
            ndp_seed[6:12] = b"\x02" + chance.randbytes(5)
            ndp_seed[22:38] = b"\xfd" + chance.randbytes(15)
            judge.with_checksum(ndp_seed)
            asked.react_to_arp(bytes(arp_seed), float(number))
            asked.react_to_ndp(bytes(ndp_seed), float(number))

    tracemalloc.start()
    try:
        strangers(2 * REMEMBERED_FRAMES)
        before, _ = tracemalloc.get_traced_memory()
        strangers(2 * REMEMBERED_FRAMES)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < MOST_GROWTH
    assert counters.addresses.keys() == {V4, V6}
    assert counters.frames.keys() == {"Answered"}
