"""Letters about single addresses: of bounded size, in copies, and never about what is no longer true."""

from __future__ import annotations

from ipaddress import IPv4Address

from heraldlb.api.ranges import IPAddress
from heraldlb.speaker.claims import Letter, Letters
from heraldlb.speaker.constants import CLAIM_COPIES_AFTER, CLAIMS_PER_MESSAGE

ADDRESS = IPv4Address("10.0.0.1")
MANY: list[IPAddress] = [ADDRESS + n for n in range(2 * CLAIMS_PER_MESSAGE + 1)]


def send(letters: Letters, now: float, terms: dict[IPAddress, int]) -> list[Letter]:
    return list(letters.due(now, terms.get, lambda _: None))


def test_what_is_claimed_goes_out_in_datagrams_of_bounded_size() -> None:
    letters = Letters()
    letters.claim("peer", MANY)
    sent = send(letters, 0.0, dict.fromkeys(MANY, 1))
    assert [len(each.claims) for each in sent] == [CLAIMS_PER_MESSAGE, CLAIMS_PER_MESSAGE, 1]
    assert {address for each in sent for address in each.claims} == set(MANY)


def test_a_letter_goes_out_in_copies_and_then_no_more() -> None:
    letters = Letters()
    letters.claim("peer", [ADDRESS])
    found = []
    while (due := letters.next_due()) is not None:
        found.append(send(letters, max(due, 0.0), {ADDRESS: 7}))
    assert found == [[Letter("peer", {ADDRESS: 7})]] * len(CLAIM_COPIES_AFTER)


def test_a_copy_tells_the_term_of_the_moment_and_nothing_of_what_was_given_up_since() -> None:
    letters = Letters()
    letters.claim("peer", [ADDRESS, ADDRESS + 1])
    send(letters, 0.0, {ADDRESS: 1, ADDRESS + 1: 1})
    assert send(letters, 1.0, {ADDRESS: 2}) == [Letter("peer", {ADDRESS: 2})]
    assert send(letters, 2.0, {}) == []


def test_what_is_ceded_is_told_apart_from_what_is_claimed() -> None:
    letters = Letters()
    letters.claim("peer", [ADDRESS])
    letters.cede("peer", [ADDRESS])
    sent = list(letters.due(0.0, lambda _: 3, lambda _: 4))
    assert sent == [Letter("peer", {ADDRESS: 3}), Letter("peer", ceded={ADDRESS: 4})]
